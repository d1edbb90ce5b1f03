"""The answers that a journal's records hold, by the step that they answer."""

from attrs import evolve

from ..errors import JournalCorrupt
from ..types.agents import Route
from ..types.answer import Answer
from ..types.events import CallEnded
from ..types.messages import Response, Stop
from ..usage import Usage
from .records import (
    AnswerRecord,
    CarriedOverRecord,
    ForgottenRecord,
    Record,
    ReusedRecord,
    StepRecord,
)

NOBODY = "person"  # in place of a route: no model was asked


class PaidAnswers:
    """Collects answers from records, which are to be added in their order.

    name: of the journal, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: dict[int, Answer] = {}
        self.by_step: dict[str, Answer] = {}

    def add(self, record: Record) -> None:
        match record:
            case CallEnded():
                self._calls[record.call] = _of_call(record)
                # Whether a cut text is taken as an answer, a record of the step says.
                if record.cause is None:
                    self.by_step[record.step] = self._calls[record.call]
            case StepRecord():
                self.by_step[record.step] = evolve(self._of_step(record), route=record.route)
            case AnswerRecord() | ReusedRecord():
                self.by_step[record.step] = _whole(record)
            case CarriedOverRecord():
                self.by_step[record.step] = self._carried_over(record)
            case ForgottenRecord():
                for step, answer in list(self.by_step.items()):
                    if answer.agent in record.agents:
                        del self.by_step[step]
            case _:
                pass

    def _of_step(self, record: StepRecord) -> Answer:
        if record.call not in self._calls:
            raise JournalCorrupt(
                f"{self._name}: a step was answered by call {record.call}, which never ended; "
                "restore the file from a copy"
            )
        return self._calls[record.call]

    def _carried_over(self, record: CarriedOverRecord) -> Answer:
        """Return an agent's last answer with another text; a person's where it has none."""
        own = [answer for answer in self.by_step.values() if answer.agent == record.agent]
        last = own[-1] if own else Answer(Response(""), NOBODY, record.agent)
        response = evolve(last.response, text=record.text, stop=Stop.END)
        return evolve(last, response=response)


def _of_call(call: CallEnded) -> Answer:
    told = call.usage if call.usage != Usage() else None
    response = Response(call.text, told, call.model, call.stop, cost=call.cost, parts=call.parts)
    return Answer(response, str(Route(call.provider, call.model)), call.agent, call.call)


def _whole(record: AnswerRecord | ReusedRecord) -> Answer:
    response = Response(record.text, stop=record.stop, cost=record.cost, parts=record.parts)
    answer = Answer(response, record.route, record.agent)
    if isinstance(record, ReusedRecord):
        return evolve(answer, source=record.run)
    return evolve(answer, call=record.call)
