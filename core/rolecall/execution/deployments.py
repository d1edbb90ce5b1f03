"""Which of a provider's deployments each call goes to: where there is most room."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from math import isfinite

from attrs import define, evolve, field

from ..errors import PluginError, RolecallError
from ..types.causes import Cause
from ..types.deployments import Deployment
from ..types.events import DeploymentClosed
from ..types.limits import Call, ForecastLimiter, RoomLimiter
from .circuit_breaker import CircuitBreaker
from .context import CallContext
from .pricing import ResolvedRoute

# What a key is refused for. It stays refused for as long as this process has it.
DEAD = frozenset({Cause.AUTH, Cause.FORBIDDEN})
# What speaks of a key or its quota, or of what an endpoint has: another may answer at once.
ELSEWHERE = DEAD | {Cause.RATE_LIMITED, Cause.QUOTA_EXHAUSTED, Cause.UNKNOWN_MODEL}
# What is true of all keys of a quota.
SHARED = frozenset({Cause.RATE_LIMITED, Cause.QUOTA_EXHAUSTED})
RECENT = 60.0  # seconds in which starts count
ALIKE = 0.05  # seconds, and share of the room, that make no difference

Describe = Callable[[ResolvedRoute], Call]


@define
class Tried:
    """The deployments that failed one step, and when each may be asked again.

    Times are the clock's; one that failed without a word of when is asked again last.
    """

    until: dict[str, float] = field(factory=dict)

    def left(self, now: float) -> float | None:
        """Return the seconds until the first of them may be asked again, None if none is known."""
        known = [until for until in self.until.values() if isfinite(until)]
        return max(0.0, min(known) - now) if known else None


class Deployments:
    """Chooses a deployment for each call to a provider that has several.

    Circuit breakers and limits are a quota's. A key that is refused is closed by itself, and told
    once.
    """

    def __init__(self, context: CallContext, breaker: CircuitBreaker) -> None:
        self._context = context
        self._breaker = breaker
        self._forecasters = [
            limiter for limiter in context.limiters if isinstance(limiter, ForecastLimiter)
        ]
        self._measurers = [
            limiter for limiter in context.limiters if isinstance(limiter, RoomLimiter)
        ]
        self._dead: dict[tuple[str, str], Cause] = {}
        self._under_way: Counter[str] = Counter()
        self._starts: dict[str, deque[float]] = {}

    def why_open(self, target: ResolvedRoute) -> Cause | None:
        """Return why a route is not asked now: all its ways are closed; None where one is not."""
        causes = [self._why_closed(each) for each in ways(target)]
        return None if None in causes else causes[0]

    def choose(self, target: ResolvedRoute, describe: Describe, tried: Tried) -> ResolvedRoute:
        """Return the way that a call goes: to where it waits least, and there is most room.

        describe: returns the call that would be made. tried: what failed this step goes last.
        """
        possible = [each for each in ways(target) if self._why_closed(each) is None]
        possible = possible or [*ways(target)]  # as a last resort one that is closed, to probe it
        fresh = [each for each in possible if _name(each) not in tried.until]
        if not fresh:
            tried.until.clear()
        candidates = [*_one_of_each_quota(fresh or possible)]
        if len(candidates) == 1:
            return candidates[0]
        return min(candidates, key=lambda each: self._rank(each, describe(each)))

    def started(self, target: ResolvedRoute) -> None:
        """Count a call that is on its way."""
        if target.deployment is not None:
            quota = target.deployment.quota
            self._under_way[quota] += 1
            self._starts.setdefault(quota, deque()).append(self._context.clock.now())

    def ended(self, target: ResolvedRoute) -> None:
        if target.deployment is not None:
            self._under_way[target.deployment.quota] -= 1

    def close(self, target: ResolvedRoute, cause: Cause | None) -> bool:
        """Close a key that was refused, and nothing else of its quota; return whether it was."""
        if target.deployment is None or cause not in DEAD or cause is None:
            return False
        key = target.route.provider, target.deployment.name
        if key not in self._dead:
            self._dead[key] = cause
            self._context.emit(
                DeploymentClosed(
                    at=self._context.at, provider=key[0], deployment=key[1], cause=cause
                )
            )
        return True

    def moves_on(
        self, target: ResolvedRoute, cause: Cause, retry_after: float | None, tried: Tried
    ) -> bool:
        """Note what failed a step; check whether another deployment can be asked at once."""
        if target.deployment is None:
            return False
        until = float("inf") if retry_after is None else self._context.clock.now() + retry_after
        for each in ways(target):
            assert each.deployment is not None
            shared = cause in SHARED and each.deployment.quota == target.deployment.quota
            if shared or each.deployment.name == target.deployment.name:
                tried.until[each.deployment.name] = until
        return cause in ELSEWHERE and any(
            self._why_closed(each) is None and _name(each) not in tried.until
            for each in ways(target)
        )

    def _why_closed(self, target: ResolvedRoute) -> Cause | None:
        if target.deployment is not None:
            dead = self._dead.get((target.route.provider, target.deployment.name))
            if dead is not None:
                return dead
        return self._breaker.why_open(target.counted_on)

    def _rank(self, target: ResolvedRoute, call: Call) -> tuple[float, float, float]:
        """Rank a way: by the wait, by how full its quota is, and by how much went there lately."""
        wait = max((_asked(each, each.forecast, call) for each in self._forecasters), default=0.0)
        room = min((_asked(each, each.room, call) for each in self._measurers), default=1.0)
        quota = target.counted_on if target.deployment is None else target.deployment.quota
        starts, now = self._starts.get(quota, deque()), self._context.clock.now()
        while starts and starts[0] < now - RECENT:
            starts.popleft()
        busy = self._under_way[quota] + len(starts)
        return (wait // ALIKE if isfinite(wait) else wait, (1.0 - room) // ALIKE, busy)


def ways(target: ResolvedRoute) -> Iterator[ResolvedRoute]:
    """List a route's ways; the route itself where its provider has only one."""
    deployments: Sequence[Deployment] = getattr(target.provider, "deployments", ())
    if not deployments or (len(deployments) == 1 and not deployments[0].name):
        yield target
        return
    for deployment in deployments:
        yield evolve(target, deployment=deployment)


def _name(target: ResolvedRoute) -> str:
    return target.deployment.name if target.deployment is not None else ""


def _one_of_each_quota(several: Sequence[ResolvedRoute]) -> Iterator[ResolvedRoute]:
    """List the first of each quota: to turn between keys of one would only be refused more."""
    seen = set()
    for each in several:
        quota = each.deployment.quota if each.deployment is not None else ""
        endpoint = each.deployment.api_base if each.deployment is not None else ""
        if (quota, endpoint) not in seen:
            seen.add((quota, endpoint))
            yield each


def _asked(
    limiter: ForecastLimiter | RoomLimiter, ask: Callable[[Call], float], call: Call
) -> float:
    try:
        return ask(call)
    except RolecallError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise PluginError(f"the limiter {limiter.name!r} broke: {why}") from error
