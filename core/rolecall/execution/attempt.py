"""One HTTP attempt: permits, the provider's call, and what it came to."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from attrs import evolve, frozen

from ..errors import PluginError, ProviderError, RolecallError
from ..types.agents import Agent
from ..types.causes import Cause
from ..types.charge import believable
from ..types.limits import Call, Limiter, Outcome, SendLimiter
from ..types.messages import (
    Provider,
    Request,
    Response,
    lacking,
)
from ..types.parts import size
from ..usage import Usage
from .budget import Budget
from .call_recorder import CallRecorder, CallResult, guarded
from .context import CallContext
from .hedging import CallWatch
from .judge import MEANING, judge, schema_fault
from .preparation import Preparation
from .pricing import ResolvedRoute
from .redaction import redact_error, redacted
from .route_speeds import RouteSpeeds

_log = logging.getLogger("rolecall")
CHARACTERS_PER_TOKEN = 4


def estimate(request: Request, more: int = 0) -> int:
    """Estimate a prompt's tokens; the vendor's own count corrects it afterwards.

    more: characters that come to it.
    """
    characters = len(request.system) + sum(
        len(message.text) + size(message.parts) for message in request.messages
    )
    for tool in request.tools:
        characters += len(tool.description) + len(json.dumps(dict(tool.parameters)))
    return (characters + more) // CHARACTERS_PER_TOKEN + 1


@frozen
class Step:
    """What attempts are made for.

    key: of the step that is answered. priority: as in `Call`.
    since: when the step was first asked, by the clock, so that a retry keeps its place in the wait
        queue; None is now.
    """

    agent: Agent
    key: str = ""
    priority: float = 0.0
    since: float | None = None


class RouteLeft(Exception):
    """A permit was not waited for, since the agent is asked at another route."""


class Attempts:
    """Makes single HTTP attempts; the dispatcher decides which.

    speeds: learns what they take.
    """

    def __init__(self, context: CallContext, speeds: RouteSpeeds | None = None) -> None:
        settings = context.settings
        self._context = context
        self._speeds = speeds or RouteSpeeds(context.clock.now, context.past)
        self._budget = Budget(settings.budget, settings.allow_unpriced, context.spent)
        self._senders = [
            limiter for limiter in context.limiters if isinstance(limiter, SendLimiter)
        ]
        self._redact = context.redact
        self._preparation = Preparation()
        self._count = context.calls

    def prepare(self, names: Iterable[str]) -> None:
        """Start the slow imports of these providers, in threads."""
        for name in names:
            self._preparation.start(self._context.providers[name])

    def affords(self, target: ResolvedRoute, request: Request) -> bool:
        """Check whether the budget has room for an attempt at once."""
        return self._budget.has_room(target, request)

    async def make(
        self,
        step: Step,
        target: ResolvedRoute,
        request: Request,
        leaves: Callable[[float], bool] | None = None,
        watch: CallWatch | None = None,
    ) -> CallResult:
        """Make one attempt; provider failures come back as a result, cancellation is raised.

        leaves: is told for how many seconds the call will wait for a permit, and returns whether
        it is not to; then RouteLeft is raised. watch: is told how far the call has come.
        """
        if (unready := await self._unready(target.provider)) is not None:
            return self._not_made(unready)
        reserved = await self._budget.reserve(target, request)
        self._count += 1
        call = self.describe(step, request, target, self._count)
        recorder = CallRecorder(self._context, call, step.key, self._senders, self._redact)
        recorder.watch = watch
        granted: list[Limiter] = []
        outcome = Outcome(started=False)
        result = CallResult()
        try:
            recorder.waiting()
            async with _waiting(recorder, leaves) as on_wait:
                call = evolve(call, on_wait=on_wait)
                for limiter in self._context.limiters:
                    await guarded(limiter, limiter.acquire(call))
                    granted.append(limiter)
            recorder.started(reserved)
            self._speeds.started(call.number, call.agent, str(target))
            outcome = Outcome(cancelled=True)
            deployment = target.deployment.name if target.deployment else ""
            request = evolve(request, model=call.model, deployment=deployment, progress=recorder)
            response, error = await _complete(target.provider, request, recorder)
            result = self._result(call.number, target, response, error)
            outcome = _outcome(result)
            recorder.ended(result)
            return result
        except asyncio.CancelledError:
            if watch is not None and watch.is_beaten and outcome.started:
                beaten = ProviderError(Cause.SUPERSEDED, "another route answered first")
                recorder.ended(CallResult(error=beaten, number=call.number))
            raise
        except ProviderError as refusal:  # by a limiter, for which waiting is no use
            return self._not_made(refusal)
        finally:
            for limiter in reversed(granted):
                _end(limiter, call, outcome)
            if outcome.started:
                self._speeds.ended(call.number, outcome.usage.output, recorder.first_text)
                has_begun = recorder.first_text is not None or result.usage not in (None, Usage())
                self._budget.reconcile(reserved, result.cost, outcome.cause, has_begun=has_begun)
            else:
                self._budget.release(reserved)

    def _not_made(self, why: ProviderError) -> CallResult:
        redact_error(why, self._redact)
        return CallResult(error=why)

    async def _unready(self, provider: Provider) -> ProviderError | None:
        """Return why a provider cannot be called, once its slow imports are done."""
        if missing := lacking(provider):
            return ProviderError(Cause.MISSING_KEY, missing)
        try:
            await self._preparation.wait(provider)
        except Exception as error:
            return _broken(provider, f"{type(error).__name__}: {error}", error)
        return None

    def describe(
        self, step: Step, request: Request, target: ResolvedRoute, number: int = 0
    ) -> Call:
        """Return the call that an attempt at a route makes."""
        return Call(
            number=number,
            agent=step.agent.name,
            provider=target.route.provider,
            model=target.route.model,
            input_tokens=estimate(request),
            max_output_tokens=request.max_output_tokens,
            priority=step.priority,
            began=self._context.began,
            asked=step.since,
            quota=target.deployment.quota if target.deployment else "",
        )

    def _result(
        self,
        number: int,
        target: ResolvedRoute,
        response: Response | None,
        error: ProviderError | None,
    ) -> CallResult:
        """Keep secrets out of what came, and price it."""
        cost = None
        if error is not None:
            redact_error(error, self._redact)
            cost = _cost(target, error.usage)
        if response is not None:
            response = redacted(response, self._redact)
            if response.usage is not None and not response.usage.output and response.text.strip():
                response = evolve(response, usage=None, cost=None)  # no text takes no token
            cost = believable(response.cost)
            if cost is None or target.own_price is not None:
                cost = _cost(target, response.usage)
                response = evolve(response, cost=cost)
        return CallResult(response, error, number, cost)


@asynccontextmanager
async def _waiting(
    recorder: CallRecorder, leaves: Callable[[float], bool] | None
) -> AsyncIterator[Callable[[str, float], None]]:
    """Wait for permits in it; yield what limiters are to call; raise RouteLeft on leaving."""
    if leaves is None:
        yield recorder.on_wait
        return

    def on_wait(reason: str, seconds: float) -> None:
        recorder.on_wait(reason, seconds)
        if leaves(seconds):
            deadline.reschedule(asyncio.get_running_loop().time())

    deadline = asyncio.timeout(None)
    try:
        async with deadline:
            yield on_wait
    except TimeoutError:
        if deadline.expired():
            raise RouteLeft from None
        raise


async def _complete(
    provider: Provider, request: Request, recorder: CallRecorder
) -> tuple[Response | None, ProviderError | None]:
    """Return a provider's answer, or why there is none, or both where the reply is no answer."""
    try:
        async with asyncio.timeout(request.timeout) as deadline:
            recorder.deadline = (deadline, request.timeout)
            response = await provider.complete(request)
    except ProviderError as error:
        if error.cause not in list(Cause):
            return None, _broken(provider, f"its error has no known cause: {error.cause!r}")
        return None, error
    except TimeoutError:
        why = f"no whole answer within {request.timeout:g} s"
        return None, ProviderError(Cause.TIMEOUT, why)
    except asyncio.CancelledError:
        # Unless our task is being cancelled, the provider awaited something that was.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return None, _broken(provider, "it cancelled the call that it was to make")
    except (RolecallError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a plugin may raise anything: SystemExit, or a panic in Rust
        return None, _broken(provider, f"{type(error).__name__}: {error}", error)
    if not isinstance(response, Response):
        return None, _broken(provider, f"it returned {response!r}, not a Response")
    cause = judge(response, request)
    if cause is None:
        return response, None
    why = response.detail or MEANING.get(cause, "") or schema_fault(response, request)
    return response, ProviderError(cause, why)


def _end(limiter: Limiter, call: Call, outcome: Outcome) -> None:
    try:
        limiter.ended(call, outcome)
    except Exception as error:  # the answer is there, and paid for
        _log.warning("the limiter %r broke: %s: %s", limiter.name, type(error).__name__, error)


def _broken(provider: Provider, why: str, error: BaseException | None = None) -> ProviderError:
    broken = ProviderError(Cause.PLUGIN_ERROR, f"the provider {provider.name!r} broke: {why}")
    broken.__cause__ = error
    return broken


def _cost(target: ResolvedRoute, usage: Usage | None) -> float | None:
    """Price the tokens that the vendor told."""
    try:
        return None if usage is None else target.cost(usage)
    except PluginError as error:  # the answer is there, and paid for
        _log.warning("%s", error)
        return None


def _outcome(result: CallResult) -> Outcome:
    response, error = result.response, result.error
    return Outcome(
        cause=Cause(error.cause) if error else None,
        retry_after=error.retry_after if error else None,
        usage=result.usage or Usage(),
        headers=response.headers if response else error.headers if error else {},
        limits=error.limits if error else {},
    )
