"""How long a call would wait, by the limiter's own gates on a copy of its state."""

import heapq
from collections.abc import Callable, Mapping
from itertools import count
from typing import TypeVar

from attrs import evolve, field, frozen

from rolecall import Call, ProviderError

from .interval import LastStart
from .provider_limiter import Admission, ProviderLimiter, Recalled
from .wait_queue import FOREVER, Key, Queued

STEPS = 250  # of the simulation, some 10 ms; what is left then is taken to go on as before
LATER = 1 << 60  # numbers of those that queue again come after all others
T = TypeVar("T")


@frozen
class _OfQuota:
    """A quota's limits on the simulated clock, and who waits for them, in heaps."""

    limiter: ProviderLimiter
    models: dict[str, list[Queued[Call]]] = field(factory=dict)
    queue: list[Queued[Admission]] = field(factory=list)


class WaitForecast:
    """Simulates the queues until one call more gets its permit.

    Calls under way are taken to end after their model's mean time, and to use what is expected of
    them; nobody else comes, and nothing is refused. Of other processes the last start and their
    shares of the quotas are known, and not who waits in them.

    interval: seconds between two starts. before: returns the moment that a provider's permit keeps
    its distance from.
    """

    def __init__(
        self,
        now: float,
        interval: float,
        before: Callable[[str, LastStart], float],
        last: LastStart,
        quotas: Mapping[str, ProviderLimiter],
        waiting: list[Queued[Admission]],
    ) -> None:
        self._began = self._now = now
        self._interval = interval
        self._before = before
        self._last = last
        self._numbers = count(LATER)
        self._ends: list[tuple[float, int, Admission]] = []
        self._quotas: dict[str, _OfQuota] = {}
        self._waiting: list[Queued[Admission]] = []
        self._started = 0
        for name, limiter in quotas.items():
            self._copy(name, limiter, waiting)

    def seconds(self, call: Call, key: Key) -> float:
        """Return for how long the call would wait; infinite where it would wait for ever."""
        call = evolve(call)  # to be told apart from one that waits already
        _push(self._quotas[call.counted_on].models.setdefault(call.model, []), key, FOREVER, call)
        for _ in range(STEPS):
            try:
                wait = self._advance(call)
            except _Permitted:
                return self._now - self._began
            except ProviderError as refusal:
                return refusal.retry_after or FOREVER
            if wait == FOREVER:
                return FOREVER
            self._now += wait
        ahead = len(self._waiting) + sum(map(_waiting, self._quotas.values()))
        return (self._now - self._began) * (1 + ahead / max(1, self._started))

    def _copy(self, name: str, limiter: ProviderLimiter, waiting: list[Queued[Admission]]) -> None:
        copied = limiter.copy(lambda: self._now)
        queue = _copied(copied.queue, copied.admissions)
        self._quotas[name] = _OfQuota(copied.limiter, dict(copied.models), queue)
        heapq.heapify(queue)
        for calls in copied.models.values():
            heapq.heapify(calls)
        for admission in copied.admissions.values():
            self._end_later(admission)
        self._waiting += _copied(waiting, copied.admissions)
        heapq.heapify(self._waiting)

    def _end_later(self, admission: Admission) -> None:
        started = admission.vendor.started
        if started is not None:
            ends = max(self._now, started + admission.model.seconds)
            heapq.heappush(self._ends, (ends, next(self._numbers), admission))

    def _advance(self, call: Call) -> float:
        """Move everyone on who may; return the seconds until anyone else may."""
        while True:
            while self._ends and self._ends[0][0] <= self._now:
                admission = heapq.heappop(self._ends)[2]
                self._quotas[admission.call.counted_on].limiter.ended_as_expected(admission)
            waits = [self._ends[0][0] - self._now] if self._ends else []
            for quota in self._quotas.values():
                waits += [self._admit(quota, calls, call) for calls in quota.models.values()]
                waits.append(self._enter(quota, call))
            wait = self._start(call)
            if wait:
                return min(wait, *waits, FOREVER)

    def _admit(self, quota: _OfQuota, calls: list[Queued[Call]], own: Call) -> float:
        """Pass a model's calls through its limits; return the seconds until the next one may."""
        while calls:
            key, _, call = calls[0]
            try:
                passed = quota.limiter.pass_model(call)
            except ProviderError:
                if call is own:
                    raise
                heapq.heappop(calls)
                continue
            if not isinstance(passed, Admission):
                return passed[1]
            heapq.heappop(calls)
            _push(quota.queue, key, next(self._numbers), passed)
        return FOREVER

    def _enter(self, quota: _OfQuota, own: Call) -> float:
        """Pass calls through the user's limits; return the seconds until the next one may."""
        while quota.queue:
            key, _, admission = quota.queue[0]
            try:
                held = quota.limiter.pass_provider(admission)
            except Recalled:
                heapq.heappop(quota.queue)
                self._recall(key, admission)
                continue
            except ProviderError:
                if admission.call is own:
                    raise
                heapq.heappop(quota.queue)
                quota.limiter.left(admission)
                continue
            if held:
                return held[1]
            heapq.heappop(quota.queue)
            _push(self._waiting, key, next(self._numbers), admission)
        return FOREVER

    def _start(self, own: Call) -> float:
        """Start the first in the interval's queue; return 0 where it left the queue."""
        if not self._waiting:
            return FOREVER
        key, _, admission = self._waiting[0]
        quota = self._quotas[admission.call.counted_on]
        try:
            quota.limiter.check(admission)
        except Recalled:
            heapq.heappop(self._waiting)
            self._recall(key, admission)
            return 0.0
        wait = self._before(admission.call.provider, self._last) + self._interval - self._now
        if wait > 0:
            return wait
        heapq.heappop(self._waiting)
        if admission.call is own:
            raise _Permitted
        self._started += 1
        self._last = LastStart(self._now, self._last.sent)
        quota.limiter.started(admission)
        self._end_later(admission)
        return 0.0

    def _recall(self, key: Key, admission: Admission) -> None:
        """Queue a call again whose model began to cool down."""
        call = admission.call
        quota = self._quotas[call.counted_on]
        quota.limiter.left(admission)
        _push(quota.models.setdefault(call.model, []), key, next(self._numbers), call)


class _Permitted(Exception):
    """The call in question got its permit."""


def _push(heap: list[Queued[T]], key: Key, number: float, item: T) -> None:
    heapq.heappush(heap, (key, number, item))


def _waiting(quota: _OfQuota) -> int:
    return len(quota.queue) + sum(map(len, quota.models.values()))


def _copied(
    queue: list[Queued[Admission]], copies: Mapping[Admission, Admission]
) -> list[Queued[Admission]]:
    """Put the copies in a queue instead of the admissions."""
    return [(key, n, copies[admission]) for key, n, admission in queue if admission in copies]
