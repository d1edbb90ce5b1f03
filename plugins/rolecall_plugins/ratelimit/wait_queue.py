"""A queue of callers before a gate: a key says who is first; only the first watches the time.

The event loop's own timers wake the first. On Linux they are late, as asyncio rounds to whole
milliseconds: by `bench/pacing.py` calls at 500 ms take 1.0023 times the ideal, and would take
1.0007 with timers of the kernel's (`timerfd`); at 5 ms it is 1.06 and 1.03. Requests keep a
distance that is a hundredth longer anyway, so nobody would notice the difference.
"""

import asyncio
import heapq
import threading
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

FOREVER = float("inf")

T = TypeVar("T")
Gate = Callable[[], float]
Key = tuple[float, ...]
Queued = tuple[Key, float, T]  # the number tells who of the same key came first


class WaitQueue(Generic[T]):
    """Passes callers through a gate one by one: the lowest key first, then in order of arrival.

    A gate takes effect and returns 0 where the first in the queue may pass; else it returns the
    seconds until to ask again, `FOREVER` until `wake_first`. Callers may come from any task,
    thread and event loop. Those behind the first cost memory, but no time; one that is cancelled
    leaves the queue.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: list[Queued[_Waiter[T]]] = []  # a heap
        self._numbers = count()
        self._left = 0

    async def wait(self, gate: Gate, key: Key = (), item: T | None = None) -> None:
        """Wait until the gate lets the caller pass.

        item: what stands for the caller in `items`.
        """
        waiter = _Waiter(item)
        with self._lock:
            heapq.heappush(self._waiters, (key, next(self._numbers), waiter))
        try:
            while True:
                if self._is_first(waiter):
                    delay = gate()
                    if delay <= 0:
                        return
                    waiter.set_timer(delay)
                await waiter.sleep()
        finally:
            self._leave(waiter)

    def __len__(self) -> int:
        """Count the waiters, give or take some that left."""
        return len(self._waiters)

    def items(self) -> list[Queued[T]]:
        """List who waits, in no order."""
        with self._lock:
            return [
                (key, number, waiter.item)
                for key, number, waiter in self._waiters
                if not waiter.has_left and waiter.item is not None
            ]

    def wake_first(self) -> None:
        """Wake the first in the queue, so that it asks its gate again."""
        while True:
            with self._lock:
                first = self._first()
            if first is None or first.wake():
                return
            first.has_left = True

    def _first(self) -> "_Waiter[T] | None":
        while self._waiters and self._waiters[0][2].has_left:
            heapq.heappop(self._waiters)
        return self._waiters[0][2] if self._waiters else None

    def _is_first(self, waiter: "_Waiter[T]") -> bool:
        with self._lock:
            first = self._first()
        if first is waiter:
            return True
        if first is not None and first.loop.is_closed():
            self.wake_first()  # a waiter whose loop was closed will never move on
        with self._lock:
            return self._first() is waiter

    def _leave(self, waiter: "_Waiter[T]") -> None:
        with self._lock:
            was_first = self._first() is waiter
            waiter.has_left = True
            if not was_first:
                self._compact()
        waiter.set_timer(FOREVER)
        if was_first:
            self.wake_first()

    def _compact(self) -> None:
        """Drop those that left from the middle, once they are half of the queue."""
        self._left += 1
        if 2 * self._left > len(self._waiters):
            self._waiters = [each for each in self._waiters if not each[2].has_left]
            heapq.heapify(self._waiters)
            self._left = 0


class _Waiter(Generic[T]):
    """One caller in a queue: sleeps in its own event loop, is woken from any thread."""

    __slots__ = ("_asleep", "_timer", "has_left", "item", "loop")

    def __init__(self, item: T | None) -> None:
        self.item = item
        self.loop = asyncio.get_running_loop()
        self.has_left = False
        self._timer: asyncio.TimerHandle | None = None
        self._asleep: asyncio.Future[None] | None = None

    def set_timer(self, seconds: float) -> None:
        """Wake after a time, instead of the one that was set before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.wake) if seconds < FOREVER else None

    def sleep(self) -> "asyncio.Future[None]":
        """Return what to await until `wake`."""
        self._asleep = self.loop.create_future()
        return self._asleep

    def wake(self) -> bool:
        """End the sleep; return False where its loop is closed."""
        if asyncio._get_running_loop() is self.loop:
            self._wake()
            return True
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if self._asleep is not None and not self._asleep.done():
            self._asleep.set_result(None)
