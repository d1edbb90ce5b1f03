"""What agents and routes took in past runs."""

from collections.abc import Iterable, Mapping
from statistics import fmean
from types import MappingProxyType

from attrs import define, field, frozen

from ..types.events import CallEnded
from ..usage import Usage

USUAL = 30.0  # seconds of an agent of which nothing is known
TIMED = 100  # first pieces of text that are remembered of a route


@define
class AgentHistory:
    """What an agent's calls came to in one run, or on average in many.

    seconds: of calling, without what was waited for permits. cost: US dollars, None where a price
    is unknown.
    """

    seconds: float = 0.0
    calls: float = 0.0
    input: float = 0.0
    output: float = 0.0
    cost: float | None = 0.0

    def add(self, call: CallEnded) -> None:
        self.seconds += call.took
        self.calls += 1
        self.input += call.usage.input
        self.output += call.usage.output
        if call.cost is None:
            is_untold = call.cause is None and call.usage == Usage()
            self.cost = None if call.usage.output or is_untold else self.cost
        elif self.cost is not None:
            self.cost += call.cost


@define
class RouteHistory:
    """What the answers of a route took.

    seconds, output: in all, of calling and of tokens written.
    first: seconds from permit to the first piece of text, of the latest that were timed.
    """

    seconds: float = 0.0
    output: float = 0.0
    first: list[float] = field(factory=list)

    def add(self, call: CallEnded) -> None:
        self.seconds += call.took
        self.output += call.usage.output
        if call.first_text is not None:
            self.first = [*self.first, call.first_text][-TIMED:]

    def join(self, earlier: "RouteHistory") -> None:
        self.seconds += earlier.seconds
        self.output += earlier.output
        self.first = [*earlier.first, *self.first][-TIMED:]


@frozen
class Past:
    """What past runs tell: of each agent on average, of each route in all."""

    agents: Mapping[str, AgentHistory] = MappingProxyType({})
    routes: Mapping[str, RouteHistory] = MappingProxyType({})


def average(runs: Iterable[Mapping[str, AgentHistory]]) -> dict[str, AgentHistory]:
    """Average each agent's history over the runs in which it was called."""
    by_agent: dict[str, list[AgentHistory]] = {}
    for run in runs:
        for agent, history in run.items():
            by_agent.setdefault(agent, []).append(history)
    return {agent: _mean(histories) for agent, histories in by_agent.items()}


def joined(runs: Iterable[Mapping[str, RouteHistory]]) -> dict[str, RouteHistory]:
    """Join each route's history over runs, the latest of which comes first."""
    routes: dict[str, RouteHistory] = {}
    for run in runs:
        for route, history in run.items():
            routes.setdefault(route, RouteHistory()).join(history)
    return routes


def expected(agents: Iterable[str], seconds: Mapping[str, float]) -> dict[str, float]:
    """Expect of each agent the seconds that are known, or the mean of all that are."""
    usual = fmean(seconds.values()) if seconds else USUAL
    return {name: seconds.get(name, usual) for name in agents}


def _mean(histories: list[AgentHistory]) -> AgentHistory:
    costs = [history.cost for history in histories if history.cost is not None]
    return AgentHistory(
        seconds=fmean(history.seconds for history in histories),
        calls=fmean(history.calls for history in histories),
        input=fmean(history.input for history in histories),
        output=fmean(history.output for history in histories),
        cost=fmean(costs) if costs else None,
    )
