"""What routes lead to and what calls at them cost: by the user's own prices, or the provider's."""

from collections.abc import Mapping

from attrs import frozen

from ..config.settings import Price, Settings
from ..types.agents import Route
from ..types.deployments import Deployment
from ..types.messages import Provider, cost, resolve
from ..usage import Usage


@frozen
class ResolvedRoute:
    """A route with all that a call there needs.

    route: names its model. own_price: the user's, which wins over what the provider knows.
    deployment: which way a call goes, where the provider has several.
    """

    route: Route
    provider: Provider
    own_price: Price | None = None
    deployment: Deployment | None = None

    def __str__(self) -> str:
        return str(self.route)

    @property
    def counted_on(self) -> str:
        """Return the name of what its calls count on: the route, or a quota's part of it."""
        if self.deployment is None:
            return str(self.route)
        return str(Route(self.deployment.quota, self.route.model))

    def cost(self, usage: Usage) -> float | None:
        """Price a call in US dollars; None where the price is unknown."""
        if self.own_price is not None:
            return self.own_price.cost(usage)
        return cost(self.provider, self.route.model, usage)


class Pricing:
    """Resolves routes, each once."""

    def __init__(self, settings: Settings, providers: Mapping[str, Provider]) -> None:
        self._own = settings.prices
        self._providers = providers
        self._resolved: dict[Route, ResolvedRoute] = {}

    def resolve(self, route: Route) -> ResolvedRoute:
        """Return what a route leads to; the user's price may be of the whole route or its model."""
        if route not in self._resolved:
            provider = self._providers[route.provider]
            full = resolve(route, provider)
            own = self._own.get(str(full), self._own.get(full.model))
            self._resolved[route] = ResolvedRoute(full, provider, own)
        return self._resolved[route]
