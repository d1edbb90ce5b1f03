"""A line of callers before a gate: first come, first served; only the first watches the time."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from ._alarm import Alarm, LoopAlarm

FOREVER = float("inf")

Gate = Callable[[], float]


class Line:
    """Lets callers pass a gate one by one, in the order they came.

    gate: takes effect and gives 0 where the first in line may pass; else the seconds until to
    ask again, `FOREVER` until `poke`. Callers may come from any task, thread and event loop.
    Those behind the first cost memory, no time; one that is cancelled gives its place back.
    """

    def __init__(self, alarm: Callable[[], Alarm] = LoopAlarm) -> None:
        self._alarm = alarm
        self._lock = threading.Lock()
        self._places: deque[_Place] = deque()
        self._left = 0

    async def wait(self, gate: Gate) -> None:
        place = _Place()
        with self._lock:
            self._places.append(place)
        try:
            if not self._is_first(place):
                await place.rest()
            while (delay := gate()) > 0:
                if delay < FOREVER:
                    place.alarm = place.alarm or self._alarm()
                    place.alarm.set(delay, place.wake)
                await place.rest()
        finally:
            self._leave(place)

    def poke(self) -> None:
        """Let the first in line ask the gate again."""
        while True:
            with self._lock:
                first = self._first()
            if first is None or first.wake():
                return
            first.left = True

    def _first(self) -> "_Place | None":
        while self._places and self._places[0].left:
            self._places.popleft()
        return self._places[0] if self._places else None

    def _is_first(self, place: "_Place") -> bool:
        with self._lock:
            first = self._first()
        if first is place:
            return True
        if first is not None and first.loop.is_closed():
            self.poke()  # one who waited in a loop that was closed will not move on
        with self._lock:
            return self._first() is place

    def _leave(self, place: "_Place") -> None:
        with self._lock:
            was_first = self._first() is place
            place.left = True
            if not was_first:
                self._sweep()
            elif (following := self._first()) and following.loop is place.loop:
                following.alarm, place.alarm = place.alarm, None
        if place.alarm is not None:
            place.alarm.close()
        if was_first:
            self.poke()

    def _sweep(self) -> None:
        """Drop those that left from the middle, once they are half of the line."""
        self._left += 1
        if 2 * self._left > len(self._places):
            self._places = deque(place for place in self._places if not place.left)
            self._left = 0


class _Place:
    """One caller's place: rests in its own event loop, is woken from any thread."""

    __slots__ = ("_rest", "alarm", "left", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.left = False
        self.alarm: Alarm | None = None
        self._rest: asyncio.Future[None] | None = None

    def rest(self) -> "asyncio.Future[None]":
        """Give what to wait for until `wake`."""
        self._rest = self.loop.create_future()
        return self._rest

    def wake(self) -> bool:
        """End the rest; tell False where its loop is closed."""
        if asyncio._get_running_loop() is self.loop:
            self._rise()
            return True
        try:
            self.loop.call_soon_threadsafe(self._rise)
        except RuntimeError:
            return False
        return True

    def _rise(self) -> None:
        if self._rest is not None and not self._rest.done():
            self._rest.set_result(None)
