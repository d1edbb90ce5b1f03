"""A line of callers before a gate: a key says who is first; only the first watches the time."""

import asyncio
import heapq
import threading
from collections.abc import Callable
from itertools import count

from .timers import Alarm, LoopAlarm

FOREVER = float("inf")

Gate = Callable[[], float]
Key = tuple[float, ...]


class Line:
    """Lets callers pass a gate one by one: the lowest key first, then in the order they came.

    gate: takes effect and gives 0 where the first in line may pass; else the seconds until to
    ask again, `FOREVER` until `poke`. Callers may come from any task, thread and event loop.
    Those behind the first cost memory, no time; one that is cancelled gives its place back.
    """

    def __init__(self, alarm: Callable[[], Alarm] = LoopAlarm) -> None:
        self._alarm = alarm
        self._lock = threading.Lock()
        self._places: list[tuple[Key, int, _Place]] = []  # a heap
        self._numbers = count()
        self._left = 0

    async def wait(self, gate: Gate, key: Key = ()) -> None:
        place = _Place()
        with self._lock:
            heapq.heappush(self._places, (key, next(self._numbers), place))
        try:
            while True:
                if self._is_first(place):
                    delay = gate()
                    if delay <= 0:
                        return
                    if delay < FOREVER:
                        place.alarm = place.alarm or self._alarm()
                        place.alarm.set(delay, place.wake)
                await place.rest()
        finally:
            self._leave(place)

    def __len__(self) -> int:
        """Count those in line, give or take some that left."""
        return len(self._places)

    def poke(self) -> None:
        """Let the first in line ask the gate again."""
        while True:
            with self._lock:
                first = self._first()
            if first is None or first.wake():
                return
            first.left = True

    def _first(self) -> "_Place | None":
        while self._places and self._places[0][2].left:
            heapq.heappop(self._places)
        return self._places[0][2] if self._places else None

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
            elif (next_one := self._first()) and next_one.loop is place.loop and not next_one.alarm:
                next_one.alarm, place.alarm = place.alarm, None
        if place.alarm is not None:
            place.alarm.close()
        if was_first:
            self.poke()

    def _sweep(self) -> None:
        """Drop those that left from the middle, once they are half of the line."""
        self._left += 1
        if 2 * self._left > len(self._places):
            self._places = [each for each in self._places if not each[2].left]
            heapq.heapify(self._places)
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
