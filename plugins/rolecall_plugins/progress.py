"""How far a run has come, by agent and by provider."""

import json
from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from graphlib import TopologicalSorter
from itertools import takewhile
from typing import Any

from attrs import define, field, frozen

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    CallEnded,
    CallHeld,
    CallStarted,
    CallText,
    CallWaiting,
    Check,
    CheckStarted,
    ConsentAsked,
    ConsentDecided,
    DeliverableKept,
    Event,
    FellBack,
    Forecast,
    Ledger,
    RepairStarted,
    Rerouted,
    Retrying,
    RoundStarted,
    RouteClosed,
    RouteOpened,
    RouteProbed,
    RunStarted,
    StepReused,
    Stop,
    ToolEnded,
    ToolStarted,
    Totals,
    WorkspaceVerified,
)

MINUTE = 60.0  # seconds
TAIL = 200  # characters of a growing text that are kept to be shown
BARE = 80  # characters of an argument that is shown as it is
SHOWN = 200  # characters of a call's arguments that are shown


class State(StrEnum):
    """What an agent is doing."""

    NEEDS = "needs"
    READY = "ready"
    PERMIT = "permit"
    CALLING = "calling"
    RETRYING = "retrying"
    ACTING = "acting"
    CONSENT = "consent"
    CHECKING = "checking"
    DONE = "done"
    KEPT = "kept"
    CUT = "cut"
    FAILED = "failed"
    BLOCKED = "blocked"


FINISHED = frozenset({State.DONE, State.KEPT, State.CUT, State.FAILED, State.BLOCKED})


@frozen
class RunningTool:
    """A tool call under way; `since` is in seconds since the run's start."""

    tool: str
    arguments: str
    since: float


@define
class AgentProgress:
    """The progress of one agent.

    level: length of the longest chain of needs before it. detail: what is particular about its
    state. since, started: seconds since the run's start. hops: the routes that it left, and why.
    round, rounds: how often it was asked in a conversation with tools, 0 without any, and at most.
    repair, repairs: how often its work went back to it, and at most. tools: its calls under way.
    """

    name: str
    level: int
    needs: tuple[str, ...]
    provider: str
    state: State = State.NEEDS
    detail: str = ""
    since: float = 0.0
    started: float | None = None
    characters: int = 0
    tail: str = ""
    reused: bool = False
    hops: list[str] = field(factory=list)
    round: int = 0
    rounds: int = 0
    repair: int = 0
    repairs: int = 0
    tools: dict[tuple[str, str], RunningTool] = field(factory=dict)

    def enter(self, state: State, at: float, detail: str = "") -> None:
        """Enter a state."""
        self.state, self.since, self.detail = state, at, detail

    def append(self, text: str) -> None:
        """Append a piece of the answer."""
        self.characters += len(text)
        self.tail = (self.tail + text)[-TAIL:]


@define
class ProviderProgress:
    """The progress of one provider.

    starts: those of the last minute's calls. open: its routes whose circuit is open, and why.
    """

    under_way: int = 0
    starts: deque[float] = field(factory=deque)
    open: dict[str, str] = field(factory=dict)

    def rate(self, now: float) -> int:
        """Count the calls that started within the last minute."""
        for _ in list(takewhile(lambda start: start <= now - MINUTE, self.starts)):
            self.starts.popleft()
        return len(self.starts)


class RunProgress:
    """An observer that keeps what can be shown of a run at any moment."""

    def __init__(self) -> None:
        self.agents: dict[str, AgentProgress] = {}
        self.providers: dict[str, ProviderProgress] = {}
        self.ledger = Ledger()
        self.forecast: Forecast | None = None

    @property
    def finished(self) -> int:
        """Count the agents that are finished, successfully or not."""
        return sum(agent.state in FINISHED for agent in self.agents.values())

    def agent(self, name: str) -> AgentProgress:
        """Return an agent's progress; one that belongs to no team is added."""
        return self.agents.setdefault(name, AgentProgress(name, 0, (), ""))

    def unmet_needs(self, agent: AgentProgress) -> list[str]:
        """List the needs of an agent that are not finished."""
        return [name for name in agent.needs if self.agents[name].state not in FINISHED]

    def totals(self, agent: str) -> Totals:
        return self.ledger.agents.get(agent, Totals())

    def notify(self, event: Event) -> None:
        self.ledger.notify(event)
        match event:
            case RunStarted():
                self._begin(event)
            case AgentStarted(at=at, agent=agent):
                self.agent(agent).started = at
                self.agent(agent).enter(State.READY, at)
            case CallWaiting(at=at, agent=agent):
                self._call(event).enter(State.PERMIT, at)
            case CallHeld(at=at, agent=agent):
                self.agent(agent).enter(State.PERMIT, at, event.reason)
            case CallStarted(at=at):
                self._provider(event.provider).under_way += 1
                self._provider(event.provider).starts.append(at)
                progress = self._call(event)
                progress.characters, progress.tail = 0, ""
                progress.enter(State.CALLING, at)
            case CallText(agent=agent):
                self.agent(agent).append(event.delta)
            case CallEnded(at=at, agent=agent):
                self._provider(event.provider).under_way -= 1
                self.agent(agent).reused = False
                self.agent(agent).enter(State.READY, at, _follows(event))
            case Retrying(at=at, agent=agent):
                self.agent(agent).enter(State.RETRYING, at + event.delay, event.cause)
            case FellBack(agent=agent):
                provider = event.route.partition("/")[0]
                self.agent(agent).hops.append(f"fell back from {provider}: {event.cause}")
            case Rerouted(agent=agent):
                provider = event.route.partition("/")[0]
                self.agent(agent).hops.append(f"moved from {provider}: {event.why}")
            case RouteOpened(route=route):
                self._provider(_provider_of(route)).open[route] = event.cause
            case RouteProbed(route=route):
                self._provider(_provider_of(route)).open[route] = "probing"
            case RouteClosed(route=route):
                self._provider(_provider_of(route)).open.pop(route, None)
            case _:
                self._act(event)
                self._finish(event)

    def _begin(self, event: RunStarted) -> None:
        needs: Mapping[str, tuple[str, ...]] = dict(event.needs)
        providers = dict(event.first_choices)
        levels: dict[str, int] = {}
        for name in TopologicalSorter(
            {name: needs.get(name, ()) for name in event.agents}
        ).static_order():
            levels[name] = 1 + max((levels[need] for need in needs.get(name, ())), default=-1)
        self.agents = {
            name: AgentProgress(name, levels[name], needs.get(name, ()), providers.get(name, ""))
            for name in event.agents
        }
        self.providers = {name: ProviderProgress() for name in dict.fromkeys(providers.values())}
        self.forecast = event.forecast
        for past in (*event.past, *event.acted, *event.verified):
            self.ledger.notify(past)

    def _act(self, event: Event) -> None:
        match event:
            case RoundStarted(agent=agent):
                self.agent(agent).round, self.agent(agent).rounds = event.round, event.rounds
            case ToolStarted(at=at, agent=agent):
                arguments = describe_arguments(event.arguments)
                running = RunningTool(event.tool, arguments, at)
                self.agent(agent).tools[event.step, event.call] = running
                self.agent(agent).enter(State.ACTING, at)
            case ToolEnded(at=at, agent=agent):
                progress = self.agent(agent)
                progress.tools.pop((event.step, event.call), None)
                # A call that was cut off ends before its agent begins again.
                if not progress.tools and progress.started is not None:
                    progress.enter(State.READY, at)
            case ConsentAsked(at=at, agent=agent):
                call = f"{event.tool} {describe_arguments(event.arguments)}"
                self.agent(agent).enter(State.CONSENT, at, call.rstrip())
            case ConsentDecided(at=at, agent=agent):
                self.agent(agent).enter(State.READY, at)
            case CheckStarted(at=at, agent=agent):
                of = f"{event.number} of {event.checks}: " if event.checks > 1 else ""
                self.agent(agent).enter(State.CHECKING, at, f"{of}{event.command}")
            case WorkspaceVerified(at=at, agent=agent):
                self.agent(agent).enter(State.READY, at)
            case RepairStarted(agent=agent):
                self.agent(agent).repair, self.agent(agent).repairs = event.repair, event.repairs
            case _:
                pass

    def _finish(self, event: Event) -> None:
        match event:
            case StepReused(agent=agent):
                self.agent(agent).reused = True
            case AgentDone(at=at, agent=agent):
                progress = self.agent(agent)
                progress.provider = event.route.partition("/")[0]
                state = State.KEPT if progress.reused else State.DONE
                progress.enter(State.CUT if event.cut else state, at)
            case DeliverableKept(at=at, agent=agent):
                self.agent(agent).enter(State.KEPT, at, "as it is in its file")
            case AgentFailed(at=at, agent=agent):
                self.agent(agent).enter(State.FAILED, at, event.error)
            case AgentBlocked(at=at, agent=agent):
                self.agent(agent).enter(State.BLOCKED, at, event.by)
            case _:
                pass

    def _call(self, event: CallWaiting | CallStarted) -> AgentProgress:
        agent = self.agent(event.agent)
        agent.provider = event.provider
        return agent

    def _provider(self, name: str) -> ProviderProgress:
        return self.providers.setdefault(name, ProviderProgress())


def _follows(call: CallEnded) -> str:
    """Describe what an agent does after a call."""
    if call.cause is not None:
        return ""
    return "waits for its turn" if call.stop is Stop.TOOL_USE else "answered"


def printable(text: str) -> str:
    """Replace what cannot be printed of a text that a model or a vendor wrote."""
    return "".join(character if character.isprintable() else " " for character in text)


def describe_arguments(arguments: Mapping[str, Any]) -> str:
    """Describe a tool call's arguments in one line: short ones as they are, long ones counted."""
    words = (
        _describe(name, value, is_first=number == 0)
        for number, (name, value) in enumerate(arguments.items())
    )
    return shorten(", ".join(words), SHOWN)


def describe_verified(verified: WorkspaceVerified) -> str:
    """Describe in one line what checks came to, those that failed by name."""
    passed = sum(check.has_passed for check in verified.checks)
    failed = [
        f"{check.command} ({describe_ending(check)})"
        for check in verified.checks
        if not check.has_passed
    ]
    words = f"{passed} of {len(verified.checks)} checks passed"
    words += " (replayed, not run)" if verified.replayed else ""
    return f"{words}, failed: {', '.join(failed)}" if failed else words


def describe_ending(check: Check) -> str:
    """Describe how the command of a check ended."""
    return f"limit on {check.stopped}" if check.stopped else f"exit status {check.code}"


def shorten(text: str, longest: int) -> str:
    """Make one printable line of a text, cut where it is longer."""
    line = " ".join(printable(text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _describe(name: str, value: object, is_first: bool) -> str:
    if not isinstance(value, str):
        return f"{name}={shorten(json.dumps(value, ensure_ascii=False), BARE)}"
    lines = value.count("\n") + (not value.endswith("\n"))
    if len(value) <= BARE and lines == 1:
        return value.strip() if is_first else f"{name}={value.strip()}"
    if is_first:
        return shorten(value, BARE)
    return f"{name}: {lines} lines" if lines > 1 else f"{name}: {len(value):,} characters"


def _provider_of(route: str) -> str:
    """Return a route's provider, also where the route is a part of one of its quotas."""
    return route.partition("/")[0].partition("@")[0]
