"""How far a run has come: a row for each agent, a line for each provider."""

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
    """Where an agent stands."""

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


THROUGH = frozenset({State.DONE, State.KEPT, State.CUT, State.FAILED, State.BLOCKED})


@define
class Row:
    """One agent.

    level: agents on the longest path before it. detail: what is particular about its state.
    since, started: seconds since the run's start. hops: the routes that it left, and why.
    """

    agent: str
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

    def turn(self, state: State, at: float, detail: str = "") -> None:
        """Let the agent stand elsewhere."""
        self.state, self.since, self.detail = state, at, detail

    def write(self, text: str) -> None:
        """Let the answer grow."""
        self.characters += len(text)
        self.tail = (self.tail + text)[-TAIL:]


@define
class Line:
    """One provider; `starts` are those of the last minute's calls, `open` its routes left alone."""

    under_way: int = 0
    starts: deque[float] = field(factory=deque)
    open: dict[str, str] = field(factory=dict)

    def rate(self, now: float) -> int:
        """Count the calls that started within the last minute."""
        for _ in list(takewhile(lambda start: start <= now - MINUTE, self.starts)):
            self.starts.popleft()
        return len(self.starts)


class Board:
    """Listens to a run, and keeps what can be shown of it at any moment."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.lines: dict[str, Line] = {}
        self.ledger = Ledger()
        self.forecast: Forecast | None = None

    @property
    def through(self) -> int:
        """Count the agents that are through, whether or not with success."""
        return sum(row.state in THROUGH for row in self.rows.values())

    def row(self, agent: str) -> Row:
        """Give an agent's row; one that works without a team has a row of its own."""
        return self.rows.setdefault(agent, Row(agent, 0, (), ""))

    def waits_for(self, row: Row) -> list[str]:
        """Name the needs of an agent that are not there yet."""
        return [name for name in row.needs if self.rows[name].state not in THROUGH]

    def sums(self, agent: str) -> Totals:
        return self.ledger.agents.get(agent, Totals())

    def notify(self, event: Event) -> None:
        self.ledger.notify(event)
        match event:
            case RunStarted():
                self._begin(event)
            case AgentStarted(at=at, agent=agent):
                self.row(agent).started = at
                self.row(agent).turn(State.READY, at)
            case CallWaiting(at=at, agent=agent):
                self._call(event).turn(State.PERMIT, at)
            case CallHeld(at=at, agent=agent):
                self.row(agent).turn(State.PERMIT, at, event.reason)
            case CallStarted(at=at):
                self._line(event.provider).under_way += 1
                self._line(event.provider).starts.append(at)
                row = self._call(event)
                row.characters, row.tail = 0, ""
                row.turn(State.CALLING, at)
            case CallText(agent=agent):
                self.row(agent).write(event.delta)
            case CallEnded(at=at, agent=agent):
                self._line(event.provider).under_way -= 1
                self.row(agent).reused = False
                self.row(agent).turn(State.READY, at)
            case Retrying(at=at, agent=agent):
                self.row(agent).turn(State.RETRYING, at + event.delay, event.cause)
            case FellBack(agent=agent):
                provider = event.route.partition("/")[0]
                self.row(agent).hops.append(f"{provider}: {event.cause}")
            case RouteOpened(route=route):
                self._line(route.partition("/")[0]).open[route] = event.cause
            case RouteProbed(route=route):
                self._line(route.partition("/")[0]).open[route] = "being probed"
            case RouteClosed(route=route):
                self._line(route.partition("/")[0]).open.pop(route, None)
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
        self.rows = {
            name: Row(name, levels[name], needs.get(name, ()), providers.get(name, ""))
            for name in event.agents
        }
        self.lines = {name: Line() for name in dict.fromkeys(providers.values())}
        self.forecast = event.forecast
        for call in event.past:
            self.ledger.notify(call)

    def _finish(self, event: Event) -> None:
        match event:
            case StepReused(agent=agent):
                self.row(agent).reused = True
            case AgentDone(at=at, agent=agent):
                row = self.row(agent)
                row.provider = event.route.partition("/")[0]
                state = State.KEPT if row.reused else State.DONE
                row.turn(State.CUT if event.cut else state, at)
            case DeliverableKept(at=at, agent=agent):
                self.row(agent).turn(State.KEPT, at, "as its file stands")
            case AgentFailed(at=at, agent=agent):
                self.row(agent).turn(State.FAILED, at, event.error)
            case AgentBlocked(at=at, agent=agent):
                self.row(agent).turn(State.BLOCKED, at, event.by)
            case _:
                pass

    def _call(self, event: CallWaiting | CallStarted) -> Row:
        row = self.row(event.agent)
        row.provider = event.provider
        return row

    def _line(self, provider: str) -> Line:
        return self.lines.setdefault(provider, Line())
