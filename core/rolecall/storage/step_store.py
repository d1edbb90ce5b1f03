"""The durable memory of a run: each step that was answered is never asked again."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping

from attrs import asdict, evolve

from ..errors import JournalCorrupt
from ..types.answer import Answer
from ..types.events import (
    CallEnded,
    CallStarted,
    ConsentDecided,
    Event,
    Rerouted,
    RunStarted,
    ToolEnded,
    ToolStarted,
    WorkspaceVerified,
)
from ..types.messages import Message, Request
from ..types.parts import to_json
from ..types.update import Update
from .acting.tool_results import ToolResults
from .call_log import CallLog
from .journal import Journal
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
    TrustedRecord,
    UpdateRecord,
    WorkspaceRecord,
)
from .step_cache import StepCache
from .written_texts import WrittenTexts, digest

Ask = Callable[[], Awaitable[Answer]]


def step_key(agent: str, ordinal: int, request: Request) -> str:
    """Hash what a step asks: agent, ordinal, prompt, messages and parameters, not the route.

    SHA-256 over the UTF-8 of a JSON array, so it is the same in every process and system.
    """
    question: list[object] = [
        agent,
        ordinal,
        request.system,
        [_turn(message) for message in request.messages],
        request.max_output_tokens,
        request.temperature,
    ]
    if request.tools:
        question.append([asdict(tool) for tool in request.tools])
    if request.schema is not None:
        question.append({"schema": request.schema, "is_part": request.schema_is_part})
    text = json.dumps(question, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _turn(message: Message) -> list[object]:
    """Return what a turn says; a turn of text alone is what it was before there were parts."""
    parts = [to_json(part) for part in message.parts]
    return [message.role, message.text, *([parts] if parts else [])]


class StepStore:
    """Remembers what a run asked and got; the scheduler above does not know where that is kept.

    calls, texts, tools: what the records so far come to.
    updates: the changes that the operator asked for, the last one last.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._paid = PaidAnswers(journal.path.name)
        self._cache: StepCache | None = None
        self._carried_over: set[tuple[str, int]] = set()
        self.calls = CallLog(journal.records)
        self.texts = WrittenTexts()
        self.tools = ToolResults()
        self.updates: list[Update] = []
        for record in journal.records:
            self._recall(record)

    def use_cache(self, cache: StepCache) -> None:
        """Take answers that other runs have, too."""
        self._cache = cache

    async def step(self, key: str, ask: Ask, agent: str = "") -> Answer:
        """Return the answer to a step; ask for it only where it was never answered."""
        answers = self._paid.by_step
        if key not in answers and (cached := self._cache and self._cache.find(key)):
            self._record(_reused(key, agent, cached))
        if key in answers:
            return evolve(answers[key], step=key, reused=True)
        answer = await ask()
        self._journal.append(self._answered(key, answer), wait=False)
        answers[key] = answer
        return answer

    def is_answered(self, key: str) -> bool:
        """Check whether a step was answered in this run."""
        return key in self._paid.by_step

    def _answered(self, key: str, answer: Answer) -> StepRecord | AnswerRecord:
        """Make the record of an answer, whose text is with its call where that is on record."""
        if self.calls.has_ended(answer.call):
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

    def record_deliverable(self, agent: str, text: str) -> None:
        """Record an agent's deliverable; flush before its file is written.

        Without a record the file would look like a person's edit after a crash.
        """
        if not self.texts.is_written(agent, text):
            self._record(DeliverableRecord(agent=agent, sha256=digest(text)), wait=False)

    def record_edit(self, agent: str, text: str) -> None:
        """Record that a person's text stands in place of an agent's, unless that is known."""
        if self.texts.is_new_edit(agent, text):
            self._record(EditRecord(agent=agent, sha256=digest(text)))

    def own_text(self, agent: str) -> str | None:
        """Return the last deliverable that an agent wrote, where the journal still has it whole."""
        pieces = [
            answer.response.text for answer in self._paid.by_step.values() if answer.agent == agent
        ]
        ranges = ((start, end) for end in range(len(pieces), 0, -1) for start in range(end))
        texts = ("".join(pieces[start:end]) for start, end in ranges)
        return next((text for text in texts if self.texts.is_written(agent, text)), None)

    def record_update(self, change: str, date: str, former: Mapping[str, str]) -> Update:
        """Record a change that the operator asks for, with the deliverables before it."""
        number = len(self.updates) + 1
        self._record(UpdateRecord(number=number, date=date, change=change, former=dict(former)))
        return self.updates[-1]

    def record_touched(self, agents: Mapping[str, str]) -> Update:
        """Record whose work the last change touches, and why."""
        self._record(TouchedRecord(agents=dict(agents)))
        return self.updates[-1]

    def carry_over(self, key: str, agent: str, text: str) -> None:
        """Record a deliverable that the last change does not touch as the answer to a step."""
        number = len(self.updates)
        self._record(CarriedOverRecord(step=key, agent=agent, text=text, update=number))

    def is_carried_over(self, agent: str) -> bool:
        """Check whether an agent's deliverable is recorded as untouched by the last change."""
        return (agent, len(self.updates)) in self._carried_over

    def remember(
        self,
        record: ToolStarted | ToolEnded | ConsentDecided | WorkspaceRecord | WorkspaceVerified,
        *,
        wait: bool = False,
    ) -> None:
        """Record what happened to the workspace; it is to be flushed before anyone relies on it.

        wait: flush it at once, where no event loop runs.
        """
        self._record(record, wait=wait)

    def trust(self, when: float) -> None:
        """Record that a run of somebody else goes on as the user's own."""
        self._record(TrustedRecord(when=when))

    def forget(self, agents: Collection[str]) -> None:
        """Drop the answers of agents, so that they are asked again although nothing has changed."""
        self._record(ForgottenRecord(agents=tuple(sorted(agents))))

    def notify(self, event: Event) -> None:
        """Record the start of a run, of calls the start and the end, and where they were moved.

        Raises RunError where the disk is full.
        """
        match event:
            case RunStarted():
                self._record(ProcessRecord(when=event.when, agents=event.agents))
            case CallStarted() | CallEnded() | Rerouted():
                # For the books alone: an answer comes back from who was asked.
                self._journal.append(event, wait=False)
                self.calls.add(event)
            case _:
                pass

    def _record(self, record: Record, *, wait: bool = True) -> None:
        self._journal.append(record, wait=wait)
        self.calls.add(record)
        self._recall(record)

    def _recall(self, record: Record) -> None:
        self._paid.add(record)
        self.texts.add(record)
        self.tools.add(record)
        match record:
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
            case _:
                pass


def _reused(key: str, agent: str, cached: Answer) -> ReusedRecord:
    return ReusedRecord(
        step=key,
        agent=agent,
        text=cached.response.text,
        stop=cached.response.stop,
        route=cached.route,
        cost=cached.response.cost,
        parts=cached.response.parts,
        run=cached.source,
    )
