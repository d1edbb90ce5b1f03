"""What a limiter is asked, and what it hears."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from ..usage import Usage
from .causes import Cause


class Clock(Protocol):
    """Time, passed in so that tests need not wait."""

    def now(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's monotonic clock, which all processes read alike."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)


def _ignore_wait(reason: str, seconds: float) -> None:
    pass


@frozen
class Call:
    """One HTTP attempt that wants to start.

    number: counts the run's calls from 1.
    quota: which of the provider's quotas it counts on, where that has several.
    input_tokens: an estimate of the prompt's length.
    max_output_tokens: the most that may come back.
    priority: seconds of the longest path of agents from this one on; higher is more urgent.
    began, asked: when its run began, and when its step was first asked; seconds of the clock that
        limiters keep to. None is now.
    on_wait: for limiters to call with why the call waits and for how many seconds, as soon as that
        is known: a reason, and after a comma what is particular ("429, retry after 3 s").
    """

    number: int
    agent: str
    provider: str
    model: str
    input_tokens: int = 0
    max_output_tokens: int = 0
    priority: float = 0.0
    began: float | None = None
    asked: float | None = None
    on_wait: Callable[[str, float], None] = field(default=_ignore_wait, eq=False, repr=False)
    quota: str = ""

    @property
    def counted_on(self) -> str:
        """Return the name of what the call counts on."""
        return self.quota or self.provider


@frozen
class Outcome:
    """How a call ended.

    started: False where it was cancelled before it was sent.
    cause: None where it succeeded, or was cancelled.
    retry_after: seconds the vendor asks everyone to wait, or None.
    headers: the reply's rate-limit headers, lower-case names.
    limits: what a refusal named as the limits per minute, on requests, tokens, input-tokens or
        output-tokens.
    cancelled: it was cancelled before it was answered; nobody knows how it would have ended.
    """

    started: bool = True
    cause: Cause | None = None
    retry_after: float | None = None
    usage: Usage = Usage()
    headers: Mapping[str, str] = field(factory=dict, eq=False)
    limits: Mapping[str, float] = field(factory=dict, eq=False)
    cancelled: bool = False


class Limiter(Protocol):
    """Grants a permit before each API call, and hears how the call ended.

    A limiter waits. Only where waiting is no use it raises a ProviderError, whose cause decides
    as any call's what comes next: `quota_exhausted` asks another provider. Each granted permit is
    followed by exactly one `ended`, also for a call that was cancelled or never sent.
    """

    @property
    def name(self) -> str: ...

    async def acquire(self, call: Call) -> None:
        """Return once the call may start; a cancelled wait takes no permit."""
        ...

    def ended(self, call: Call, outcome: Outcome) -> None:
        """Hear how a call ended that got a permit; return at once."""
        ...


@runtime_checkable
class SendLimiter(Limiter, Protocol):
    """A limiter that is asked a second time, right before the request's first byte leaves.

    Between permit and sending lie imports, body building and stalls of the loop; only this
    moment is what a vendor sees. Not every provider tells it, so `acquire` must limit as well.
    """

    async def sending(self, call: Call) -> None: ...


@runtime_checkable
class RoomLimiter(Limiter, Protocol):
    """A limiter that knows how much room is left, for whoever chooses between quotas."""

    def room(self, call: Call) -> float:
        """Return which share of the limits that a call counts on is free, from 0 to 1.

        1 where no limit is known. Nothing is reserved or changed; return at once.
        """
        ...


@runtime_checkable
class ForecastLimiter(Limiter, Protocol):
    """A limiter that knows how long a call would wait, for whoever chooses between providers."""

    def forecast(self, call: Call) -> float:
        """Return the seconds for which `acquire` would hold a call if it was asked now.

        Infinite where it would be held for ever. Nothing is reserved or changed; return at once.
        """
        ...
