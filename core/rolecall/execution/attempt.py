"""One HTTP attempt: permits, the provider's call, and what its reply is worth."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from attrs import evolve

from ..config.settings import Price
from ..errors import ProviderError, RolecallError
from ..types.agents import Agent
from ..types.causes import Cause
from ..types.limits import Call, Limiter, Outcome, SendLimiter
from ..types.messages import (
    Preparable,
    Provider,
    Request,
    Response,
    Stop,
    Usage,
    lacking,
)
from ..types.parts import Part, Text, Verbatim, from_json, size, to_json
from .budget import Budget
from .call_recorder import CallWatch, Result, guarded
from .context import CallContext
from .pricing import ResolvedRoute
from .redaction import Redactor

_log = logging.getLogger("rolecall")
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
    Cause.BAD_TOOL_CALL: "the reply is a tool call, and no such tool was offered",
}


def judge(response: Response, request: Request | None = None) -> Cause | None:
    """Return why a response is not an answer, or None where it is one.

    request: what it answers; tool calls are an answer only where tools were offered.
    """
    if response.stop in UNFIT:
        return UNFIT[response.stop]
    if response.stop is Stop.TOOL_USE:
        offers = request is not None and bool(request.tools)
        return None if offers and response.tool_calls else Cause.BAD_TOOL_CALL
    blank = not response.text.strip()
    if response.stop is Stop.LENGTH:
        return Cause.THINKING_ONLY if blank else Cause.TRUNCATED
    return Cause.EMPTY if blank else None


def estimate(request: Request) -> int:
    """Estimate a prompt's tokens; the vendor's own count corrects it afterwards."""
    characters = len(request.system) + sum(
        len(message.text) + size(message.parts) for message in request.messages
    )
    return characters // CHARACTERS_PER_TOKEN + 1


class Caller:
    """Makes single calls; the dispatcher decides which."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        settings = context.settings
        self._budget = Budget(settings.budget, settings.allow_unpriced, context.spent)
        self._senders = [each for each in context.limiters if isinstance(each, SendLimiter)]
        self._redact = Redactor(settings.environment)
        self._count = context.calls
        self._preparing: dict[str, Future[None]] = {}

    def prepare(self, name: str) -> "Future[None] | None":
        """Start a provider's slow imports in a thread, once; give what to wait for."""
        provider = self._context.providers[name]
        if name not in self._preparing and isinstance(provider, Preparable):
            self._preparing[name] = _in_thread(provider.prepare)
        return self._preparing.get(name)

    async def call(
        self,
        agent: Agent,
        target: ResolvedRoute,
        request: Request,
        step: str,
        priority: float,
        asked: float | None = None,
    ) -> Result:
        """Make one call; provider failures come back as a result, cancellation is raised.

        asked: when its step was first asked, by the clock: a retry keeps its place in line.
        """
        provider = target.provider
        if missing := lacking(provider):
            return Result(error=ProviderError(Cause.MISSING_KEY, missing))
        preparing = self.prepare(target.route.provider)
        if preparing is not None:
            try:
                await asyncio.shield(asyncio.wrap_future(preparing))
            except Exception as error:
                return Result(error=_broken(provider, f"{type(error).__name__}: {error}", error))
        reserved = await self._budget.reserve(target, request)
        self._count += 1
        call = Call(
            number=self._count,
            agent=agent.name,
            provider=target.route.provider,
            model=target.route.model,
            input_tokens=estimate(request),
            max_output_tokens=request.max_output_tokens,
            priority=priority,
            began=self._context.began,
            asked=asked,
        )
        return await self._limited(target, call, request, step, reserved)

    async def _limited(
        self, target: ResolvedRoute, call: Call, request: Request, step: str, reserved: float
    ) -> Result:
        watch = CallWatch(self._context, call, step, self._senders, self._redact)
        call = evolve(call, held=watch.held)
        granted: list[Limiter] = []
        outcome = Outcome(started=False)
        result: Result | None = None
        try:
            watch.waiting()
            for limiter in self._context.limiters:
                await guarded(limiter, limiter.acquire(call))
                granted.append(limiter)
            watch.started()
            outcome = Outcome()
            asked = evolve(request, model=call.model, watch=watch)
            result = await _complete(target.provider, asked, watch)
            result = _priced(_redacted(result, self._redact), target.own_price)
            result = evolve(result, number=call.number)
            outcome = _outcome(result)
            watch.ended(result)
            return result
        except ProviderError as refused:  # by a limiter, for which waiting is no use
            return Result(error=refused)
        finally:
            for limiter in reversed(granted):
                _tell(limiter, call, outcome)
            self._settle(reserved, outcome, result)

    def _settle(self, reserved: float, outcome: Outcome, result: Result | None) -> None:
        if not outcome.started:
            self._budget.give_back(reserved)
            return
        response = result.response if result else None
        self._budget.settle(reserved, response.cost if response else None, outcome.cause)


async def _complete(provider: Provider, request: Request, watch: "CallWatch") -> Result:
    try:
        async with asyncio.timeout(request.timeout) as deadline:
            watch.deadline = (deadline, request.timeout)
            response = await provider.complete(request)
    except ProviderError as error:
        if error.cause not in list(Cause):
            return Result(error=_broken(provider, f"its error has no known cause: {error.cause!r}"))
        return Result(error=error)
    except TimeoutError:
        late = ProviderError(Cause.TIMEOUT, f"no whole answer within {request.timeout:g} s")
        return Result(error=late)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return Result(error=_broken(provider, "it cancelled the call that it was to make"))
    except (RolecallError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        return Result(error=_broken(provider, f"{type(error).__name__}: {error}", error))
    if not isinstance(response, Response):
        return Result(error=_broken(provider, f"it returned {response!r}, not a Response"))
    cause = judge(response, request)
    if cause is None:
        return Result(response)
    return Result(response, ProviderError(cause, response.detail or MEANING[cause]))


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


def _tell(limiter: Limiter, call: Call, outcome: Outcome) -> None:
    try:
        limiter.ended(call, outcome)
    except Exception as error:  # the answer is there, and paid for
        _log.warning("the limiter %r broke: %s: %s", limiter.name, type(error).__name__, error)


def _broken(provider: Provider, why: str, error: BaseException | None = None) -> ProviderError:
    broken = ProviderError(Cause.PLUGIN_ERROR, f"the provider {provider.name!r} broke: {why}")
    broken.__cause__ = error
    return broken


def _redacted(result: Result, redact: Redactor) -> Result:
    """Keep secrets that a vendor echoes, and what is no Unicode, out of all that follows."""
    response, error = result.response, result.error

    def clean(text: str) -> str:
        return redact(_joined(text))

    if response is not None:
        told = response.text, response.detail, response.request_id
        text, detail, request_id = cleaned = (
            clean(response.text),
            clean(response.detail),
            response.request_id and clean(response.request_id),
        )
        if cleaned != told:
            response = evolve(response, text=text, detail=detail, request_id=request_id)
        if response.parts:
            parts = tuple(_redacted_part(part, clean) for part in response.parts)
            response = evolve(response, parts=parts)
    if error is not None:
        error.args = (clean(str(error)),)
        error.request_id = error.request_id and clean(error.request_id)
    return evolve(result, response=response, error=error)


def _redacted_part(part: Part, clean: Callable[[str], str]) -> Part:
    """Keep secrets out of a part; something verbatim that holds one is no longer what it was."""
    plain = json.dumps(to_json(part), ensure_ascii=False)
    if clean(plain) == plain:
        return part
    return Text("") if isinstance(part, Verbatim) else from_json(json.loads(clean(plain)))


def _priced(result: Result, own: Price | None) -> Result:
    """Let the user's own price of a model win over what its provider made of it."""
    if own is None or result.response is None:
        return result
    priced = evolve(result.response, cost=own.cost(result.response.usage))
    return evolve(result, response=priced)


def _joined(text: str) -> str:
    """Join the halves of surrogate pairs that came apart in a stream; replace those left alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _outcome(result: Result) -> Outcome:
    response, error = result.response, result.error
    return Outcome(
        cause=Cause(error.cause) if error else None,
        retry_after=error.retry_after if error else None,
        usage=response.usage if response else Usage(),
        headers=response.headers if response else error.headers if error else {},
        limits=error.limits if error else {},
    )
