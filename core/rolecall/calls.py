"""One HTTP attempt: permits, the provider's call, and what its reply is worth."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from attrs import evolve, frozen

from .agents import Agent, Route
from .causes import Cause
from .config import Settings
from .errors import PluginError, ProviderError, RolecallError
from .events import CallEnded, CallStarted, CallText, CallWaiting, Event
from .limits import Call, Clock, Limiter, Outcome, SendLimiter
from .messages import (
    HasModel,
    NeedsSetup,
    Preparable,
    Provider,
    Request,
    Response,
    Stop,
    Usage,
    Watch,
)
from .secrets import Redactor

CHARACTERS_PER_TOKEN = 4
UNFIT = {
    Stop.SAFETY: Cause.SAFETY,
    Stop.REFUSAL: Cause.REFUSAL,
    Stop.BAD_TOOL_CALL: Cause.BAD_TOOL_CALL,
}
MEANING = {
    Cause.EMPTY: "the reply holds no text",
    Cause.THINKING_ONLY: "the whole output budget went to thinking",
    Cause.TRUNCATED: "the output limit cut the reply",
    Cause.SAFETY: "the vendor's filter blocked the reply",
    Cause.REFUSAL: "the model refused",
    Cause.BAD_TOOL_CALL: "the reply is a tool call, and no tool was offered",
}


@frozen
class Result:
    """What a call came to: a response, an error, or both where the response is not an answer."""

    response: Response | None = None
    error: ProviderError | None = None


def judge(response: Response) -> Cause | None:
    """Say why a response is not an answer, or None where it is one."""
    if response.stop in UNFIT:
        return UNFIT[response.stop]
    blank = not response.text.strip()
    if response.stop is Stop.LENGTH:
        return Cause.THINKING_ONLY if blank else Cause.TRUNCATED
    return Cause.EMPTY if blank else None


class Caller:
    """Makes single calls; the dispatcher decides which."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        limiters: Sequence[Limiter],
        settings: Settings,
        clock: Clock,
        emit: Callable[[Event], None],
        calls: int = 0,
    ) -> None:
        self._providers = providers
        self._limiters = limiters
        self._redact = Redactor(settings.environment)
        self._clock = clock
        self._emit = emit
        self._start = clock.now()
        self._count = calls
        self._preparing: dict[str, Future[None]] = {}

    @property
    def at(self) -> float:
        """Give the seconds since the start, as events carry them."""
        return self._clock.now() - self._start

    def provider(self, route: Route) -> Provider:
        return self._providers[route.provider]

    def model(self, route: Route) -> str:
        """Name the model that a route means."""
        provider = self.provider(route)
        default = provider.model if isinstance(provider, HasModel) else ""
        return route.model or default

    def prepare(self, name: str) -> "Future[None] | None":
        """Start a provider's slow imports in a thread, once; give what to wait for."""
        provider = self._providers[name]
        if isinstance(provider, Preparable) and name not in self._preparing:
            self._preparing[name] = _in_thread(provider.prepare)
        return self._preparing.get(name)

    async def call(
        self, agent: Agent, route: Route, request: Request, step: str, priority: float
    ) -> Result:
        """Make one call; provider failures come back as a result, cancellation is raised."""
        provider = self.provider(route)
        if isinstance(provider, NeedsSetup) and (missing := provider.missing()):
            return Result(error=ProviderError(Cause.MISSING_KEY, missing))
        preparing = self.prepare(route.provider)
        if preparing is not None:
            await asyncio.shield(asyncio.wrap_future(preparing))
        self._count += 1
        call = Call(
            number=self._count,
            agent=agent.name,
            provider=route.provider,
            model=self.model(route),
            input_tokens=_estimate(request),
            max_output_tokens=request.max_output_tokens,
            priority=priority,
        )
        return await self._limited(provider, call, request, step)

    async def _limited(self, provider: Provider, call: Call, request: Request, step: str) -> Result:
        watch = _CallWatch(call, step, self._limiters, self._clock, self._start, self._emit)
        granted: list[Limiter] = []
        outcome = Outcome(started=False)
        try:
            watch.waiting()
            for limiter in self._limiters:
                await _guarded(limiter, limiter.acquire(call))
                granted.append(limiter)
            watch.started()
            outcome = Outcome()
            result = await _complete(provider, evolve(request, model=call.model), watch)
            result = _redacted(result, self._redact)
            outcome = _outcome(result)
            watch.ended(result)
            return result
        finally:
            for limiter in reversed(granted):
                limiter.ended(call, outcome)


async def _complete(provider: Provider, request: Request, watch: "_CallWatch") -> Result:
    try:
        async with asyncio.timeout(request.timeout) as deadline:
            watch.deadline = (deadline, request.timeout)
            response = await provider.complete(evolve(request, watch=watch))
    except ProviderError as error:
        if error.cause not in list(Cause):
            return Result(error=_broken(provider, f"its error has no known cause: {error.cause!r}"))
        return Result(error=error)
    except TimeoutError:
        late = ProviderError(Cause.TIMEOUT, f"no whole answer within {request.timeout:g} s")
        return Result(error=late)
    except RolecallError:
        raise
    except Exception as error:
        return Result(error=_broken(provider, f"{type(error).__name__}: {error}", error))
    if not isinstance(response, Response):
        return Result(error=_broken(provider, f"it returned {response!r}, not a Response"))
    cause = judge(response)
    if cause is None:
        return Result(response)
    return Result(response, ProviderError(cause, response.detail or MEANING[cause]))


class _CallWatch(Watch):
    """Tells the events of one call, and asks the limiters again when it is really sent."""

    def __init__(
        self,
        call: Call,
        step: str,
        limiters: Sequence[Limiter],
        clock: Clock,
        start: float,
        emit: Callable[[Event], None],
    ) -> None:
        self._call = call
        self._step = step
        self._limiters = [each for each in limiters if isinstance(each, SendLimiter)]
        self._clock = clock
        self._origin = start
        self._emit = emit
        self._asked = self._began = clock.now()
        self._waited = 0.0
        self._first: float | None = None
        self.deadline: tuple[asyncio.Timeout, float] | None = None

    async def sending(self) -> None:
        asked = self._clock.now()
        for limiter in self._limiters:
            await _guarded(limiter, limiter.sending(self._call))
        self._began = self._clock.now()
        self._waited += self._began - asked
        if self.deadline is not None:
            limit, seconds = self.deadline
            limit.reschedule(asyncio.get_running_loop().time() + seconds)

    def text(self, delta: str) -> None:
        if self._first is None:
            self._first = self._clock.now()
        self._emit(CallText(delta=delta, **self._identity))

    def waiting(self) -> None:
        self._emit(CallWaiting(**self._identity))

    def started(self) -> None:
        self._began = self._clock.now()
        self._waited = self._began - self._asked
        self._emit(CallStarted(step=self._step, waited=self._waited, **self._identity))

    def ended(self, result: Result) -> None:
        response, error = result.response, result.error
        request_id = response.request_id if response else error.request_id if error else None
        self._emit(
            CallEnded(
                step=self._step,
                waited=self._waited,
                took=self._clock.now() - self._began,
                cause=Cause(error.cause) if error else None,
                detail=str(error) if error else "",
                text=response.text if response else "",
                stop=response.stop if response else Stop.END,
                first_text=None if self._first is None else self._first - self._began,
                usage=response.usage if response else Usage(),
                cost=response.cost if response else None,
                request_id=request_id,
                **self._identity,
            )
        )

    @property
    def _identity(self) -> dict[str, Any]:
        call = self._call
        return {
            "at": self._clock.now() - self._origin,
            "call": call.number,
            "agent": call.agent,
            "provider": call.provider,
            "model": call.model,
        }


def _in_thread(work: Callable[[], None]) -> "Future[None]":
    """Run something in a thread that does not keep the process alive."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    return future


async def _guarded(limiter: Limiter, asking: Awaitable[None]) -> None:
    try:
        await asking
    except RolecallError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise PluginError(f"the limiter {limiter.name!r} broke: {why}") from error


def _broken(provider: Provider, why: str, error: Exception | None = None) -> ProviderError:
    broken = ProviderError(Cause.PLUGIN_ERROR, f"the provider {provider.name!r} broke: {why}")
    broken.__cause__ = error
    return broken


def _redacted(result: Result, redact: Redactor) -> Result:
    """Keep secrets that a vendor echoes out of all that follows."""
    response, error = result.response, result.error
    if response is not None:
        response = evolve(response, text=redact(response.text), detail=redact(response.detail))
    if error is not None:
        error.args = (redact(str(error)),)
    return Result(response, error)


def _outcome(result: Result) -> Outcome:
    response, error = result.response, result.error
    return Outcome(
        cause=Cause(error.cause) if error else None,
        retry_after=error.retry_after if error else None,
        usage=response.usage if response else Usage(),
        headers=response.headers if response else error.headers if error else {},
    )


def _estimate(request: Request) -> int:
    """Estimate a prompt's tokens; the vendor's own count corrects it afterwards."""
    characters = len(request.system) + sum(len(message.text) for message in request.messages)
    return characters // CHARACTERS_PER_TOKEN + 1
