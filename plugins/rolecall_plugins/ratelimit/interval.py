"""The interval between calls' starts: the last start, here of one process, and who waits for it."""

import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from attrs import frozen

from .wait_queue import Gate, Key, Queued, WaitQueue

HELD_UP = 0.005  # of the interval
NEVER = float("-inf")
T = TypeVar("T")


@frozen
class LastStart:
    """When a permit was last granted, and when a request was last sent; seconds of the clock."""

    permit: float = NEVER
    sent: float = NEVER

    def or_later(self, other: "LastStart") -> "LastStart":
        return LastStart(max(self.permit, other.permit), max(self.sent, other.sent))


Change = Callable[[LastStart, float], LastStart | float]


class MinInterval(Protocol):
    """Keeps the last start."""

    def peek(self) -> LastStart:
        """Return the last start, as far as it is known."""
        ...

    def attempt(self, change: Change) -> float:
        """Replace the last start by what `change` makes of it.

        change: takes the last start and the current time; returns the new start, or the seconds
            still to wait. It may be called several times.

        Returns 0 where it was replaced, else the seconds until to ask again.
        """
        ...

    def note(self, change: Change) -> None:
        """Apply `change` at once, without telling other processes."""
        ...


class LocalInterval:
    """The last start in this process, over all its threads and event loops."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._mutex = threading.Lock()
        self._last = LastStart()

    def peek(self) -> LastStart:
        return self._last

    def attempt(self, change: Change) -> float:
        with self._mutex:
            changed = change(self._last, self._now())
            if not isinstance(changed, LastStart):
                return changed
            self._last = changed
            return 0.0

    def note(self, change: Change) -> None:
        self.attempt(change)


class IntervalQueue(Generic[T]):
    """Releases callers one interval apart, counted from when each was really released."""

    def __init__(
        self,
        interval: float,
        last_start: MinInterval,
        now: Callable[[], float],
        stamp: Callable[[LastStart, float], LastStart],
    ) -> None:
        self._interval = interval
        self._last_start = last_start
        self._now = now
        self._queue: WaitQueue[T] = WaitQueue()
        self._stamp = stamp
        self._taken = 0.0

    def gate(self, before: Callable[[LastStart], float]) -> Gate:
        """Return a gate that opens one interval after the moment that `before` returns."""
        return partial(self._last_start.attempt, partial(self._take, before))

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def items(self) -> list[Queued[T]]:
        """List who waits, in no order."""
        return self._queue.items()

    def wait(self, gate: Gate, key: Key, item: T) -> Coroutine[Any, Any, None]:
        # Not awaited here: a frame costs every waiting caller.
        return self._queue.wait(gate, key, item)

    def let_go(self) -> None:
        """Count from now on, as the caller may have been held up since its turn.

        The shared file is written again only where that makes a difference to other processes.
        """
        if self._now() - self._taken > HELD_UP * self._interval:
            self._last_start.attempt(self._stamp)
        self._last_start.note(self._stamp)

    def _take(
        self, before: Callable[[LastStart], float], last: LastStart, now: float
    ) -> LastStart | float:
        wait = before(last) + self._interval - now
        if wait > 0:
            return wait
        self._taken = now
        return self._stamp(last, now)
