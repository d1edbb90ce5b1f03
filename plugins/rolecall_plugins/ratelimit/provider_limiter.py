"""One provider's limits: calls at once, the user's quota, each model's limits and cooldowns."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy, deepcopy
from functools import partial

from attrs import define, frozen

from rolecall import Call, Cause, Outcome, ProviderError, ProviderLimits

from .cooldown import Cooldown
from .headers import parse_named_limits, parse_retry_after, parse_used
from .quota import Quota, QuotaReservation
from .reservation import TokenForecast
from .shared_state import LocalState, SharedState
from .vendor_limits import VendorLimits, VendorReservation
from .wait_queue import FOREVER, Key, Queued, WaitQueue

HOPELESS = 120.0  # seconds; no limit per minute holds a call up for so long
FIRST_GUESS = 10.0  # seconds that a call takes
NEWEST = 0.25  # share of the newest call in the mean of those seconds

Held = tuple[str, float]  # why a call has to wait, and for how many seconds


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
        self.queue: WaitQueue[Call] = WaitQueue()
        self.cooldown = Cooldown(model, state, now, longest)
        self.vendor = VendorLimits(now())
        self.seconds = FIRST_GUESS  # that its calls take, on average


@define(eq=False)
class Admission:
    """A call that its model's limits let through, and what is reserved for it."""

    call: Call
    model: ModelLimiter
    tokens: tuple[int, int]
    vendor: VendorReservation
    quota: QuotaReservation | None = None


@frozen
class Copy:
    """A provider's limiter that may go another way, and who is on the way through the original.

    admissions: to their copies. models: the calls that wait for their model, by its name.
    queue: the admissions, not their copies, that wait for the provider.
    """

    limiter: "ProviderLimiter"
    admissions: Mapping[Admission, Admission]
    models: Mapping[str, list[Queued[Call]]]
    queue: list[Queued[Admission]]


class ProviderLimiter:
    """Admits a provider's calls as its limits allow, in the order of their keys.

    A call passes its model's queue and then the provider's. One that was admitted has either
    `started` or `left`; one that started `ended`.

    longest: seconds that a call may be held up by what the vendor asks for, and by a day's limit.
    speed: how many times as fast a recorded vendor's seconds pass.
    """

    def __init__(
        self,
        limits: ProviderLimits,
        state: SharedState,
        now: Callable[[], float],
        longest: float,
        speed: float = 1.0,
    ) -> None:
        self._limits = limits
        self._at_once = limits.concurrency or FOREVER
        self._state = state
        self._now = now
        self._longest = longest
        self._speed = speed
        self._queue: WaitQueue[Admission] = WaitQueue()
        self._lock = threading.RLock()
        self._admissions: set[Admission] = set()
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
        await model.queue.wait(partial(self._model_gate, call, admitted), key, call)
        (admission,) = admitted
        try:
            await self._queue.wait(partial(self._provider_gate, admission), key, admission)
        except BaseException:
            self.left(admission)
            raise
        return admission

    def pass_model(self, call: Call) -> Admission | Held:
        """Reserve what a call takes from its model's limits, where they allow it.

        Raises ProviderError where they would hold the call up for longer than anyone waits.
        """
        model = self._model(call.model)
        tokens = call.input_tokens, self._tokens.expect(call)
        with self._lock:
            reason, wait = model.cooldown.wait()
            if not wait:
                reason, wait = model.vendor.wait(*tokens, self._now())
            if wait:
                return self._bearable(call, reason, wait)
            admission = Admission(call, model, tokens, model.vendor.reserve(*tokens))
            model.cooldown.admitted(admission)
            self._admissions.add(admission)
            return admission

    def pass_provider(self, admission: Admission) -> Held | None:
        """Reserve what a call takes from the user's limits, where they allow it.

        Raises Recalled where a cooldown began meanwhile, and ProviderError as `pass_model`.
        """
        with self._lock:
            self.check(admission)
            if self._active >= self._at_once:
                return f"{self._at_once} calls at once", FOREVER
            quota = self._quota.reserve(*admission.tokens)
            if not isinstance(quota, QuotaReservation):
                return self._bearable(admission.call, *quota)
            admission.quota = quota
            self._active += 1
            return None

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
        model, used = admission.model, parse_used(outcome.usage)
        refused = outcome.cause is Cause.RATE_LIMITED
        with self._leaving(admission):
            now = self._now()
            if any(used):
                self._tokens.learn(admission.call, used[1])
            elif outcome.started and not refused:
                used = admission.tokens  # a call that was cancelled or cut off may have used them
            self._settle(admission, used, outcome.headers)
            if not outcome.started or outcome.cancelled:
                model.cooldown.cancelled(admission)
                return
            started = now if admission.vendor.started is None else admission.vendor.started
            if not refused:
                model.cooldown.answered(admission)
                model.seconds += NEWEST * (now - started - model.seconds)
                return
            retry_after = parse_retry_after(outcome.retry_after)
            if retry_after is not None:
                retry_after /= self._speed
            seconds = model.cooldown.refused(admission, started, retry_after)
            if seconds:
                named = parse_named_limits(outcome.limits)
                model.vendor.refused(admission.vendor, named, seconds, now)

    def ended_as_expected(self, admission: Admission) -> None:
        """End a call as if it was answered and used what was reserved for it."""
        with self._leaving(admission):
            self._settle(admission, admission.tokens, {})
            admission.model.cooldown.answered(admission)

    def would_pass(self, call: Call) -> bool:
        """Check whether a call would surely be admitted at once; reserve nothing."""
        with self._lock:
            model = self._model(call.model)
            tokens = call.input_tokens, self._tokens.expect(call)
            is_free = self._active < self._at_once and not self._quota.has_limits
            return is_free and not model.vendor.would_hold(*tokens, self._now())

    def is_holding(self) -> bool:
        """Check whether any call waits, or will have to wait, for more than the interval."""
        with self._lock:
            models = self._models.values()
            return len(self._queue) > 0 or any(
                len(model.queue) > 0 or model.cooldown.wait()[1] or model.cooldown.half_open
                for model in models
            )

    def room(self, call: Call) -> float:
        """Return which share of a model's limits, and of the user's, is free."""
        with self._lock:
            busy = self._active / self._at_once
            vendor = self._model(call.model).vendor.room(self._now())
            return max(0.0, min(1.0 - busy, vendor, self._quota.room()))

    def copy(self, now: Callable[[], float]) -> Copy:
        """Return a copy with a clock of its own."""
        with self._lock:
            state = LocalState(deepcopy(self._state.peek()))
            copied = ProviderLimiter(self._limits, state, now, self._longest)
            copied._active, copied._tokens = self._active, self._tokens.copy()
            copies: dict[Admission, Admission] = {}
            for name, model in self._models.items():
                own = copied._models[name] = copy(model)
                own.queue = WaitQueue()
                own.vendor, reservations = model.vendor.copy()
                for each in self._admissions:
                    if each.model is model:
                        quota = each.quota and copy(each.quota)
                        reserved = reservations[each.vendor]
                        copies[each] = Admission(each.call, own, each.tokens, reserved, quota)
                own.cooldown = model.cooldown.copy(state, now, copies)
            copied._admissions = set(copies.values())
            waiting = {name: model.queue.items() for name, model in self._models.items()}
            return Copy(copied, copies, waiting, self._queue.items())

    @contextmanager
    def _leaving(self, admission: Admission) -> Iterator[None]:
        with self._lock:
            try:
                yield
            finally:
                self._admissions.discard(admission)
                if admission.quota:
                    self._active -= 1
                admission.model.queue.wake_first()
                self._queue.wake_first()

    def _settle(
        self, admission: Admission, used: tuple[int, int], headers: Mapping[str, str]
    ) -> None:
        if admission.quota:
            self._quota.settle(admission.quota, *used)
        admission.model.vendor.settle(admission.vendor, *used, headers, self._now())

    def _model(self, name: str) -> ModelLimiter:
        with self._lock:
            model = self._models.get(name)
            if model is None:
                model = ModelLimiter(name, self._state, self._now, self._longest)
                self._models[name] = model
            return model

    def _model_gate(self, call: Call, admitted: list[Admission]) -> float:
        passed = self.pass_model(call)
        if isinstance(passed, Admission):
            admitted.append(passed)
            return 0.0
        call.on_wait(*passed)
        return passed[1]

    def _provider_gate(self, admission: Admission) -> float:
        held = self.pass_provider(admission)
        if held is None:
            return 0.0
        admission.call.on_wait(*held)
        return held[1]

    def _bearable(self, call: Call, reason: str, wait: float) -> Held:
        if max(self._longest, HOPELESS) < wait < FOREVER:
            raise ProviderError(
                Cause.QUOTA_EXHAUSTED,
                f"all {reason} of {call.provider} are used up; there is room again in "
                f"{wait / 3600:.1f} h",
                retry_after=wait,
            )
        return reason, wait
