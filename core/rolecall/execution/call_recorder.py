"""The events of one HTTP attempt, and how long each of its phases took."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypedDict

from attrs import frozen

from ..errors import PluginError, ProviderError, RolecallError
from ..types.causes import Cause
from ..types.events import CallEnded, CallHeld, CallStarted, CallText, CallWaiting
from ..types.limits import Call, Limiter, SendLimiter
from ..types.messages import CallProgress, Response, Stop
from ..usage import Usage
from .context import CallContext
from .hedging import CallWatch
from .redaction import RedactedStream, Redactor


@frozen
class CallResult:
    """What a call came to: a response, an error, or both where the response is not an answer.

    number: counts the run's calls from 1; 0 where the call was not made.
    cost: US dollars of the tokens that are told, None where that is unknown. A call that broke may
        have cost more.
    """

    response: Response | None = None
    error: ProviderError | None = None
    number: int = 0
    cost: float | None = None

    @property
    def usage(self) -> Usage | None:
        """Return the tokens that the vendor told, None where it told none."""
        if self.response is not None:
            return self.response.usage
        return self.error.usage if self.error is not None else None


class _Identity(TypedDict):
    """What all events of a call have in common."""

    at: float
    call: int
    agent: str
    provider: str
    model: str
    quota: str


class CallRecorder(CallProgress):
    """Emits the events of one call, and asks the limiters again when it is really sent.

    limiters: those that are asked a second time.
    deadline: of the provider, and its seconds; while limiters are asked it stands still.
    watch: is told how far the call has come.
    """

    def __init__(
        self,
        context: CallContext,
        call: Call,
        step: str,
        limiters: Sequence[SendLimiter],
        redact: Redactor,
    ) -> None:
        self._context = context
        self._call = call
        self._step = step
        self._limiters = limiters
        self._redact = redact
        self._stream = RedactedStream(redact)
        self._clock = context.clock
        self._emit = context.emit
        # Stamped again with the permit, and once more as the first byte leaves: until then a call
        # waits, and not every provider reports that it sends.
        self._requested = self._began = self._clock.now()
        self._waited = 0.0
        self._first: float | None = None
        self._reason: tuple[str, float] | None = None
        self._held: dict[str, float] = {}
        self.deadline: tuple[asyncio.Timeout, float] | None = None
        self.watch: CallWatch | None = None

    async def sending(self) -> None:
        requested = self._clock.now()
        if self.deadline is not None:
            self.deadline[0].reschedule(None)  # waiting is not answering
        for limiter in self._limiters:
            await guarded(limiter, limiter.sending(self._call))
        self._began = self._clock.now()
        self._waited += self._began - requested
        if self.deadline is not None:
            limit, seconds = self.deadline
            limit.reschedule(asyncio.get_running_loop().time() + seconds)

    def text(self, delta: str) -> None:
        if self._first is None:
            self._first = self._clock.now()
            if self.watch is not None:
                self.watch.answering.set()
        self._show(self._stream.add(delta))

    @property
    def first_text(self) -> float | None:
        """Return the seconds from permit to the first piece of text, None where there was none."""
        return None if self._first is None else self._first - self._began

    def waiting(self) -> None:
        self._emit(CallWaiting(**self._identity))

    def on_wait(self, reason: str, seconds: float) -> None:
        reason = self._redact(reason)
        if self._reason is None or self._reason[0] != reason:
            self._emit(CallHeld(reason=reason, seconds=seconds, **self._identity))
        self._close_reason()
        self._reason = (reason, self._clock.now())

    def started(self, worst: float) -> None:
        self._close_reason()
        self._began = self._clock.now()
        self._waited = self._began - self._requested
        self._emit(
            CallStarted(
                step=self._step,
                waited=self._waited,
                max_output_tokens=self._call.max_output_tokens,
                worst=worst,
                **self._identity,
            )
        )
        if self.watch is not None:
            self.watch.started.set()

    def _show(self, delta: str) -> None:
        if delta:
            self._emit(CallText(delta=delta, **self._identity))

    def ended(self, result: CallResult) -> None:
        self._show(self._stream.end())
        response, error = result.response, result.error
        request_id = response.request_id if response else error.request_id if error else None
        self._emit(
            CallEnded(
                step=self._step,
                waited=self._waited,
                max_output_tokens=self._call.max_output_tokens,
                held=tuple(self._held.items()),
                took=self._clock.now() - self._began,
                cause=Cause(error.cause) if error else None,
                detail=str(error) if error else "",
                text=response.text if response else "",
                stop=response.stop if response else Stop.END,
                first_text=self.first_text,
                usage=result.usage or Usage(),
                cost=result.cost,
                request_id=request_id,
                parts=response.parts if response and response.tool_calls else (),
                **self._identity,
            )
        )

    def _close_reason(self) -> None:
        if self._reason is not None:
            reason, since = self._reason
            name = reason.partition(",")[0]
            self._held[name] = self._held.get(name, 0.0) + self._clock.now() - since
            self._reason = None

    @property
    def _identity(self) -> _Identity:
        call = self._call
        return {
            "at": self._context.at,
            "call": call.number,
            "agent": call.agent,
            "provider": call.provider,
            "model": call.model,
            "quota": call.quota,
        }


async def guarded(limiter: Limiter, waiting: Awaitable[None]) -> None:
    """Await a limiter; where its plugin breaks, raise a PluginError that names it."""
    try:
        await waiting
    except RolecallError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise PluginError(f"the limiter {limiter.name!r} broke: {why}") from error
