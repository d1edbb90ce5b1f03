"""One provider's limits: calls at once, the user's quota, the vendor's limits and cooldowns."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from attrs import define

from rolecall import Call, Cause, Outcome, ProviderError, ProviderSettings

from .cooldown import Cooldown
from .quota import Quota, QuotaReservation
from .shared_state import SharedState
from .token_forecast import TokenForecast
from .vendor_limits import VendorLimits, VendorReservation
from .wait_queue import FOREVER, Key, WaitQueue

HOPELESS = 120.0  # seconds; no limit per minute holds a call up for so long


@define(eq=False)
class Admission:
    """A call that was admitted, and what was reserved for it."""

    call: Call
    vendor_limits: VendorLimits
    vendor: VendorReservation
    quota: QuotaReservation


class ProviderLimiter:
    """Admits a provider's calls as its limits allow, in the order of their keys.

    An admitted call has either `started` or `left`; one that started `ended`.

    longest: seconds that a call may be held up by what the vendor asks for, and by a day's limit.
    """

    def __init__(
        self,
        limits: ProviderSettings,
        state: SharedState,
        now: Callable[[], float],
        longest: float,
    ) -> None:
        self._at_once = limits.concurrency or FOREVER
        self._now = now
        self._longest = longest
        self._queue = WaitQueue()
        self._lock = threading.RLock()
        self._active = 0
        self._quota = Quota(limits, state, now)
        self._cooldown = Cooldown(state, now, longest)
        self._tokens = TokenForecast()
        self._models: dict[str, VendorLimits] = {}

    async def admit(self, call: Call, key: Key) -> Admission:
        """Wait until the limits allow; raise ProviderError where nobody waits for so long."""
        reason, wait = self._cooldown.wait()
        if wait:  # reported at once, also for those who are not the first in the queue
            call.on_wait(reason, wait)
        admitted: list[Admission] = []
        await self._queue.wait(partial(self._gate, call, admitted), key)
        return admitted[0]

    def recalls(self, admission: Admission) -> bool:
        """Check whether an admitted call has to leave again, as a cooldown began meanwhile."""
        with self._lock:
            return self._cooldown.wait(admission)[1] > 0

    def started(self, admission: Admission) -> None:
        with self._lock:
            self._cooldown.started(admission)
            admission.vendor_limits.start(admission.vendor, self._now())
            self._quota.start(admission.quota)
        if self._cooldown.half_open:
            self._queue.wake_first()

    def left(self, admission: Admission) -> None:
        """Release what was reserved for a call that did not start."""
        with self._leaving():
            self._cooldown.cancelled(admission)
            admission.vendor_limits.release(admission.vendor)
            self._quota.release(admission.quota)

    def ended(self, admission: Admission, outcome: Outcome) -> None:
        """Learn from how a call ended that started."""
        usage, call, reserved = outcome.usage, admission.call, admission.vendor
        refused = outcome.cause is Cause.RATE_LIMITED
        with self._leaving():
            now = self._now()
            if usage.input or usage.output:
                used = usage.input, usage.output
                self._tokens.learn(call, usage.output)
            elif refused or not outcome.started:
                used = 0, 0
            else:  # a call that was cut off may have used its tokens
                used = reserved.input_tokens, reserved.output_tokens
            self._quota.settle(admission.quota, *used)
            admission.vendor_limits.settle(reserved, *used, outcome.headers, now)
            if not outcome.started:
                self._cooldown.cancelled(admission)
                return
            if not refused:
                self._cooldown.ended(admission)
                return
            started = reserved.started or now
            seconds = self._cooldown.refused(admission, started, outcome.retry_after)
            if seconds:
                admission.vendor_limits.refused(reserved, outcome.limits, seconds, now)

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        with self._lock:
            self._active -= 1
            try:
                yield
            finally:
                self._queue.wake_first()

    def _gate(self, call: Call, admitted: list[Admission]) -> float:
        with self._lock:
            attempt = self._attempt(call)
        if isinstance(attempt, Admission):
            admitted.append(attempt)
            return 0.0
        reason, wait = attempt
        if max(self._longest, HOPELESS) < wait < FOREVER:
            raise ProviderError(
                Cause.QUOTA_EXHAUSTED,
                f"all {reason} of {call.provider} are used up; there is room again in "
                f"{wait / 3600:.1f} h",
                retry_after=wait,
            )
        call.on_wait(reason, wait)
        return wait

    def _attempt(self, call: Call) -> Admission | tuple[str, float]:
        """Admit a call, or return the reason and the seconds for which it has to wait."""
        now = self._now()
        reason, wait = self._cooldown.wait()
        if wait:
            return reason, wait
        if self._active >= self._at_once:
            return f"{self._at_once} calls at once", FOREVER
        vendor_limits = self._models.get(call.model)
        if vendor_limits is None:
            vendor_limits = self._models[call.model] = VendorLimits(now)
        tokens = call.input_tokens, self._tokens.expect(call)
        reason, wait = vendor_limits.wait(*tokens, now)
        if wait:
            return reason, wait
        quota = self._quota.reserve(*tokens)
        if not isinstance(quota, QuotaReservation):
            return quota
        self._active += 1
        admission = Admission(call, vendor_limits, vendor_limits.reserve(*tokens), quota)
        self._cooldown.admitted(admission)
        return admission
