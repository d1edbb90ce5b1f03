"""The moment of the last call's start: in this process, or for all processes of the user."""

import logging
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import frozen

from ._lock import LockedFile

_log = logging.getLogger("rolecall")
_STAMPS = struct.Struct("<dd")
NEVER = float("-inf")
BUSY = 0.0002
ASKS = 36  # at growing distances, in about a second


@frozen
class Stamps:
    """When a permit was last given, and when a request last left; seconds of the system's clock."""

    permit: float = NEVER
    sent: float = NEVER


Change = Callable[[Stamps, float], Stamps | float]


class Gap(Protocol):
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
    While it cannot be used, or its lock stays taken for a second, what is known has to do.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._mutex = threading.Lock()
        self._known = Stamps()
        self._refused = 0
        self._warned = False

    def attempt(self, change: Change) -> float:
        with self._mutex:
            changed = change(self._known, self._now())
            if not isinstance(changed, Stamps):
                return changed
            wait: float | None = None
            try:
                with LockedFile(self._path) as file:
                    self._refused = 0
                    self._known = self._later(os.read(file, _STAMPS.size))
                    wait = self._apply(change)
                    if not wait:
                        os.lseek(file, 0, os.SEEK_SET)
                        os.write(file, _STAMPS.pack(self._known.permit, self._known.sent))
            except BlockingIOError:
                if self._refused < ASKS:
                    self._refused += 1
                    return BUSY * 1.2**self._refused
                self._warn("its lock is held by a process that does not go on")
            except OSError as error:
                self._warn(error.strerror or str(error))
            return self._apply(change) if wait is None else wait

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

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s cannot be used (%s): calls are paced within this process only", self._path, why
            )
