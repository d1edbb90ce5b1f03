"""A line of callers before a gate: first come, first served; only the first watches the time."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable

FOREVER = float("inf")


class Line:
    """Lets callers pass a gate one by one, in the order they came.

    gate: takes effect and gives 0 where the first in line may pass; else the seconds until to
    ask again, `FOREVER` until `poke`. Callers may come from any task, thread and event loop.
    Those behind the first cost memory, no time; one that is cancelled gives its place back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: deque[_Place] = deque()

    async def wait(self, gate: Callable[[], float]) -> None:
        place = _Place()
        with self._lock:
            self._places.append(place)
            first = self._places[0] is place
        try:
            if not first:
                await place.rest(FOREVER)
            while (delay := gate()) > 0:
                await place.rest(delay)
        finally:
            with self._lock:
                was_first = self._places[0] is place
                self._places.remove(place)
                following = self._places[0] if was_first and self._places else None
            if following is not None:
                following.wake()

    def poke(self) -> None:
        """Let the first in line ask the gate again."""
        with self._lock:
            first = self._places[0] if self._places else None
        if first is not None:
            first.wake()


class _Place:
    """One caller's place: sleeps in its own event loop, is woken from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    async def rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(None if seconds == FOREVER else seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    def wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)
