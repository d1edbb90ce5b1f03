"""What the same calls would have cost elsewhere, and without the vendors' prompt caches."""

from collections.abc import Callable, Iterable

from ..execution.pricing import Pricing, ResolvedRoute
from ..types.agents import Route
from ..types.events import CallEnded, CostsCompared, Event, RunEnded, RunStarted
from ..usage import Usage


class CostComparison:
    """Listens to a run, and emits what it compares to right before the run's end.

    routes: those that all calls are imagined on.
    """

    def __init__(
        self, pricing: Pricing, routes: Iterable[Route], emit: Callable[[Event], None]
    ) -> None:
        self._resolve = pricing.resolve
        # A provider's bare name and that with its default model mean the same.
        self._routes = list({str(route): route for route in map(self._resolve, routes)}.values())
        self._emit = emit
        self._calls: list[tuple[Route, Usage, float | None]] = []
        self._heard = 0

    def notify(self, event: Event) -> None:
        match event:
            case RunStarted():
                for call in event.past:
                    self._add(call)
            case CallEnded():
                self._add(event)
            case RunEnded():
                self._emit(self.compared(event.at))
            case _:
                pass

    def compared(self, at: float = 0.0) -> CostsCompared:
        """Compare what was heard so far."""
        return CostsCompared(
            at=at,
            elsewhere=tuple((str(route), self._all_on(route)) for route in self._routes),
            cached=_sum(self._cached(route, usage) for route, usage, _ in self._calls),
            calls=self._heard,
        )

    def _add(self, call: CallEnded) -> None:
        self._heard += 1
        if call.usage != Usage():
            self._calls.append((Route(call.provider, call.model), call.usage, call.cost))

    def _all_on(self, route: ResolvedRoute) -> float | None:
        return _sum(
            cost if own == route.route else route.cost(_uncached(usage))
            for own, usage, cost in self._calls
        )

    def _cached(self, route: Route, usage: Usage) -> float | None:
        if not usage.cache_read and not usage.cache_write:
            return 0.0
        resolved = self._resolve(route)
        costs = [resolved.cost(tokens) for tokens in (_uncached(usage), usage)]
        return None if None in costs else (costs[0] or 0.0) - (costs[1] or 0.0)


def _uncached(usage: Usage) -> Usage:
    return Usage(input=usage.input, output=usage.output, thinking=usage.thinking)


def _sum(costs: Iterable[float | None]) -> float | None:
    """Add up costs; one that is unknown makes the sum unknown."""
    total = 0.0
    for cost in costs:
        if cost is None:
            return None
        total += cost
    return total
