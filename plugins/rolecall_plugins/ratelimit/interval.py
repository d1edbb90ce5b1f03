"""The moment of the last call's start: in this process, or for all processes of the user."""

import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import frozen

from .shared_file import SharedFile

_STAMPS = struct.Struct("<dd")
NEVER = float("-inf")


@frozen
class LastStart:
    """When a permit was last granted, and when a request was last sent; seconds of the clock."""

    permit: float = NEVER
    sent: float = NEVER


Change = Callable[[LastStart, float], LastStart | float]


class MinInterval(Protocol):
    """Keeps the last start, which the next one has to keep its distance from."""

    def attempt(self, change: Change) -> float:
        """Replace the last start by what `change` makes of it.

        change: takes the last start and the current time; returns the new start, or the seconds
            still to wait.

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
        self._lock = threading.Lock()
        self._last = LastStart()

    def attempt(self, change: Change) -> float:
        with self._lock:
            changed = change(self._last, self._now())
            if not isinstance(changed, LastStart):
                return changed
            self._last = changed
            return 0.0

    def note(self, change: Change) -> None:
        self.attempt(change)


class SharedInterval:
    """The last start in all processes of the user, in a file.

    The clock is the system's monotonic one, which all processes read alike and no clock step
    moves; a start of before a reboot lies in the future and is ignored. The file is locked only
    while it is read and written, and left alone where what is known already says to wait.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._file = SharedFile(path)
        self._now = now
        self._mutex = threading.Lock()
        self._known = LastStart()

    def attempt(self, change: Change) -> float:
        with self._mutex:
            changed = change(self._known, self._now())
            if not isinstance(changed, LastStart):
                return changed
            wait = 0.0

            def use(content: bytes | None) -> bytes | None:
                nonlocal wait
                self._known = self._later(content or b"")
                wait = self._apply(change)
                return None if wait else _STAMPS.pack(self._known.permit, self._known.sent)

            return self._file.exchange(use) or wait

    def note(self, change: Change) -> None:
        with self._mutex:
            self._apply(change)

    def _apply(self, change: Change) -> float:
        changed = change(self._known, self._now())
        if not isinstance(changed, LastStart):
            return changed
        self._known = changed
        return 0.0

    def _later(self, content: bytes) -> LastStart:
        """Return the later of the file's start and the known one; a damaged file is ignored."""
        if len(content) != _STAMPS.size:
            return self._known
        now = self._now()
        permit, sent = (stamp if stamp <= now else NEVER for stamp in _STAMPS.unpack(content))
        return LastStart(max(permit, self._known.permit), max(sent, self._known.sent))
