"""What a run has paid for: its answered steps, remembered in the journal."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, define, evolve, fields

from ..errors import RunError
from ..types.agents import Route
from ..types.answer import Answer
from ..types.causes import Cause
from ..types.events import CallEnded, CallStarted, Event, RunStarted
from ..types.messages import Request, Response, Stop, Usage
from ..types.update import Update
from .journal import Journal, Record, read
from .step_cache import Elsewhere

KEPT = "person"  # in place of a route: nobody was asked
Ask = Callable[[], Awaitable[Answer]]


def step_key(agent: str, ordinal: int, request: Request) -> str:
    """Hash what a step asks: agent, ordinal, prompt, messages and parameters, not the route.

    SHA-256 over the UTF-8 of a JSON array, so it is the same in every process and system.
    """
    asked = [
        agent,
        ordinal,
        request.system,
        [[message.role, message.text] for message in request.messages],
        request.max_output_tokens,
        request.temperature,
    ]
    text = json.dumps(asked, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@define
class Spent:
    """What an agent's calls cost so far, in all processes of the run.

    answer: US dollars of its last answer, None where there is none or its price is unknown.
    """

    calls: int = 0
    cost: float = 0.0
    answer: float | None = None


class Memo:
    """The durable memo of a run's steps; the scheduler above does not know where it is kept.

    calls: the number of the run's last call.
    past: the ends of the calls that earlier processes made; their `at` counts back from now.
    updates: the changes that the operator asked for, the last one last.
    in_doubt: agents of calls that started and never ended: they may have been billed.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._answers: dict[str, Answer] = {}
        self._ended: dict[int, Answer] = {}
        self._started: dict[int, str] = {}
        self._written: dict[str, set[str]] = {}
        self._too_small: dict[str, int] = {}
        self._edits: set[tuple[str, str]] = set()
        self.spent: dict[str, Spent] = {}
        self.total = Spent()
        self.calls = 0
        self._elsewhere: Elsewhere | None = None
        self.updates: list[Update] = []
        self._adopted: set[tuple[str, int]] = set()
        processes: list[list[CallEnded]] = [[]]
        for record in journal.records:
            self._recall(record)
            if record["type"] == "run":
                processes.append([])
            if record["type"] == "call_ended":
                processes[-1].append(_event(record))
        self.past = _counted_back(processes)
        self.in_doubt = sorted(set(self._started.values()))

    def look_in(self, elsewhere: Elsewhere) -> None:
        """Take answers that other runs have, too."""
        self._elsewhere = elsewhere

    async def step(self, key: str, ask: Ask, agent: str = "") -> Answer:
        """Give the answer of a step; ask for it only where it was never answered."""
        if key in self._answers:
            return evolve(self._answers[key], reused=True)
        found = self._elsewhere.find(key) if self._elsewhere else None
        if found is not None:
            self._record("reused", step=key, agent=agent, **asdict(found))
            return evolve(self._answers[key], reused=True)
        answer = await ask()
        self._journal.append("step_done", wait=False, **self._done(key, answer))
        self._answers[key] = answer
        return answer

    def _done(self, key: str, answer: Answer) -> Record:
        """Say what answered a step; the text stands with its call, where that is on record."""
        done = {"step": key, "call": answer.call, "route": answer.route}
        if answer.call in self._ended:
            return done
        response = answer.response
        own = {"agent": answer.agent, "text": response.text, "stop": response.stop}
        return {**done, **own, "cost": response.cost}

    async def settle(self) -> None:
        """Wait until calls, steps and deliverables so far are on the disk."""
        await self._journal.settle()

    def too_small(self, key: str) -> int:
        """Give the largest output budget that a step's thinking is known to have used up, or 0."""
        return self._too_small.get(key, 0)

    def wrote(self, agent: str, text: str) -> None:
        """Remember an agent's deliverable before it is written, so that an edit is noticed.

        It is to be settled before the file is written.
        """
        written = self._written.setdefault(agent, set())
        if _digest(text) not in written:
            self._journal.append("deliverable", wait=False, agent=agent, sha256=_digest(text))
            written.add(_digest(text))

    def is_edited(self, agent: str, text: str) -> bool:
        """Tell whether a text is no deliverable that the agent ever wrote."""
        return agent in self._written and _digest(text) not in self._written[agent]

    def is_new_edit(self, agent: str, text: str) -> bool:
        """Tell whether a text is an edit that no run has noticed yet."""
        return self.is_edited(agent, text) and (agent, _digest(text)) not in self._edits

    def edited(self, agent: str, text: str) -> None:
        """Record that a person's word stands in place of an agent's."""
        if (agent, _digest(text)) not in self._edits:
            self._record("edited", agent=agent, sha256=_digest(text))

    def begin(self, change: str, date: str, former: Mapping[str, str]) -> Update:
        """Record that the operator wants a change, and what there was before it."""
        number = len(self.updates) + 1
        self._record("update", number=number, date=date, change=change, former=dict(former))
        return self.updates[-1]

    def touched(self, agents: Mapping[str, str]) -> Update:
        """Record whose work the last change touches, and why."""
        self._record("touched", agents=dict(agents))
        return self.updates[-1]

    def adopt(self, key: str, agent: str, text: str) -> None:
        """Let a deliverable that the last change does not touch be the answer of a step."""
        number = len(self.updates)
        self._record("adopted", step=key, agent=agent, text=text, update=number)

    def is_adopted(self, agent: str) -> bool:
        """Tell whether an agent's deliverable was already found untouched by the last change."""
        return (agent, len(self.updates)) in self._adopted

    def forget(self, agents: Collection[str]) -> None:
        """Let agents be asked again although nothing that they are asked has changed."""
        self._record("forgotten", agents=sorted(agents))

    def notify(self, event: Event) -> None:
        """Record a start and a call's start and end; raise RunError where the disk is full."""
        if isinstance(event, RunStarted):
            self._record("run", when=event.when, agents=list(event.agents))
        if isinstance(event, CallEnded):
            told = asdict(event, recurse=False) | {"usage": asdict(event.usage, recurse=False)}
            self._record("call_ended", wait=False, **told)
        elif isinstance(event, CallStarted):
            self._record("call_started", wait=False, **asdict(event, recurse=False))

    def _record(self, type: str, *, wait: bool = True, **values: Any) -> None:
        self._journal.append(type, wait=wait, **values)
        self._recall({"type": type, **values})

    def _recall(self, record: Record) -> None:
        match record["type"]:
            case "call_started":
                self.calls = max(self.calls, record["call"])
                self._started[record["call"]] = record["agent"]
            case "call_ended":
                self._recall_end(record)
            case "step_done":
                # An answer that came without the events of a call has its text here.
                own = "text" in record
                answer = _answer(record) if own else self._ended[record["call"]]
                self._answers[record["step"]] = evolve(answer, route=record["route"])
            case "deliverable":
                self._written.setdefault(record["agent"], set()).add(record["sha256"])
            case "update":
                names = ("number", "date", "change", "former")
                self.updates.append(Update(**{name: record[name] for name in names}))
            case "touched":
                self.updates[-1] = evolve(self.updates[-1], touched=record["agents"])
            case "reused":
                self._answers[record["step"]] = evolve(_answer(record), source=record["run"])
            case "adopted":
                self._adopted.add((record["agent"], record["update"]))
                self._answers[record["step"]] = self._adopt(record["agent"], record["text"])
            case "edited":
                self._edits.add((record["agent"], record["sha256"]))
            case "forgotten":
                self._forget(record["agents"])
            case _:
                pass  # from a later version, and of no weight here

    def _recall_end(self, record: Record) -> None:
        call, step, agent = record["call"], record["step"], record["agent"]
        self._started.pop(call, None)
        route = str(Route(record["provider"], record["model"]))
        answer = _answer({**record, "route": route})
        self._ended[call] = answer
        if record["cause"] is None:
            self._answers[step] = answer
        elif record["cause"] == Cause.THINKING_ONLY:
            budget = record["max_output_tokens"]
            self._too_small[step] = max(budget, self._too_small.get(step, 0))
        spent = self.spent.setdefault(agent, Spent())
        for each in (spent, self.total):
            each.calls += 1
            each.cost += record["cost"] or 0.0
        if record["cause"] is None:
            spent.answer = record["cost"]

    def _adopt(self, agent: str, text: str) -> Answer:
        before = [answer for answer in self._answers.values() if answer.agent == agent]
        answer = before[-1] if before else Answer(Response(""), KEPT, agent)
        return evolve(answer, response=evolve(answer.response, text=text, stop=Stop.END))

    def _forget(self, agents: Collection[str]) -> None:
        self._answers = {
            key: answer for key, answer in self._answers.items() if answer.agent not in agents
        }


def past_calls(path: Path) -> list[CallEnded]:
    """Read the ends of all calls from a run's folder, whether or not the run goes on."""
    try:
        records, _ = read((path / "journal.jsonl").read_bytes(), str(path / "journal.jsonl"))
    except OSError as error:
        raise RunError(f"{path / 'journal.jsonl'}: cannot be read: {error.strerror}") from error
    return [_event(record) for record in records if record["type"] == "call_ended"]


def _answer(record: Record) -> Answer:
    """Read the answer that a record holds."""
    response = Response(record["text"], stop=Stop(record["stop"]), cost=record["cost"])
    return Answer(response, record["route"], record["agent"], record.get("call", 0))


def _counted_back(processes: Sequence[Sequence[CallEnded]]) -> list[CallEnded]:
    """Let the calls of processes count back from the end of the last, one beside the other."""
    counted: list[CallEnded] = []
    length = 0.0
    for calls in reversed(processes):
        length += max((call.at for call in calls), default=0.0)
        counted[:0] = [evolve(call, at=call.at - length) for call in calls]
    return counted


def _event(record: Record) -> CallEnded:
    values = {field.name: record[field.name] for field in fields(CallEnded) if field.name in record}
    values["cause"] = Cause(record["cause"]) if record["cause"] else None
    values["held"] = tuple((reason, seconds) for reason, seconds in record.get("held", ()))
    return CallEnded(**values | {"stop": Stop(record["stop"]), "usage": Usage(**record["usage"])})


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).hexdigest()
