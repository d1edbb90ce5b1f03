"""What a report says of a run, gathered from its events and its folder."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from attrs import field, frozen

from rolecall import (
    AgentDone,
    CallEnded,
    DeliverableKept,
    Event,
    Ledger,
    RunEnded,
    RunError,
    RunStarted,
    SafeFolder,
    ToolEnded,
    Totals,
    WorkspaceLeft,
    WorkspaceVerified,
)

from ..progress import FINISHED, AgentProgress, RunProgress, State

PLAN = "PLAN.md"
# Around what rolecall itself wrote into the plan; a page shows no comments.
_MARK = re.compile(r"^<!-- (?:\w+ by rolecall|end of [\w' ]+) -->\n?", re.MULTILINE)
NOT_RUN = "not run"


@frozen
class CallRecord:
    """A call; times are seconds since the first call of the run asked for its permit.

    first: when the first piece of its text came, None where it was not streamed.
    """

    event: CallEnded
    queued: float
    permitted: float
    first: float | None
    ended: float

    @classmethod
    def of(cls, event: CallEnded, origin: float) -> "CallRecord":
        """Record a call of a run whose first call asked for its permit at `origin`."""
        permitted = event.at - event.took - origin
        return cls(
            event=event,
            queued=permitted - event.waited,
            permitted=permitted,
            first=None if event.first_text is None else permitted + event.first_text,
            ended=event.at - origin,
        )


@frozen
class ToolRecord:
    """A tool call; times are as in `CallRecord`. changed: whether it left other files behind."""

    event: ToolEnded
    began: float
    ended: float
    changed: bool


@frozen
class VerificationRecord:
    """Checks of the workspace; times are as in `CallRecord`."""

    event: WorkspaceVerified
    began: float
    ended: float


@frozen
class AgentRecord:
    """An agent; `text` is its deliverable, from `file`, both empty where there is none.

    planned: the provider that it was to run on. route: where its answer came from. detail: why it
    failed or was not run. hops: the routes that it left, and why.
    """

    name: str
    level: int
    needs: tuple[str, ...]
    planned: str
    route: str
    state: str
    detail: str
    hops: tuple[str, ...]
    file: str
    text: str
    totals: Totals

    @property
    def provider(self) -> str:
        """Return the provider that answered, else the one that was planned."""
        return self.route.partition("/")[0] or self.planned


@frozen
class ProviderRecord:
    """A provider, with the number of agents planned for it and of those that it answered."""

    name: str
    planned: int
    answered: int
    totals: Totals


@frozen(slots=False)
class RunRecord:
    """A run that is over.

    plan: the text of PLAN.md, empty where there is none. resumed: seconds after the first call at
    which the last process took up the run, 0 where there was only one.
    left: what the agents left in the workspace, None where none of them changed it.
    """

    folder: Path
    started: RunStarted
    ended: RunEnded
    ledger: Ledger
    agents: tuple[AgentRecord, ...]
    calls: tuple[CallRecord, ...]
    providers: tuple[ProviderRecord, ...]
    plan: str
    resumed: float
    tools: tuple[ToolRecord, ...] = ()
    verified: tuple[VerificationRecord, ...] = ()
    left: WorkspaceLeft | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float:
        """Return how long processes worked on the run."""
        return self.ended.at + self.resumed

    @property
    def resume(self) -> str:
        """Return the command that goes on with the run."""
        return f"rolecall resume {shlex.quote(str(self.folder))}"

    @property
    def missing(self) -> list[AgentRecord]:
        """List the agents without a deliverable."""
        return [agent for agent in self.agents if not agent.file]

    @property
    def cut(self) -> list[AgentRecord]:
        """List the agents whose deliverable the output limit cut off."""
        return [agent for agent in self.agents if agent.state == State.CUT]

    @property
    def plan_text(self) -> str:
        """Return the plan without the marks around what was verified."""
        return _MARK.sub("", self.plan)

    @property
    def planner(self) -> str:
        """Return whose deliverable the plan is; empty for a plan of an earlier state of the run."""
        return next((agent.name for agent in self.agents if agent.text == self.plan != ""), "")

    @property
    def is_verified_as_left(self) -> bool:
        """Check whether nothing was changed after the last verification."""
        trees = [tool.event.tree for tool in self.tools if tool.event.tree]
        return bool(self.verified) and self.verified[-1].event.tree in trees[-1:]

    @property
    def causes(self) -> Sequence[tuple[str, int]]:
        """Count the calls that gave no answer by cause, the most frequent first."""
        return Counter(call.event.cause for call in self.calls if call.event.cause).most_common()

    @cached_property
    def critical_path(self) -> Sequence[str]:
        """List the agents that the run's end waited for, in order."""
        ends: dict[str, float] = {}
        for call in self.calls:
            ends[call.event.agent] = max(call.ended, ends.get(call.event.agent, 0.0))
        needs = {agent.name: agent.needs for agent in self.agents}
        path: list[str] = []
        ahead: Iterable[str] = needs
        while called := [name for name in ahead if name in ends]:
            path.insert(0, max(called, key=ends.__getitem__))
            ahead = needs[path[0]]
        return path


class RunRecorder:
    """An observer that records a run."""

    def __init__(self) -> None:
        self._progress = RunProgress()
        self._started: RunStarted | None = None
        self._ended: RunEnded | None = None
        self._calls: list[CallEnded] = []
        self._files: dict[str, str] = {}
        self._tools: list[ToolEnded] = []
        self._verified: list[WorkspaceVerified] = []
        self._left: WorkspaceLeft | None = None

    def notify(self, event: Event) -> None:
        self._progress.notify(event)
        match event:
            case RunStarted():
                self._started = event
                self._calls += event.past
                self._tools += event.acted
                self._verified += event.verified
            case CallEnded():
                self._calls.append(event)
            case ToolEnded():
                self._tools.append(event)
            case WorkspaceVerified():
                self._verified.append(event)
            case WorkspaceLeft():
                self._left = event
            case AgentDone() | DeliverableKept():
                self._files[event.agent] = event.file
            case RunEnded():
                self._ended = event
            case _:
                pass

    def record(self) -> RunRecord | None:
        """Return the run, with what its folder holds; None before its end."""
        if self._started is None or self._ended is None:
            return None
        ledger = self._progress.ledger
        folder = SafeFolder(Path(self._started.folder))
        planned = dict(self._started.first_choices)
        counts = Counter(planned.values())
        origin = min((call.at - call.took - call.waited for call in self._calls), default=0.0)
        return RunRecord(
            folder=folder.path,
            started=self._started,
            ended=self._ended,
            ledger=ledger,
            agents=tuple(
                self._agent(agent, planned.get(agent.name, ""), folder)
                for agent in self._progress.agents.values()
            ),
            calls=tuple(CallRecord.of(call, origin) for call in self._calls),
            providers=tuple(
                ProviderRecord(
                    name=name,
                    planned=counts[name],
                    answered=ledger.distribution.get(name, 0),
                    totals=ledger.providers.get(name, Totals()),
                )
                for name in sorted({*counts, *ledger.providers})
            ),
            plan=_read(folder, PLAN),
            resumed=max(0.0, -origin) if self._started.past else 0.0,
            tools=tuple(self._tool_records(origin)),
            verified=tuple(
                VerificationRecord(each, each.at - origin - _seconds(each), each.at - origin)
                for each in self._present_last()
            ),
            left=self._left,
        )

    def _present_last(self) -> list[WorkspaceVerified]:
        """List what was verified, last of all of the present state, which may be an earlier one."""
        trees = [event.tree for event in self._tools if event.tree]
        return sorted(self._verified, key=lambda each: each.tree in trees[-1:])

    def _tool_records(self, origin: float) -> Iterator[ToolRecord]:
        tree = ""
        for event in self._tools:
            changed = event.tree not in ("", tree)
            tree = event.tree or tree
            end = event.at - origin
            yield ToolRecord(event, end - event.took, end, changed)

    def _agent(self, agent: AgentProgress, planned: str, folder: SafeFolder) -> AgentRecord:
        file = self._files.get(agent.name, "")
        return AgentRecord(
            name=agent.name,
            level=agent.level,
            needs=agent.needs,
            planned=planned,
            route=self._progress.ledger.answered.get(agent.name, ""),
            state=agent.state if agent.state in FINISHED else NOT_RUN,
            detail=f"{agent.detail} failed" if agent.state is State.BLOCKED else agent.detail,
            hops=tuple(agent.hops),
            file=file,
            text=_read(folder, file) if file else "",
            totals=self._progress.totals(agent.name),
        )


def _seconds(verified: WorkspaceVerified) -> float:
    return sum(check.seconds for check in verified.checks)


def _read(folder: SafeFolder, name: str) -> str:
    """Read a file of a run, empty where there is none; an error is told in its place."""
    try:
        return folder.read_text(name) or ""
    except RunError as error:
        return f"*{error}*"
