"""What a run will come to, before anything is spent."""

from collections.abc import Mapping
from statistics import fmean

from attrs import frozen

from ..config.settings import Settings
from ..execution.attempt import estimate
from ..execution.budget import worst_case
from ..execution.pricing import Pricing
from ..storage.history import AgentHistory, expected
from ..types.agents import Agent, Route, Team
from ..types.events import Forecast
from ..types.messages import Usage
from .prompts import compose

# Of an agent of which nothing is known.
OUTPUT = 4000  # tokens
LOW = 0.5  # of the expected tokens
MATERIAL = "x" * 4  # a token of a deliverable that is not written yet


@frozen
class Expected:
    """What one agent will come to.

    input, output: tokens. low, cost, most: US dollars, None where a price is unknown; `most` is for
    a whole output budget in each call, continued as often as the settings allow. known: whether
    past runs tell.
    """

    agent: Agent
    route: Route
    calls: float
    input: float
    output: float
    seconds: float
    low: float | None
    cost: float | None
    most: float | None
    known: bool


@frozen
class Estimate:
    """What a team will come to; `seconds` is the longest path, or what pacing makes of all calls.

    critical: the agents of the longest path, in order.
    """

    agents: tuple[Expected, ...]
    seconds: float
    critical: tuple[str, ...]

    @property
    def forecast(self) -> Forecast:
        """Give the sums."""
        costs = {
            name: None if self.unpriced else self._sum(name) for name in ("low", "cost", "most")
        }
        return Forecast(
            calls=round(self._sum("calls")),
            input=round(self._sum("input")),
            output=round(self._sum("output")),
            seconds=self.seconds,
            known=all(each.known for each in self.agents),
            **costs,
        )

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Name the routes whose price is unknown."""
        return tuple(sorted({str(each.route) for each in self.agents if each.cost is None}))

    def _sum(self, name: str) -> float:
        return sum(getattr(each, name) or 0.0 for each in self.agents)


def estimate_run(
    team: Team, request: str, settings: Settings, prices: Pricing, past: Mapping[str, AgentHistory]
) -> Estimate:
    """Estimate a run from its prompts, the past runs' figures, and the prices of first choices."""
    seconds = expected(team.agents, {name: each.seconds for name, each in past.items()})
    outputs = [each.output for each in past.values() if each.output]
    usual = fmean(outputs) if outputs else OUTPUT
    written = {
        name: past[name].output if name in past and past[name].output else usual
        for name in team.agents
    }
    agents = tuple(
        _expect(team, agent, request, settings, prices, past.get(agent.name), written, seconds)
        for agent in team
        if agent.routes
    )
    paths = team.paths(seconds)
    paced = settings.interval * max(0.0, sum(each.calls for each in agents) - 1)
    longest = max(paths.values())
    return Estimate(agents, max(longest, paced + min(seconds.values())), _critical(team, paths))


def _expect(
    team: Team,
    agent: Agent,
    request: str,
    settings: Settings,
    prices: Pricing,
    past: AgentHistory | None,
    written: Mapping[str, float],
    seconds: Mapping[str, float],
) -> Expected:
    needs = {name: ("", MATERIAL * round(written[name])) for name in team.needs(agent.name)}
    asked = compose(agent, request, needs, (), settings.template)
    known = past is not None and past.calls > 0
    read = past.input if past is not None and known else estimate(asked)
    output = written[agent.name]
    routes = [prices.resolve(route) for route in agent.routes]
    worst = worst_case(asked)
    pieces = 1 + settings.continuations
    most = Usage(
        input=pieces * worst.input + sum(range(pieces)) * worst.output,
        output=pieces * worst.output,
    )
    return Expected(
        agent=agent,
        route=routes[0].route,
        calls=past.calls if past is not None and known else 1.0,
        input=read,
        output=output,
        seconds=seconds[agent.name],
        low=routes[0].cost(_usage(LOW * read, LOW * output)),
        cost=routes[0].cost(_usage(read, output)),
        most=max(filter(None, (route.cost(most) for route in routes)), default=None),
        known=known,
    )


def _usage(read: float, written: float) -> Usage:
    return Usage(input=round(read), output=round(written))


def _critical(team: Team, paths: Mapping[str, float]) -> tuple[str, ...]:
    ahead = [name for name in team.agents if not team.needs(name)]
    found: list[str] = []
    while ahead:
        found.append(max(ahead, key=lambda name: paths[name]))
        ahead = list(team.dependants[found[-1]])
    return tuple(found)
