"""How far a run has come, by agent and by provider."""

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from graphlib import TopologicalSorter
from itertools import takewhile

from attrs import define, field

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
    DeliverableKept,
    Event,
    FellBack,
    Forecast,
    Ledger,
    Retrying,
    RouteClosed,
    RouteOpened,
    RouteProbed,
    RunStarted,
    StepReused,
    Totals,
)

MINUTE = 60.0  # seconds
TAIL = 200  # characters of a growing text that are kept to be shown


class State(StrEnum):
    """What an agent is doing."""

    NEEDS = "needs"
    READY = "ready"
    PERMIT = "permit"
    CALLING = "calling"
    RETRYING = "retrying"
    DONE = "done"
    KEPT = "kept"
    CUT = "cut"
    FAILED = "failed"
    BLOCKED = "blocked"


FINISHED = frozenset({State.DONE, State.KEPT, State.CUT, State.FAILED, State.BLOCKED})


@define
class AgentProgress:
    """The progress of one agent.

    level: length of the longest chain of needs before it. detail: what is particular about its
    state. since, started: seconds since the run's start. hops: the routes that it left, and why.
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
                self.agent(agent).enter(State.READY, at)
            case Retrying(at=at, agent=agent):
                self.agent(agent).enter(State.RETRYING, at + event.delay, event.cause)
            case FellBack(agent=agent):
                provider = event.route.partition("/")[0]
                self.agent(agent).hops.append(f"{provider}: {event.cause}")
            case RouteOpened(route=route):
                self._provider(route.partition("/")[0]).open[route] = event.cause
            case RouteProbed(route=route):
                self._provider(route.partition("/")[0]).open[route] = "probing"
            case RouteClosed(route=route):
                self._provider(route.partition("/")[0]).open.pop(route, None)
            case _:
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
        for call in event.past:
            self.ledger.notify(call)

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
