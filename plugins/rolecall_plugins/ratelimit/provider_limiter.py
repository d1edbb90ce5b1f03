"""One provider's limits: calls at once, the user's quota, each model's limits and cooldowns."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from attrs import define

from rolecall import Call, Cause, Outcome, ProviderError, ProviderSettings

from .cooldown import Cooldown
from .headers import parse_named_limits, parse_retry_after, parse_used
from .quota import Quota, QuotaReservation
from .reservation import TokenForecast
from .shared_state import SharedState
from .vendor_limits import VendorLimits, VendorReservation
from .wait_queue import FOREVER, Key, WaitQueue

HOPELESS = 120.0  # seconds; no limit per minute holds a call up for so long


class Recalled(Exception):
    """A cooldown began while a call was on its way: it has to queue again."""


class ModelLimiter:
    """What holds the calls of one model up, in a queue of their own.

    Vendors count per model: Anthropic per class of models, Gemini per project and model. So a
    model that waits or cools down is no reason for the provider's other models to wait.
    """

    def __init__(
        self, model: str, state: SharedState, now: Callable[[], float], longest: float
    ) -> None:
        self.queue = WaitQueue()
        self.cooldown = Cooldown(model, state, now, longest)
        self.vendor = VendorLimits(now())


@define(eq=False)
class Admission:
    """A call that its model's limits let through, and what is reserved for it."""

    call: Call
    model: ModelLimiter
    tokens: tuple[int, int]
    vendor: VendorReservation
    quota: QuotaReservation | None = None


class ProviderLimiter:
    """Admits a provider's calls as its limits allow, in the order of their keys.

    A call waits in its model's queue and then in the provider's. One that was `admitted` has
    either `started` or `left`; one that started `ended`.

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
        self._state = state
        self._now = now
        self._longest = longest
        self._queue = WaitQueue()
        self._lock = threading.RLock()
        self._active = 0
        self._quota = Quota(limits, state, now)
        self._tokens = TokenForecast()
        self._models: dict[str, ModelLimiter] = {}

    async def admit(self, call: Call, key: Key) -> Admission:
        """Wait until all limits allow the call.

        Raises Recalled where a cooldown begins meanwhile, and ProviderError where a limit would
        hold the call up for longer than anyone waits.
        """
        model = self._model(call.model)
        reason, wait = model.cooldown.wait()
        if wait:  # reported at once, also for those who are not the first in the queue
            call.on_wait(reason, wait)
        admitted: list[Admission] = []
        await model.queue.wait(partial(self._pass_model, model, call, admitted), key)
        (admission,) = admitted
        try:
            await self._queue.wait(partial(self._pass_provider, admission), key)
        except BaseException:
            self.left(admission)
            raise
        return admission

    def check(self, admission: Admission) -> None:
        """Raise Recalled where a cooldown began since the call was admitted."""
        with self._lock:
            if admission.model.cooldown.wait(admission)[1]:
                raise Recalled

    def started(self, admission: Admission) -> None:
        model = admission.model
        with self._lock:
            model.cooldown.started(admission)
            model.vendor.start(admission.vendor, self._now())
            if admission.quota:
                self._quota.start(admission.quota)
        if model.cooldown.half_open:
            model.queue.wake_first()

    def left(self, admission: Admission) -> None:
        """Release what was reserved for a call that did not start."""
        with self._leaving(admission):
            admission.model.cooldown.cancelled(admission)
            admission.model.vendor.release(admission.vendor)
            if admission.quota:
                self._quota.release(admission.quota)

    def ended(self, admission: Admission, outcome: Outcome) -> None:
        """Learn from how a call ended that started."""
        model, reserved, used = admission.model, admission.vendor, parse_used(outcome.usage)
        refused = outcome.cause is Cause.RATE_LIMITED
        with self._leaving(admission):
            now = self._now()
            if any(used):
                self._tokens.learn(admission.call, used[1])
            elif outcome.started and not refused:
                used = admission.tokens  # a call that was cancelled or cut off may have used them
            if admission.quota:
                self._quota.settle(admission.quota, *used)
            model.vendor.settle(reserved, *used, outcome.headers, now)
            if not outcome.started or outcome.cancelled:
                model.cooldown.cancelled(admission)
                return
            if not refused:
                model.cooldown.answered(admission)
                return
            started = reserved.started or now
            retry_after = parse_retry_after(outcome.retry_after)
            seconds = model.cooldown.refused(admission, started, retry_after)
            if seconds:
                model.vendor.refused(reserved, parse_named_limits(outcome.limits), seconds, now)

    @contextmanager
    def _leaving(self, admission: Admission) -> Iterator[None]:
        with self._lock:
            try:
                yield
            finally:
                if admission.quota:
                    self._active -= 1
                admission.model.queue.wake_first()
                self._queue.wake_first()

    def _model(self, name: str) -> ModelLimiter:
        with self._lock:
            model = self._models.get(name)
            if model is None:
                model = ModelLimiter(name, self._state, self._now, self._longest)
                self._models[name] = model
            return model

    def _pass_model(self, model: ModelLimiter, call: Call, admitted: list[Admission]) -> float:
        """Reserve what a call takes from its model's limits; return the seconds to wait."""
        tokens = call.input_tokens, self._tokens.expect(call)
        with self._lock:
            reason, wait = model.cooldown.wait()
            if not wait:
                reason, wait = model.vendor.wait(*tokens, self._now())
            if not wait:
                admission = Admission(call, model, tokens, model.vendor.reserve(*tokens))
                model.cooldown.admitted(admission)
                admitted.append(admission)
        return self._reported(call, reason, wait)

    def _pass_provider(self, admission: Admission) -> float:
        """Reserve what a call takes from the user's limits; return the seconds to wait."""
        with self._lock:
            self.check(admission)
            if self._active >= self._at_once:
                return self._reported(admission.call, f"{self._at_once} calls at once", FOREVER)
            quota = self._quota.reserve(*admission.tokens)
            if isinstance(quota, QuotaReservation):
                admission.quota = quota
                self._active += 1
                return 0.0
        return self._reported(admission.call, *quota)

    def _reported(self, call: Call, reason: str, wait: float) -> float:
        if max(self._longest, HOPELESS) < wait < FOREVER:
            raise ProviderError(
                Cause.QUOTA_EXHAUSTED,
                f"all {reason} of {call.provider} are used up; there is room again in "
                f"{wait / 3600:.1f} h",
                retry_after=wait,
            )
        if wait:
            call.on_wait(reason, wait)
        return wait
