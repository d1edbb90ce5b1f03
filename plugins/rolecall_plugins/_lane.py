"""One provider's own limits: calls at once, and starts within any minute."""

import threading
from collections import deque
from collections.abc import Callable

from rolecall import ProviderSettings

from ._alarm import Alarm
from ._line import FOREVER, Line

MINUTE = 60.0


class Lane:
    """Lets a provider's calls in as its limits allow, first come, first served.

    A call that entered has either `started` or `left`; one that started leaves when it ends.
    """

    def __init__(
        self, limits: ProviderSettings, now: Callable[[], float], alarm: Callable[[], Alarm]
    ) -> None:
        self._at_once = limits.concurrency or FOREVER
        self._a_minute = limits.requests_per_minute or FOREVER
        self._now = now
        self._line = Line(alarm)
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

    def left(self, started: bool = True) -> None:
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
