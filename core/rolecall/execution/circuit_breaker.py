"""Open circuits: a route that is down or spent is not asked, so that not every agent finds out."""

from collections.abc import Callable

from attrs import define

from ..types.causes import Cause

# The route stays as it is, however often it is asked.
SPENT = frozenset({Cause.QUOTA_EXHAUSTED, Cause.AUTH, Cause.FORBIDDEN, Cause.UNKNOWN_MODEL})
# One of these is chance; several in a row are an outage.
DOWN = frozenset(
    {
        Cause.RATE_LIMITED,
        Cause.OVERLOADED,
        Cause.SERVER_ERROR,
        Cause.TIMEOUT,
        Cause.CONNECTION,
        Cause.BAD_PAYLOAD,
    }
)
LONGEST = 10  # cool-downs


@define
class _Route:
    failures: int = 0
    cause: Cause | None = None
    until: float = 0.0
    cooldown: float = 0.0
    probing: bool = False


class CircuitBreaker:
    """A circuit breaker for each route.

    It opens at once on a cause that waiting does not mend, and on `failures` others in a row.
    After `cooldown` seconds one call probes the route: an answer closes it, a failure doubles
    the cool-down. Source of the pattern: Michael Nygard, "Release It!", 2007.
    """

    def __init__(self, now: Callable[[], float], failures: int, cooldown: float) -> None:
        self._now = now
        self._failures = failures
        self._cooldown = cooldown
        self._routes: dict[str, _Route] = {}

    def why_open(self, route: str) -> Cause | None:
        """Return the cause for which a route's circuit is open, or None where it may be asked."""
        state = self._routes.get(route)
        if state is None or state.cause is None:
            return None
        return state.cause if state.probing or self._now() < state.until else None

    def started(self, route: str) -> bool:
        """Count a call that is made; return whether it is the half-open probe, made only once."""
        state = self._routes.setdefault(route, _Route())
        if state.cause is None:
            return False
        state.probing = True
        return True

    def ended(
        self, route: str, cause: Cause | None, probe: bool, at_least: float = 0.0
    ) -> float | None:
        """Count how a call ended; return the seconds for which that opens the circuit, or None.

        at_least: seconds for which it opens at once, where the vendor asks for longer than
        anyone would wait.
        """
        state = self._routes.setdefault(route, _Route())
        if cause not in SPENT and cause not in DOWN:
            self._routes[route] = _Route()
            return None
        if state.cause is not None and not probe:
            return None  # it was on its way when another one opened the route
        state.failures += 1
        chance = cause in DOWN and state.cause is None and state.failures < self._failures
        if chance and not at_least:
            return None
        longer = min(2 * state.cooldown, LONGEST * self._cooldown)
        state.cooldown = max(longer or self._cooldown, at_least)
        state.until = self._now() + state.cooldown
        state.cause, state.probing = cause, False
        return state.cooldown

    def cancelled(self, route: str, probe: bool) -> None:
        """Forget a call that was cancelled: it says nothing of its route, so another may probe."""
        if probe:
            self._routes[route].probing = False
