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
from .attempt import Attempts, Step
from .call_recorder import CallResult
from .circuit_breaker import CircuitBreaker
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
        self._attempts = Attempts(context)
        self._actions = settings.actions
        self._breaker = CircuitBreaker(
            context.clock.now, settings.breaker_failures, settings.breaker_cooldown
        )

    def prepare(self, providers: Iterable[str]) -> None:
        """Start the slow imports of these providers, in threads."""
        self._attempts.prepare(providers)

    async def run(
        self, agent: Agent, request: Request, step: str = "", priority: float = 0.0
    ) -> Answer:
        """Answer a request.

        A text that the output limit cut comes back with `Stop.LENGTH` where the action for
        `truncated` is to continue. Raises AllRoutesFailed, or CallFailed where it is to stop.
        """
        context = self._context
        failures: list[tuple[str, ProviderError]] = []
        patience = _Patience(context.settings.max_wait)
        asked_for = Step(agent, step, priority, context.clock.now())
        targets = [context.pricing.resolve(route) for route in agent.routes]
        for place, (route, target) in enumerate(zip(agent.routes, targets, strict=True)):
            has_other = any(map(self._usable, targets[place + 1 :]))
            open_for = self._breaker.why_open(str(target)) if has_other else None
            if open_for is not None:
                error = ProviderError(open_for, "its circuit is open after failures; not asked")
            else:
                try:
                    return await self._ask(_Asking(asked_for, target, patience, has_other), request)
                except ProviderError as raised:
                    error = raised
            failures.append((str(route), error))
            if open_for is None and self._actions[Cause(error.cause)] is Action.STOP:
                raise CallFailed(agent.name, failures) from error
            for to in agent.routes[place + 1 : place + 2]:
                context.emit(
                    FellBack(
                        at=context.at,
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
        """Ask one route until it answers; raise the failure after which it is asked no more."""
        counts: Counter[str] = Counter()
        while True:
            probe = self._begin(asking)
            try:
                result = await self._attempts.make(asking.step, asking.target, request)
            except BaseException:  # cancelled, or a limiter broke: neither is the route's doing
                self._breaker.cancelled(asking.route, probe)
                raise
            self._end(asking, result, probe)
            error = result.error
            if result.response is not None and (
                error is None or self._actions[Cause(error.cause)] is Action.CONTINUE
            ):
                return Answer(
                    response=result.response,
                    route=asking.route,
                    agent=asking.step.agent.name,
                    call=result.number,
                    step=asking.step.key,
                )
            assert error is not None
            counts[error.cause] += 1
            if probe:
                raise error
            request, delay = self._retry(asking, request, error, counts)
            await self._context.clock.sleep(delay)
            if asking.has_other and self._breaker.why_open(asking.route) is not None:
                raise error  # others found out meanwhile that the route is down

    def _begin(self, asking: "_Asking") -> bool:
        """Count a call in the circuit breaker; return whether it is a probe."""
        probe = self._breaker.started(asking.route)
        if probe:
            agent = asking.step.agent.name
            self._context.emit(RouteProbed(at=self._context.at, route=asking.route, agent=agent))
        return probe

    def _end(self, asking: "_Asking", result: CallResult, probe: bool) -> None:
        """Count in the circuit breaker how a call ended."""
        context, route, error = self._context, asking.route, result.error
        cause = Cause(error.cause) if error else None
        wait = (error.retry_after if error else None) or 0.0
        too_long = wait if wait > context.settings.max_wait else 0.0
        seconds = self._breaker.ended(route, cause, probe, too_long)
        if seconds is not None and cause is not None:
            context.emit(RouteOpened(at=context.at, route=route, cause=cause, seconds=seconds))
        elif probe:
            context.emit(RouteClosed(at=context.at, route=route))

    def _retry(
        self, asking: "_Asking", request: Request, error: ProviderError, counts: Counter[str]
    ) -> tuple[Request, float]:
        """Return what to ask next and after how many seconds; raise the error where nothing is.

        counts: of the route's failures so far, by cause.
        """
        context, cause = self._context, Cause(error.cause)
        if counts.total() >= context.settings.attempts or not error.retryable:
            raise error
        delay = 0.0
        match self._actions[cause]:
            case Action.RETRY:
                delay = self._delay(error, counts.total())
            case Action.RETRY_ONCE if counts[cause] == 1:
                pass
            case Action.ENLARGE if larger := _enlarged(asking.target, request):
                request = larger
            case _:
                raise error
        if not asking.patience.spend(delay):
            raise error
        agent = asking.step.agent.name
        context.emit(
            Retrying(at=context.at, agent=agent, route=asking.route, cause=cause, delay=delay)
        )
        return request, delay

    def _delay(self, error: ProviderError, attempt: int) -> float:
        """Wait as the vendor says, else exponentially with full jitter.

        Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        if error.retry_after is not None:
            return error.retry_after
        return self._context.rng.uniform(0, min(LONGEST_BACKOFF, 2.0 ** (attempt - 1)))


def _enlarged(target: ResolvedRoute, request: Request) -> Request | None:
    """Return a request with twice the output budget, or what the model takes; None if no more."""
    most = ceiling(target.provider, target.route.model)
    wanted = 2 * request.max_output_tokens
    budget = wanted if most is None else min(wanted, most)
    if budget <= request.max_output_tokens:
        return None
    return evolve(request, max_output_tokens=budget)


@frozen
class _Asking:
    """What stays the same while one route is asked for one step."""

    step: Step
    target: ResolvedRoute
    patience: "_Patience"
    has_other: bool

    @property
    def route(self) -> str:
        return str(self.target)


class _Patience:
    """The seconds an agent may still spend waiting for retries."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def spend(self, seconds: float) -> bool:
        if seconds > self._left:
            return False
        self._left -= seconds
        return True
