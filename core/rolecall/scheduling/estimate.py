"""What a run will come to, before anything is spent."""

from collections.abc import Mapping
from statistics import fmean

from attrs import frozen

from ..config.settings import Settings
from ..execution.attempt import estimate
from ..execution.budget import worst_case
from ..execution.pricing import Pricing
from ..storage.history import AgentHistory, expected
from ..types.agents import Agent, Route, TeamGraph
from ..types.events import Forecast
from ..types.messages import context_window
from ..usage import Usage
from .prompts import compose, material

# Of an agent of which nothing is known.
OUTPUT = 4000  # tokens
ROUNDS = 6  # calls of one that has tools
RESULTS = 1500  # tokens that tools add to its conversation, each time
LOW = 0.5  # of the expected tokens
MATERIAL = "x" * 4  # a token of a deliverable that is not written yet


@frozen
class Expected:
    """What one agent will come to.

    input, output: tokens. low, cost, most: US dollars, None where a price is unknown; `most` is for
    a whole output budget in each call, continued as often as the settings allow. known: whether
    past runs tell. prompt: tokens of its first prompt. window: the most that its routes read, None
    where that is unknown of one.
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
    prompt: int = 0
    window: int | None = None


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
        """Return the sums."""
        costs = {
            name: None if self.unpriced else self._sum(name) for name in ("low", "cost", "most")
        }
        return Forecast(
            calls=round(self._sum("calls")),
            input=round(self._sum("input")),
            output=round(self._sum("output")),
            seconds=self.seconds,
            known=all(agent.known for agent in self.agents),
            **costs,
        )

    @property
    def unpriced(self) -> tuple[str, ...]:
        """List the routes whose price is unknown."""
        return tuple(sorted({str(agent.route) for agent in self.agents if agent.cost is None}))

    @property
    def too_long(self) -> str:
        """Describe in one line whose prompts are likely too long for their models; "" if none."""
        shares = {each.agent.name: each.prompt / each.window for each in self.agents if each.window}
        names = [name for name, share in shares.items() if share > 1]
        if not names:
            return ""
        worst = max(self.agents, key=lambda each: shares.get(each.agent.name, 0.0))
        return (
            f"likely too long for their models: the prompts of {len(names)} of "
            f"{len(self.agents)} agents, that of {worst.agent.name} with about "
            f"{worst.prompt:,} tokens of at most {worst.window:,}: {', '.join(names)}"
        )

    def _sum(self, name: str) -> float:
        return sum(getattr(agent, name) or 0.0 for agent in self.agents)


def estimate_run(
    team: TeamGraph,
    request: str,
    settings: Settings,
    pricing: Pricing,
    past: Mapping[str, AgentHistory],
) -> Estimate:
    """Estimate a run from its prompts, past runs, and the prices of first choices."""
    estimator = _Estimator(team, request, settings, pricing, past)
    agents = tuple(estimator.expect(agent) for agent in team if agent.routes)
    paths = team.paths(estimator.seconds)
    paced = settings.interval * max(0.0, sum(agent.calls for agent in agents) - 1)
    at_least = paced + min(estimator.seconds.values())
    return Estimate(agents, max(*paths.values(), at_least), _critical(team, paths))


class _Estimator:
    """Estimates agents one by one.

    seconds: what each agent takes. written: the tokens that each writes.
    """

    def __init__(
        self,
        team: TeamGraph,
        request: str,
        settings: Settings,
        pricing: Pricing,
        past: Mapping[str, AgentHistory],
    ) -> None:
        self._team = team
        self._request = request
        self._settings = settings
        self._pricing = pricing
        self._past = past
        self.seconds = expected(
            team.agents, {name: history.seconds for name, history in past.items()}
        )
        outputs = {name: history.output for name, history in past.items() if history.output}
        usual = fmean(outputs.values()) if outputs else OUTPUT
        self.written = {name: outputs.get(name, usual) for name in team.agents}
        # What a deliverable that is not written yet adds to each prompt that it is part of. They
        # are added up, for the prompts of a large team are too long to be composed for this.
        self._material = {
            name: len(material("", {name: ("", MATERIAL * round(written))})) - len(material("", {}))
            for name, written in self.written.items()
        }

    def expect(self, agent: Agent) -> Expected:
        past = self._past.get(agent.name, AgentHistory())
        known = past.calls > 0
        first = compose(agent, self._request, {}, (), self._settings.template)
        more = sum(self._material[name] for name in self._team.needs(agent.name))
        calls = past.calls if known else float(ROUNDS if agent.tools else 1)
        growth = RESULTS * sum(range(round(calls))) if agent.tools else 0
        read = past.input if known else calls * estimate(first, more) + growth
        output = self.written[agent.name]
        routes = [self._pricing.resolve(route) for route in agent.routes]
        most = self._most(worst_case(first, more), calls)
        windows = [context_window(route.provider, route.route.model) for route in routes]
        known_windows = [window for window in windows if window is not None]
        return Expected(
            agent=agent,
            route=routes[0].route,
            calls=calls,
            input=read,
            output=output,
            seconds=self.seconds[agent.name],
            low=routes[0].cost(_usage(LOW * read, LOW * output)),
            cost=routes[0].cost(_usage(read, output)),
            most=max(filter(None, (route.cost(most) for route in routes)), default=None),
            known=known,
            prompt=estimate(first, more),
            window=max(known_windows) if len(known_windows) == len(windows) else None,
        )

    def _most(self, worst: Usage, calls: float) -> Usage:
        """Count the most tokens of so many answers, each as long as it may be, the last in pieces.

        An agent that has tools may be asked still more often: `max_rounds` and a budget bound that.
        """
        pieces = max(1, round(calls)) + self._settings.continuations
        return Usage(
            # Each piece is asked for with all those before it.
            input=pieces * worst.input + sum(range(pieces)) * worst.output,
            output=pieces * worst.output,
        )


def _usage(read: float, written: float) -> Usage:
    return Usage(input=round(read), output=round(written))


def _critical(team: TeamGraph, paths: Mapping[str, float]) -> tuple[str, ...]:
    ahead = [name for name in team.agents if not team.needs(name)]
    critical: list[str] = []
    while ahead:
        critical.append(max(ahead, key=lambda name: paths[name]))
        ahead = list(team.dependants[critical[-1]])
    return tuple(critical)
