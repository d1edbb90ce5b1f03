"""What calls cost: by the user's own prices, or by what a provider knows."""

from collections.abc import Mapping

from ..config.settings import Price, Settings
from ..types.agents import Route
from ..types.messages import Provider, Usage, cost, default_model


class Prices:
    """Prices calls; the user's own price of a model wins over its provider's."""

    def __init__(self, settings: Settings, providers: Mapping[str, Provider]) -> None:
        self._own = settings.prices
        self._providers = providers

    def cost(self, route: Route, usage: Usage) -> float | None:
        """Price a call in US dollars; None where the price is unknown."""
        full = self.full(route)
        own = self.own(full)
        provider = self._providers[full.provider]
        return cost(provider, full.model, usage) if own is None else own.cost(usage)

    def full(self, route: Route) -> Route:
        """Name the model that a route means."""
        if route.model:
            return route
        return Route(route.provider, default_model(self._providers[route.provider]))

    def own(self, route: Route) -> Price | None:
        """Give the price that the user set for a whole route, or for its model."""
        return self._own.get(str(route), self._own.get(route.model)) if self._own else None
