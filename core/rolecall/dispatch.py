"""One step of an agent: call, and then done, retry or fall back."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from .agents import Agent, Route
from .calls import Caller
from .causes import Action, Cause
from .config import Settings
from .errors import AllRoutesFailed, CallFailed, ProviderError
from .events import Event, FellBack, Retrying
from .limits import Clock, Limiter
from .messages import HasCeiling, Provider, Request, Response

LONGEST_BACKOFF = 30.0


class Dispatcher:
    """Gets an answer from the first of an agent's routes that gives one.

    Every HTTP attempt of a run passes here; one dispatcher serves all its steps.

    calls: the number of the last call that the run made before.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        limiters: Sequence[Limiter],
        settings: Settings,
        clock: Clock,
        emit: Callable[[Event], None] = lambda event: None,
        rng: random.Random | None = None,
        calls: int = 0,
    ) -> None:
        self._caller = Caller(providers, limiters, settings, clock, emit, calls)
        self._settings = settings
        self._actions = settings.actions
        self._clock = clock
        self._emit = emit
        self._rng = rng or random.Random()

    @property
    def at(self) -> float:
        """Give the seconds since the dispatcher was made, as events carry them."""
        return self._caller.at

    def prepare(self, providers: Sequence[str]) -> None:
        """Start the slow imports of these providers, in threads."""
        for name in providers:
            self._caller.prepare(name)

    async def run(
        self, agent: Agent, request: Request, step: str = "", priority: float = 0.0
    ) -> tuple[Response, Route]:
        """Answer a request, and name the provider and the model that did.

        A text that the output limit cut comes back with `Stop.LENGTH` where the action for
        `truncated` is to continue. Raises AllRoutesFailed, or CallFailed where it is to stop.
        """
        failures: list[tuple[str, ProviderError]] = []
        patience = _Patience(self._settings.max_wait)
        for place, route in enumerate(agent.routes):
            try:
                response = await self._ask(agent, route, request, step, priority, patience)
                return response, Route(route.provider, self._caller.model(route))
            except ProviderError as error:
                failures.append((str(route), error))
                if self._actions[Cause(error.cause)] is Action.STOP:
                    raise CallFailed(agent.name, failures) from error
                for following in agent.routes[place + 1 : place + 2]:
                    self._emit(
                        FellBack(
                            at=self.at,
                            agent=agent.name,
                            route=str(route),
                            to=str(following),
                            cause=Cause(error.cause),
                        )
                    )
        raise AllRoutesFailed(agent.name, failures) from (failures[-1][1] if failures else None)

    async def _ask(
        self,
        agent: Agent,
        route: Route,
        request: Request,
        step: str,
        priority: float,
        patience: "_Patience",
    ) -> Response:
        seen: Counter[str] = Counter()
        while True:
            result = await self._caller.call(agent, route, request, step, priority)
            error = result.error
            if result.response is not None and (
                error is None or self._actions[Cause(error.cause)] is Action.CONTINUE
            ):
                return result.response
            assert error is not None
            seen[error.cause] += 1
            if seen.total() >= self._settings.attempts or not error.retryable:
                raise error
            match self._actions[Cause(error.cause)]:
                case Action.RETRY:
                    delay = self._delay(error, seen.total())
                case Action.RETRY_ONCE if seen[error.cause] == 1:
                    delay = 0.0
                case Action.ENLARGE if larger := self._enlarged(route, request):
                    request, delay = larger, 0.0
                case _:
                    raise error
            if not patience.spend(delay):
                raise error
            self._emit(
                Retrying(
                    at=self.at,
                    agent=agent.name,
                    route=str(route),
                    cause=Cause(error.cause),
                    delay=delay,
                )
            )
            await self._clock.sleep(delay)

    def _delay(self, error: ProviderError, attempt: int) -> float:
        """Wait as the vendor says, else exponentially with full jitter.

        Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        if error.retry_after is not None:
            return error.retry_after
        return self._rng.uniform(0, min(LONGEST_BACKOFF, 2.0 ** (attempt - 1)))

    def _enlarged(self, route: Route, request: Request) -> Request | None:
        provider = self._caller.provider(route)
        ceiling = (
            provider.max_output_tokens(self._caller.model(route))
            if isinstance(provider, HasCeiling)
            else None
        )
        wanted = 2 * request.max_output_tokens
        budget = wanted if ceiling is None else min(wanted, ceiling)
        if budget <= request.max_output_tokens:
            return None
        return evolve(request, max_output_tokens=budget)


class _Patience:
    """The seconds an agent may still spend waiting for retries."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def spend(self, seconds: float) -> bool:
        if seconds > self._left:
            return False
        self._left -= seconds
        return True
