"""The built-in limiter: a gap between any two calls, and each provider's own limits beneath it."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from attrs import evolve

from rolecall import Call, Limiter, Outcome, ProviderSettings, Settings, SystemClock, hookimpl

from ._gap import Gap, LocalGap, SharedGap, Stamps
from ._line import FOREVER, Line

MINUTE = 60.0


@hookimpl
def rolecall_limiters(settings: Settings) -> Iterable[Limiter]:
    now = SystemClock().now
    gap = SharedGap(Path(settings.state) / "pacing", now) if settings.state else LocalGap(now)
    return [Pacing(settings, gap, now)]


class Pacing:
    """Grants permits at least `settings.interval` seconds apart, first come, first served.

    The gap counts from the moment the call before really started. A provider's requests per
    minute and its concurrency are kept beneath it. It waits; it never raises.
    """

    name = "pacing"

    def __init__(self, settings: Settings, gap: Gap, now: Callable[[], float]) -> None:
        self._settings = settings
        self._gap = gap
        self._now = now
        self._permits = Line()
        self._sends = Line()
        self._lanes: dict[str, _Lane] = {}

    async def acquire(self, call: Call) -> None:
        lane = self._lane(call.provider)
        await lane.enter()
        try:
            await self._permits.wait(partial(self._gap.attempt, self._permit))
        except BaseException:
            lane.leave(started=False)
            raise
        lane.started()

    async def sending(self, call: Call) -> None:
        await self._sends.wait(partial(self._gap.attempt, self._send))

    def ended(self, call: Call, outcome: Outcome) -> None:
        self._lane(call.provider).leave()

    def _permit(self, stamps: Stamps, now: float) -> Stamps | float:
        # A call is sent a little after its permit, and `sending` keeps the gap to the hair. One
        # hundredth of it is left to that, so that the little does not add up call by call.
        interval = self._settings.interval
        wait = max(stamps.permit + interval, stamps.sent + 0.99 * interval) - now
        return wait if wait > 0 else evolve(stamps, permit=now)

    def _send(self, stamps: Stamps, now: float) -> Stamps | float:
        wait = stamps.sent + self._settings.interval - now
        return wait if wait > 0 else evolve(stamps, sent=now)

    def _lane(self, provider: str) -> "_Lane":
        if provider not in self._lanes:
            self._lanes[provider] = _Lane(self._settings.provider(provider), self._now)
        return self._lanes[provider]


class _Lane:
    """One provider's own limits: calls at once, and starts within any minute."""

    def __init__(self, limits: ProviderSettings, now: Callable[[], float]) -> None:
        self._at_once = limits.concurrency or FOREVER
        self._a_minute = limits.requests_per_minute or FOREVER
        self._now = now
        self._line = Line()
        self._lock = threading.Lock()
        self._active = 0
        self._entered = 0  # those of the active that have not started yet
        self._starts: deque[float] = deque()

    async def enter(self) -> None:
        await self._line.wait(self._gate)

    def started(self) -> None:
        with self._lock:
            self._entered -= 1
            self._starts.append(self._now())
        self._line.poke()

    def leave(self, started: bool = True) -> None:
        with self._lock:
            self._active -= 1
            self._entered -= not started
        self._line.poke()

    def _gate(self) -> float:
        with self._lock:
            now = self._now()
            while self._starts and self._starts[0] + MINUTE <= now:
                self._starts.popleft()
            if self._active >= self._at_once:
                return FOREVER
            if self._entered + len(self._starts) >= self._a_minute:
                return self._starts[0] + MINUTE - now if self._starts else FOREVER
            self._active += 1
            self._entered += 1
            return 0.0
