"""Which of an agent's routes a step is asked at, by the settings' rule."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import inf, isfinite

from attrs import frozen

from ..errors import PluginError, RolecallError
from ..types.agents import Agent, Balance
from ..types.events import Rerouted
from ..types.limits import Call, ForecastLimiter
from ..usage import Usage
from .context import CallContext
from .pricing import ResolvedRoute
from .route_speeds import RouteSpeeds

Describe = Callable[[ResolvedRoute], Call]


@frozen
class Outlook:
    """What asking a route now is expected to come to.

    wait, seconds: for the permit, and from it to the answer. cost: US dollars, None where the price
    is unknown.
    """

    wait: float
    seconds: float
    cost: float | None = None

    @property
    def ends(self) -> float:
        return self.wait + self.seconds


class Balancer:
    """Chooses which of its routes an agent is asked at.

    Expectations are the limiters' own forecasts of the wait, and what the routes' answers took.
    A limiter that forecasts nothing is taken to grant at once.
    """

    def __init__(self, context: CallContext, speeds: RouteSpeeds) -> None:
        self._context = context
        self._speeds = speeds
        self._forecasters = [
            limiter for limiter in context.limiters if isinstance(limiter, ForecastLimiter)
        ]

    def is_fixed(self, agent: Agent) -> bool:
        """Check whether an agent's routes are asked in their order whatever comes."""
        return self._rule(agent) is Balance.FIXED

    def choose(self, agent: Agent, usable: Sequence[ResolvedRoute], describe: Describe) -> int:
        """Return the place of the route to ask.

        usable: the routes that can be called now, in the agent's order. describe: returns the call
        that would be made at a route.
        """
        movable = self._movable(agent, usable)
        if len(movable) < 2:
            return 0
        outlooks = [self._outlook(agent, usable[at], describe) for at in movable]
        chosen = _CHOOSE[self._rule(agent)](outlooks)
        if movable[chosen]:
            self._report(agent, usable[0], usable[movable[chosen]], outlooks[0], outlooks[chosen])
        return movable[chosen]

    def next(self, agent: Agent, usable: Sequence[ResolvedRoute]) -> ResolvedRoute | None:
        """Return the route that may be asked beside the first of these."""
        movable = self._movable(agent, usable)
        return usable[movable[1]] if len(movable) > 1 else None

    def leaves(
        self, agent: Agent, usable: Sequence[ResolvedRoute], describe: Describe, wait: float
    ) -> bool:
        """Check whether an agent leaves the first of these routes, where it would wait so long."""
        rule = self._rule(agent)
        others = self._movable(agent, usable)[1:]
        if rule is Balance.CHEAPEST or not others:
            return False
        if wait <= min(self._speeds.seconds(agent.name, str(usable[at])) for at in others):
            return False  # no other would have answered before
        outlooks = [self._outlook(agent, usable[at], describe) for at in others]
        first = Outlook(wait, self._speeds.seconds(agent.name, str(usable[0])))
        return _CHOOSE[rule]([first, *outlooks]) > 0

    def _rule(self, agent: Agent) -> Balance:
        return agent.balance or self._context.settings.balance

    def _movable(self, agent: Agent, usable: Sequence[ResolvedRoute]) -> Sequence[int]:
        """List the places of the first and of those that balancing may put before it."""
        if not agent.tier:
            return range(len(usable))
        tier = self._context.settings.tiers.get(agent.tier, ())
        return [
            at
            for at, target in enumerate(usable)
            if at == 0 or target.route.provider in tier or str(target) in tier
        ]

    def _outlook(self, agent: Agent, target: ResolvedRoute, describe: Describe) -> Outlook:
        call = describe(target)
        written = Usage(input=call.input_tokens, output=round(self._speeds.tokens(agent.name)))
        return Outlook(
            wait=max((_forecast(limiter, call) for limiter in self._forecasters), default=0.0),
            seconds=self._speeds.seconds(agent.name, str(target)),
            cost=target.cost(written),
        )

    def _report(
        self,
        agent: Agent,
        route: ResolvedRoute,
        to: ResolvedRoute,
        without: Outlook,
        chosen: Outlook,
    ) -> None:
        saves = None
        if without.cost is not None and chosen.cost is not None:
            saves = without.cost - chosen.cost
        self._context.emit(
            Rerouted(
                at=self._context.at,
                agent=agent.name,
                route=str(route),
                to=str(to),
                balance=self._rule(agent),
                wait=without.wait if isfinite(without.wait) else None,
                takes=chosen.ends,
                saves=saves,
            )
        )


def _spill(outlooks: Sequence[Outlook]) -> int:
    """Return the first that does not let a call wait for longer than the next one takes."""
    for place, (own, following) in enumerate(pairwise(outlooks)):
        if isfinite(own.wait) and own.wait <= following.ends:
            return place
    return len(outlooks) - 1


def _fastest(outlooks: Sequence[Outlook]) -> int:
    return min(range(len(outlooks)), key=lambda at: outlooks[at].ends)


def _cheapest(outlooks: Sequence[Outlook]) -> int:
    """Return the cheapest; one whose price is unknown, or that never answers, comes last."""

    def cost(at: int) -> tuple[bool, float]:
        price = outlooks[at].cost
        return outlooks[at].wait == inf, inf if price is None else price

    return min(range(len(outlooks)), key=cost)


_CHOOSE: Mapping[Balance, Callable[[Sequence[Outlook]], int]] = {
    Balance.SPILL: _spill,
    Balance.FASTEST: _fastest,
    Balance.CHEAPEST: _cheapest,
}


def _forecast(limiter: ForecastLimiter, call: Call) -> float:
    try:
        return limiter.forecast(call)
    except RolecallError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise PluginError(f"the limiter {limiter.name!r} broke: {why}") from error
