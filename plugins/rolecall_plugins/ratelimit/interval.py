"""The last call's start, which the next one keeps its distance from; here of one process."""

import threading
from collections.abc import Callable
from typing import Protocol

from attrs import frozen

NEVER = float("-inf")


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

    def attempt(self, change: Change) -> float:
        with self._mutex:
            changed = change(self._last, self._now())
            if not isinstance(changed, LastStart):
                return changed
            self._last = changed
            return 0.0

    def note(self, change: Change) -> None:
        self.attempt(change)
