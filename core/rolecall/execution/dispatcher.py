"""One step of an agent: call, and then done, retry or fall back."""

from collections import Counter
from collections.abc import Iterable

from attrs import evolve, frozen

from ..errors import AllRoutesFailed, CallFailed, ProviderError
from ..types.agents import Agent
from ..types.answer import Answer
from ..types.causes import Action, Cause
from ..types.events import FellBack, Retrying, RouteClosed, RouteOpened, RouteProbed
from ..types.messages import Request, ceiling, lacking
from .attempt import Caller
from .call_recorder import Result
from .circuit_breaker import Breaker
from .context import CallContext
from .pricing import ResolvedRoute

LONGEST_BACKOFF = 30.0


class Dispatcher:
    """Gets an answer from the first of an agent's routes that gives one.

    Every HTTP attempt of a run passes here; one dispatcher serves all its steps.
    """

    def __init__(self, context: CallContext) -> None:
        settings = context.settings
        self._context = context
        self._caller = Caller(context)
        self._actions = settings.actions
        self._breaker = Breaker(
            context.clock.now, settings.breaker_failures, settings.breaker_cooldown
        )

    def prepare(self, providers: Iterable[str]) -> None:
        """Start the slow imports of these providers, in threads."""
        for name in providers:
            self._caller.prepare(name)

    async def run(
        self, agent: Agent, request: Request, step: str = "", priority: float = 0.0
    ) -> Answer:
        """Answer a request.

        A text that the output limit cut comes back with `Stop.LENGTH` where the action for
        `truncated` is to continue. Raises AllRoutesFailed, or CallFailed where it is to stop.
        """
        failures: list[tuple[str, ProviderError]] = []
        patience = _Patience(self._context.settings.max_wait)
        asked = self._context.clock.now()
        targets = [self._context.pricing.resolve(route) for route in agent.routes]
        for place, (route, target) in enumerate(zip(agent.routes, targets, strict=True)):
            has_other = any(map(self._usable, targets[place + 1 :]))
            open_for = self._breaker.why_open(str(target)) if has_other else None
            if open_for is not None:
                error = ProviderError(open_for, "left alone after failures; not asked")
            else:
                asking = _Asking(agent, target, step, priority, asked, patience, has_other)
                try:
                    return await self._ask(asking, request)
                except ProviderError as raised:
                    error = raised
            failures.append((str(route), error))
            if open_for is None and self._actions[Cause(error.cause)] is Action.STOP:
                raise CallFailed(agent.name, failures) from error
            for to in agent.routes[place + 1 : place + 2]:
                self._context.emit(
                    FellBack(
                        at=self._context.at,
                        agent=agent.name,
                        route=str(route),
                        to=str(to),
                        cause=Cause(error.cause),
                        asked=open_for is None,
                    )
                )
        raise AllRoutesFailed(agent.name, failures) from (failures[-1][1] if failures else None)

    def _usable(self, target: ResolvedRoute) -> bool:
        """Check whether a route could be asked now: it lacks nothing and its breaker is closed."""
        return self._breaker.why_open(str(target)) is None and not lacking(target.provider)

    async def _ask(self, asking: "_Asking", request: Request) -> Answer:
        seen: Counter[str] = Counter()
        while True:
            result, probe = await self._call(asking, request)
            error = result.error
            if result.response is not None and (
                error is None or self._actions[Cause(error.cause)] is Action.CONTINUE
            ):
                return Answer(
                    response=result.response,
                    route=str(asking.target),
                    agent=asking.agent.name,
                    call=result.number,
                )
            assert error is not None
            seen[error.cause] += 1
            if probe or seen.total() >= self._context.settings.attempts or not error.retryable:
                raise error
            match self._actions[Cause(error.cause)]:
                case Action.RETRY:
                    delay = self._delay(error, seen.total())
                case Action.RETRY_ONCE if seen[error.cause] == 1:
                    delay = 0.0
                case Action.ENLARGE if larger := self._enlarged(asking.target, request):
                    request, delay = larger, 0.0
                case _:
                    raise error
            if not asking.patience.spend(delay):
                raise error
            self._context.emit(
                Retrying(
                    at=self._context.at,
                    agent=asking.agent.name,
                    route=str(asking.target),
                    cause=Cause(error.cause),
                    delay=delay,
                )
            )
            await self._context.clock.sleep(delay)
            if asking.has_other and self._breaker.why_open(str(asking.target)) is not None:
                raise error  # others found out meanwhile that the route is down

    async def _call(self, asking: "_Asking", request: Request) -> tuple[Result, bool]:
        """Make one call, and tell the breaker; also tell whether it was a probe."""
        route = str(asking.target)
        probe = self._breaker.asking(route)
        if probe:
            self._context.emit(
                RouteProbed(at=self._context.at, route=route, agent=asking.agent.name)
            )
        try:
            result = await self._caller.call(
                asking.agent, asking.target, request, asking.step, asking.priority, asking.asked
            )
        except BaseException:
            self._breaker.given_up(route)
            raise
        cause = Cause(result.error.cause) if result.error else None
        asked = (result.error.retry_after if result.error else None) or 0.0
        too_long = asked if asked > self._context.settings.max_wait else 0.0
        seconds = self._breaker.ended(route, cause, probe, too_long)
        if seconds is not None and cause is not None:
            self._context.emit(
                RouteOpened(at=self._context.at, route=route, cause=cause, seconds=seconds)
            )
        elif probe:
            self._context.emit(RouteClosed(at=self._context.at, route=route))
        return result, probe

    def _delay(self, error: ProviderError, attempt: int) -> float:
        """Wait as the vendor says, else exponentially with full jitter.

        Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        if error.retry_after is not None:
            return error.retry_after
        return self._context.rng.uniform(0, min(LONGEST_BACKOFF, 2.0 ** (attempt - 1)))

    def _enlarged(self, target: ResolvedRoute, request: Request) -> Request | None:
        most = ceiling(target.provider, target.route.model)
        wanted = 2 * request.max_output_tokens
        budget = wanted if most is None else min(wanted, most)
        if budget <= request.max_output_tokens:
            return None
        return evolve(request, max_output_tokens=budget)


@frozen
class _Asking:
    """What stays the same while one route is asked for one step."""

    agent: Agent
    target: ResolvedRoute
    step: str
    priority: float
    asked: float
    patience: "_Patience"
    has_other: bool


class _Patience:
    """The seconds an agent may still spend waiting for retries."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def spend(self, seconds: float) -> bool:
        if seconds > self._left:
            return False
        self._left -= seconds
        return True
