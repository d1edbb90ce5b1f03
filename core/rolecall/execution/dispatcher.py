"""One step of an agent: call, and then done, retry or fall back."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from attrs import evolve, field, frozen

from ..errors import AllRoutesFailed, BudgetReached, CallFailed, ProviderError
from ..types.agents import Agent
from ..types.answer import Answer
from ..types.causes import Action, Cause
from ..types.events import FellBack, Hedged, Retrying, RouteClosed, RouteOpened, RouteProbed
from ..types.limits import Call
from ..types.messages import Request, ceiling, lacking
from .attempt import Attempts, RouteLeft, Step
from .balancer import Balancer
from .call_recorder import CallResult
from .circuit_breaker import CircuitBreaker
from .context import CallContext
from .deployments import Deployments, Tried
from .hedging import CallWatch, Race
from .pricing import ResolvedRoute
from .route_speeds import RouteSpeeds

LONGEST_BACKOFF = 30.0


class Dispatcher:
    """Gets an answer from the first of an agent's routes that gives one.

    Every HTTP attempt of a run passes here; one dispatcher serves all its steps.
    """

    def __init__(self, context: CallContext) -> None:
        settings = context.settings
        self._context = context
        self._speeds = RouteSpeeds(context.clock.now, context.past)
        self._attempts = Attempts(context, self._speeds)
        self._balancer = Balancer(context, self._speeds)
        self._actions = settings.actions
        self._breaker = CircuitBreaker(
            context.clock.now, settings.breaker_failures, settings.breaker_cooldown
        )
        self._deployments = Deployments(context, self._breaker)

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
        untried = [(str(route), context.pricing.resolve(route)) for route in agent.routes]
        moves = len(untried)  # as often an agent leaves a route that lets it wait
        fell_back: tuple[str, Cause, bool] | None = None
        while untried:
            place = self._choose(asked_for, [target for _, target in untried], request)
            name, target = untried[place]
            if fell_back is not None:
                self._report_fallback(agent, fell_back, name)
            others = [other for _, other in (*untried[:place], *untried[place + 1 :])]
            has_other = any(map(self._usable, others))
            open_for = self._deployments.why_open(target) if has_other else None
            if open_for is not None:
                error = ProviderError(open_for, "its circuit is open after failures; not asked")
            else:
                asking = _Asking(asked_for, target, patience, others, moves > 0)
                try:
                    return await self._ask(asking, request)
                except ProviderError as raised:
                    error = raised
                except RouteLeft:
                    moves -= 1
                    fell_back = None
                    continue
            del untried[place]
            failures.append((name, error))
            cause = Cause(error.cause)
            if open_for is None and self._actions[cause] is Action.STOP:
                raise CallFailed(agent.name, failures) from error
            fell_back = name, cause, open_for is None
        raise AllRoutesFailed(agent.name, failures) from (failures[-1][1] if failures else None)

    def _choose(self, step: Step, targets: Sequence[ResolvedRoute], request: Request) -> int:
        """Return which of the routes is asked now."""
        usable = [place for place, target in enumerate(targets) if self._usable(target)]
        if len(usable) < 2 or usable[0] != 0 or self._balancer.is_fixed(step.agent):
            return 0
        describe = self._described(step, request)
        return usable[self._balancer.choose(step.agent, [targets[at] for at in usable], describe)]

    def _leaves(self, asking: "_Asking", request: Request, wait: float) -> bool:
        """Check whether another route is asked instead of waiting for so long for this one."""
        agent = asking.step.agent
        if self._balancer.is_fixed(agent):
            return False
        usable = [target for target in asking.others if self._usable(target)]
        describe = self._described(asking.step, request)
        return self._balancer.leaves(agent, [asking.target, *usable], describe, wait)

    def _report_fallback(self, agent: Agent, left: tuple[str, Cause, bool], to: str) -> None:
        route, cause, asked = left
        at = self._context.at
        self._context.emit(
            FellBack(at=at, agent=agent.name, route=route, to=to, cause=cause, asked=asked)
        )

    def _usable(self, target: ResolvedRoute) -> bool:
        """Check whether a route could be asked now: it lacks nothing and its breaker is closed."""
        return self._deployments.why_open(target) is None and not lacking(target.provider)

    def _described(self, step: Step, request: Request) -> Callable[[ResolvedRoute], Call]:
        """Return what describes the call at a route, in the way that it would go."""
        describe = partial(self._attempts.describe, step, request)
        return lambda target: describe(self._deployments.choose(target, describe, Tried()))

    async def _ask(self, asking: "_Asking", request: Request) -> Answer:
        """Ask one route until it answers; raise the failure after which it is asked no more."""
        counts: Counter[str] = Counter()
        has_other = any(map(self._usable, asking.others))
        while True:
            asked, result, probe = await self._hedged(asking, request)
            error = result.error
            if result.response is not None and self._is_answer(result):
                return Answer(
                    response=result.response,
                    route=asked.route,
                    agent=asking.step.agent.name,
                    call=result.number,
                    step=asking.step.key,
                )
            assert error is not None
            if self._moves_on(asking, asked, error):
                continue
            counts[error.cause] += 1
            if probe:
                raise error
            request, delay = self._retry(asking, request, error, counts)
            await self._context.clock.sleep(delay)
            if has_other and self._deployments.why_open(asking.target) is not None:
                raise error  # others found out meanwhile that the route is down

    def _moves_on(self, asking: "_Asking", asked: "_Asking", error: ProviderError) -> bool:
        """Check whether another key or endpoint of the same route is asked at once."""
        cause, context = Cause(error.cause), self._context
        if asked.route != asking.route or self._actions[cause] is Action.STOP:
            return False
        if not self._deployments.moves_on(asked.target, cause, error.retry_after, asking.tried):
            return False
        agent, route = asking.step.agent.name, asking.route
        context.emit(Retrying(at=context.at, agent=agent, route=route, cause=cause, delay=0.0))
        return True

    def _is_answer(self, result: CallResult) -> bool:
        error = result.error
        return result.response is not None and (
            error is None or self._actions[Cause(error.cause)] in (Action.CONTINUE, Action.REPAIR)
        )

    async def _hedged(self, asking: "_Asking", request: Request) -> "_Called":
        """Make a call, and one at the next route as well where it is late to begin its answer."""
        context, agent = self._context, asking.step.agent
        patience = self._speeds.patience(asking.route) if context.settings.hedge else None
        if patience is None:
            return await self._call(asking, request)
        usable = [target for target in asking.others if self._usable(target)]
        other = self._balancer.next(agent, [asking.target, *usable])
        if other is None:
            return await self._call(asking, request)
        hedge = evolve(asking, target=other, others=(), may_leave=False, tried=Tried())

        def on_late() -> bool:
            if not self._attempts.affords(other, request):
                return False
            route, to = asking.route, hedge.route
            context.emit(
                Hedged(at=context.at, agent=agent.name, route=route, to=to, after=patience)
            )
            return True

        race = Race(
            lambda number, watch: self._call((asking, hedge)[number], request, watch),
            lambda called: self._is_answer(called[1]),
            (BudgetReached,),
        )
        return await race.run(patience, on_late)

    async def _call(
        self, asking: "_Asking", request: Request, watch: CallWatch | None = None
    ) -> "_Called":
        """Make a call, and count it in the circuit breaker."""
        describe = partial(self._attempts.describe, asking.step, request)
        target = self._deployments.choose(asking.target, describe, asking.tried)
        probe = self._begin(asking.step, target)
        leaves = partial(self._leaves, asking, request) if asking.may_leave else None
        self._deployments.started(target)
        try:
            result = await self._attempts.make(asking.step, target, request, leaves, watch)
        except BaseException:  # cancelled, or a limiter broke: neither is the route's doing
            self._breaker.cancelled(target.counted_on, probe)
            raise
        finally:
            self._deployments.ended(target)
        self._end(target, result, probe)
        return evolve(asking, target=target), result, probe

    def _begin(self, step: Step, target: ResolvedRoute) -> bool:
        """Count a call in the circuit breaker; return whether it is a probe."""
        route = target.counted_on
        probe = self._breaker.started(route)
        if probe:
            self._context.emit(RouteProbed(at=self._context.at, route=route, agent=step.agent.name))
        return probe

    def _end(self, target: ResolvedRoute, result: CallResult, probe: bool) -> None:
        """Count in the circuit breaker how a call ended."""
        context, route, error = self._context, target.counted_on, result.error
        cause = Cause(error.cause) if error else None
        if self._deployments.close(target, cause):
            self._breaker.cancelled(route, probe)
            return
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
                left = asking.tried.left(context.clock.now())
                delay = delay if left is None else min(delay, left)
            case Action.RETRY_ONCE if counts[cause] == 1:
                pass
            case Action.ENLARGE if larger := _enlarged(asking.target, request):
                request = larger
            case _:
                raise error
        if (delay and self._leaves(asking, request, delay)) or not asking.patience.spend(delay):
            raise error
        agent = asking.step.agent.name
        context.emit(
            Retrying(at=context.at, agent=agent, route=asking.route, cause=cause, delay=delay)
        )
        return request, delay

    def _delay(self, error: ProviderError, attempt: int) -> float:
        """Return the seconds that the vendor says, else exponential backoff with full jitter.

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
    """What stays the same while one route is asked for one step.

    others: the routes that are asked after it. may_leave: whether one of them may be asked before
    it, should it let the agent wait. tried: the route's deployments that failed.
    """

    step: Step
    target: ResolvedRoute
    patience: "_Patience"
    others: Sequence[ResolvedRoute]
    may_leave: bool
    tried: Tried = field(factory=Tried)

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


_Called = tuple[_Asking, CallResult, bool]  # where, with what result, and whether as a probe
