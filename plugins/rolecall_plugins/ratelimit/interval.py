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
class Stamps:
    """When a permit was last given, and when a request last left; seconds of the system's clock."""

    permit: float = NEVER
    sent: float = NEVER


Change = Callable[[Stamps, float], Stamps | float]


class Gap(Protocol):
    """Keeps the stamps of the last permit and the last sending."""

    def attempt(self, change: Change) -> float:
        """Let `change` look at the stamps: it gives the new ones, or the seconds still to wait.

        Gives 0 where the stamps were changed, else the seconds until to ask again.
        """
        ...

    def note(self, change: Change) -> None:
        """Let `change` look at the stamps at once, and tell no other process."""
        ...


class LocalGap:
    """Stamps of this process alone, for all its threads and event loops."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._stamps = Stamps()

    def attempt(self, change: Change) -> float:
        with self._lock:
            changed = change(self._stamps, self._now())
            if not isinstance(changed, Stamps):
                return changed
            self._stamps = changed
            return 0.0

    def note(self, change: Change) -> None:
        self.attempt(change)


class SharedGap:
    """Stamps that all processes of the user share, in a file.

    The clock is the system's monotonic one, which all processes read alike and no clock step
    moves; stamps of before a reboot lie in the future and are ignored. The file is locked only
    while it is read and written, and left alone where what is known already says to wait.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._file = SharedFile(path)
        self._now = now
        self._mutex = threading.Lock()
        self._known = Stamps()

    def attempt(self, change: Change) -> float:
        with self._mutex:
            changed = change(self._known, self._now())
            if not isinstance(changed, Stamps):
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
        if not isinstance(changed, Stamps):
            return changed
        self._known = changed
        return 0.0

    def _later(self, content: bytes) -> Stamps:
        """Give the later of the file's stamps and the known; a damaged file counts for nothing."""
        if len(content) != _STAMPS.size:
            return self._known
        now = self._now()
        permit, sent = (stamp if stamp <= now else NEVER for stamp in _STAMPS.unpack(content))
        return Stamps(max(permit, self._known.permit), max(sent, self._known.sent))
