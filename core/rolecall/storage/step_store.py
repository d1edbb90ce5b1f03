"""What a run has paid for: its answered steps, remembered in the journal."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

from attrs import asdict, define, evolve

from ..errors import JournalCorrupt, RunError
from ..types.answer import Answer
from ..types.causes import Cause
from ..types.events import (
    CallEnded,
    CallStarted,
    Event,
    RunStarted,
    ToolEnded,
    ToolStarted,
    WorkspaceVerified,
)
from ..types.messages import Message, Request
from ..types.parts import to_json
from ..types.update import Update
from .journal import Journal, read
from .paid_answers import PaidAnswers
from .records import (
    AnswerRecord,
    CarriedOverRecord,
    DeliverableRecord,
    EditRecord,
    ForgottenRecord,
    ProcessRecord,
    Record,
    ReusedRecord,
    StepRecord,
    TouchedRecord,
    UpdateRecord,
    WorkspaceRecord,
)
from .step_cache import StepCache
from .tool_results import ToolResults

Ask = Callable[[], Awaitable[Answer]]


def step_key(agent: str, ordinal: int, request: Request) -> str:
    """Hash what a step asks: agent, ordinal, prompt, messages and parameters, not the route.

    SHA-256 over the UTF-8 of a JSON array, so it is the same in every process and system.
    """
    asked: list[object] = [
        agent,
        ordinal,
        request.system,
        [_turn(message) for message in request.messages],
        request.max_output_tokens,
        request.temperature,
    ]
    if request.tools:
        asked.append([asdict(tool) for tool in request.tools])
    text = json.dumps(asked, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _turn(message: Message) -> list[object]:
    """Return what a turn says; a turn of text alone is what it was before there were parts."""
    parts = [to_json(part) for part in message.parts]
    return [message.role, message.text, *([parts] if parts else [])]


@define
class Spent:
    """What an agent's calls cost so far, in all processes of the run.

    answer: US dollars of its last answer, None where there is none or its price is unknown.
    """

    calls: int = 0
    cost: float = 0.0
    answer: float | None = None


class StepStore:
    """Remembers what a run asked and got; the scheduler above does not know where that is kept.

    calls: the number of the run's last call.
    past: the ends of the calls that earlier processes made; their `at` counts back from now.
    updates: the changes that the operator asked for, the last one last.
    in_doubt: agents of calls that started and never ended: they may have been billed.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._paid = PaidAnswers(journal.path.name)
        self._started: dict[int, str] = {}
        self.tools = ToolResults()
        self._written: dict[str, set[str]] = {}
        self._exhausted: dict[str, int] = {}
        self._edits: set[tuple[str, str]] = set()
        self.spent: dict[str, Spent] = {}
        self.total = Spent()
        self.calls = 0
        self._elsewhere: StepCache | None = None
        self.updates: list[Update] = []
        self._carried_over: set[tuple[str, int]] = set()
        processes: list[list[CallEnded]] = [[]]
        for record in journal.records:
            self._recall(record)
            match record:
                case ProcessRecord():
                    processes.append([])
                case CallEnded():
                    processes[-1].append(record)
                case _:
                    pass
        self.past = _counted_back(processes)
        self.in_doubt = sorted(set(self._started.values()))

    def use_cache(self, elsewhere: StepCache) -> None:
        """Take answers that other runs have, too."""
        self._elsewhere = elsewhere

    async def step(self, key: str, ask: Ask, agent: str = "") -> Answer:
        """Give the answer of a step; ask for it only where it was never answered."""
        answers = self._paid.by_step
        if key not in answers and (found := self._elsewhere and self._elsewhere.find(key)):
            self._record(
                ReusedRecord(
                    step=key,
                    agent=agent,
                    text=found.response.text,
                    stop=found.response.stop,
                    route=found.route,
                    cost=found.response.cost,
                    parts=found.response.parts,
                    run=found.source,
                )
            )
        if key in answers:
            return evolve(answers[key], reused=True)
        answer = await ask()
        self._journal.append(self._done(key, answer), wait=False)
        answers[key] = answer
        return answer

    def _done(self, key: str, answer: Answer) -> StepRecord | AnswerRecord:
        """Make the record of an answer; its text stands with its call, where that is on record."""
        if self._paid.has_call(answer.call):
            return StepRecord(step=key, call=answer.call, route=answer.route)
        return AnswerRecord(
            step=key,
            agent=answer.agent,
            text=answer.response.text,
            stop=answer.response.stop,
            route=answer.route,
            cost=answer.response.cost,
            call=answer.call,
            parts=answer.response.parts,
        )

    async def flush(self) -> None:
        """Wait until calls, steps and deliverables so far are on the disk."""
        await self._journal.flush()

    def exhausted_budget(self, key: str) -> int:
        """Give the largest output budget that a step's thinking is known to have used up, or 0."""
        return self._exhausted.get(key, 0)

    def wrote(self, agent: str, text: str) -> None:
        """Remember an agent's deliverable before it is written, so that an edit is noticed.

        It is to be flushed before the file is written.
        """
        if _digest(text) not in self._written.get(agent, ()):
            self._record(DeliverableRecord(agent=agent, sha256=_digest(text)), wait=False)

    def is_edited(self, agent: str, text: str) -> bool:
        """Tell whether a text is no deliverable that the agent ever wrote."""
        return agent in self._written and _digest(text) not in self._written[agent]

    def is_new_edit(self, agent: str, text: str) -> bool:
        """Tell whether a text is an edit that no run has noticed yet."""
        return self.is_edited(agent, text) and (agent, _digest(text)) not in self._edits

    def edited(self, agent: str, text: str) -> None:
        """Record that a person's word stands in place of an agent's."""
        if (agent, _digest(text)) not in self._edits:
            self._record(EditRecord(agent=agent, sha256=_digest(text)))

    def begin(self, change: str, date: str, former: Mapping[str, str]) -> Update:
        """Record that the operator wants a change, and what there was before it."""
        number = len(self.updates) + 1
        self._record(UpdateRecord(number=number, date=date, change=change, former=dict(former)))
        return self.updates[-1]

    def touched(self, agents: Mapping[str, str]) -> Update:
        """Record whose work the last change touches, and why."""
        self._record(TouchedRecord(agents=dict(agents)))
        return self.updates[-1]

    def carry_over(self, key: str, agent: str, text: str) -> None:
        """Let a deliverable that the last change does not touch be the answer of a step."""
        number = len(self.updates)
        self._record(CarriedOverRecord(step=key, agent=agent, text=text, update=number))

    def is_carried_over(self, agent: str) -> bool:
        """Tell whether an agent's deliverable was already found untouched by the last change."""
        return (agent, len(self.updates)) in self._carried_over

    def remember(
        self, record: ToolStarted | ToolEnded | WorkspaceRecord | WorkspaceVerified
    ) -> None:
        """Record what happened to the workspace; it is to be flushed before anyone relies on it."""
        self._record(record, wait=False)

    def forget(self, agents: Collection[str]) -> None:
        """Let agents be asked again although nothing that they are asked has changed."""
        self._record(ForgottenRecord(agents=tuple(sorted(agents))))

    def notify(self, event: Event) -> None:
        """Record a start and a call's start and end; raise RunError where the disk is full."""
        match event:
            case RunStarted():
                self._record(ProcessRecord(when=event.when, agents=event.agents))
            case CallStarted() | CallEnded():
                self._record(event, wait=False)
            case _:
                pass

    def _record(self, record: Record, *, wait: bool = True) -> None:
        self._journal.append(record, wait=wait)
        self._recall(record)

    def _recall(self, record: Record) -> None:
        self._paid.add(record)
        self.tools.add(record)
        match record:
            case CallStarted():
                self.calls = max(self.calls, record.call)
                self._started[record.call] = record.agent
            case CallEnded():
                self._recall_end(record)
            case DeliverableRecord():
                self._written.setdefault(record.agent, set()).add(record.sha256)
            case UpdateRecord():
                self.updates.append(
                    Update(record.number, record.date, record.change, record.former)
                )
            case TouchedRecord():
                if not self.updates:
                    name = self._journal.path.name
                    raise JournalCorrupt(f"{name}: work was touched, and nothing was to change")
                self.updates[-1] = evolve(self.updates[-1], touched=record.agents)
            case CarriedOverRecord():
                self._carried_over.add((record.agent, record.update))
            case EditRecord():
                self._edits.add((record.agent, record.sha256))
            case _:
                pass

    def _recall_end(self, call: CallEnded) -> None:
        self._started.pop(call.call, None)
        if call.cause is Cause.THINKING_ONLY:
            most = self._exhausted.get(call.step, 0)
            self._exhausted[call.step] = max(call.max_output_tokens, most)
        spent = self.spent.setdefault(call.agent, Spent())
        for each in (spent, self.total):
            each.calls += 1
            each.cost += call.cost or 0.0
        if call.cause is None:
            spent.answer = call.cost


def past_calls(path: Path) -> list[CallEnded]:
    """Read the ends of all calls from a run's folder, whether or not the run goes on."""
    try:
        records, _ = read((path / "journal.jsonl").read_bytes(), str(path / "journal.jsonl"))
    except OSError as error:
        raise RunError(f"{path / 'journal.jsonl'}: cannot be read: {error.strerror}") from error
    return [record for record in records if isinstance(record, CallEnded)]


def _counted_back(processes: Sequence[Sequence[CallEnded]]) -> list[CallEnded]:
    """Let the calls of processes count back from the end of the last, one beside the other."""
    counted: list[CallEnded] = []
    length = 0.0
    for calls in reversed(processes):
        length += max((call.at for call in calls), default=0.0)
        counted[:0] = [evolve(call, at=call.at - length) for call in calls]
    return counted


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).hexdigest()
