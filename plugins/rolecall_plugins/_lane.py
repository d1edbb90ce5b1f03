"""One provider's own limits: calls at once, starts within any minute, and pauses it asked for."""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from rolecall import Call, Cause, Outcome, ProviderSettings

from ._alarm import Alarm
from ._line import FOREVER, Line

MINUTE = 60.0
FIRST_PAUSE = 1.0  # seconds, where a vendor says that it is too much and not for how long


class Lane:
    """Lets a provider's calls in as its limits allow, first come, first served.

    A call that entered has either `started` or `left`; one that started leaves when it ends.
    When a vendor says that it is too much, all of its callers pause until the moment it names.

    longest_pause: seconds; whoever must not wait longer asks another provider.
    """

    def __init__(
        self,
        limits: ProviderSettings,
        now: Callable[[], float],
        alarm: Callable[[], Alarm],
        longest_pause: float,
    ) -> None:
        self._at_once = limits.concurrency or FOREVER
        self._a_minute = limits.requests_per_minute or FOREVER
        self._now = now
        self._line = Line(alarm)
        self._lock = threading.Lock()
        self._active = 0
        self._entered = 0  # those of the active that have not started yet
        self._starts: deque[float] = deque()
        self._longest_pause = longest_pause
        self._paused_until = float("-inf")
        self._refusals = 0

    @property
    def is_paused(self) -> bool:
        return self._now() < self._paused_until

    async def enter(self, call: Call) -> None:
        if self.is_paused:  # told at once, also to those who are not the first in line
            call.held("rate limit", self._paused_until - self._now())
        await self._line.wait(partial(self._gate, call))

    def started(self) -> None:
        with self._lock:
            self._entered -= 1
            self._starts.append(self._now())
        self._line.poke()

    def left(self, started: bool = True) -> None:
        with self._lock:
            self._active -= 1
            self._entered -= not started
        self._line.poke()

    def hear(self, outcome: Outcome) -> None:
        """Learn from how a call ended."""
        with self._lock:
            if outcome.cause is not Cause.RATE_LIMITED:
                self._refusals = 0 if outcome.cause is None else self._refusals
                return
            self._refusals += 1
            asked = outcome.retry_after
            pause = FIRST_PAUSE * 2.0 ** (self._refusals - 1) if asked is None else asked
            until = self._now() + min(pause, self._longest_pause)
            self._paused_until = max(self._paused_until, until)

    def _gate(self, call: Call) -> float:
        reason, wait = self._attempt()
        if wait:
            call.held(reason, wait)
        return wait

    def _attempt(self) -> tuple[str, float]:
        """Let a call in, or give the reason and the seconds for which it has to wait."""
        with self._lock:
            now = self._now()
            if now < self._paused_until:
                return "rate limit", self._paused_until - now
            while self._starts and self._starts[0] + MINUTE <= now:
                self._starts.popleft()
            if self._active >= self._at_once:
                return "concurrency", FOREVER
            if self._entered + len(self._starts) >= self._a_minute:
                wait = self._starts[0] + MINUTE - now if self._starts else FOREVER
                return "requests per minute", wait
            self._active += 1
            self._entered += 1
            return "", 0.0
