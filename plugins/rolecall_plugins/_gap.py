"""The moment of the last call's start: in this process, or for all processes of the user."""

import logging
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import evolve, frozen

_log = logging.getLogger("rolecall")
_STAMPS = struct.Struct("<dd")
BUSY = 0.002
PATIENCE = 1.0


@frozen
class Stamps:
    """When a permit was last given, and when a request last left; seconds of the system's clock."""

    permit: float = float("-inf")
    sent: float = float("-inf")


class Gap(Protocol):
    def attempt(self, change: Callable[[Stamps, float], Stamps | float]) -> float:
        """Let `change` look at the stamps: it gives the new ones, or the seconds still to wait.

        Gives 0 where the stamps were changed, else the seconds until to ask again.
        """
        ...


class LocalGap:
    """Stamps of this process alone, for all its threads and event loops."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._stamps = Stamps()

    def attempt(self, change: Callable[[Stamps, float], Stamps | float]) -> float:
        with self._lock:
            changed = change(self._stamps, self._now())
            if not isinstance(changed, Stamps):
                return changed
            self._stamps = changed
            return 0.0


class SharedGap:
    """Stamps that all processes of the user share, in a file.

    The clock is the system's monotonic one, which all processes read alike and no clock step
    moves; stamps of before a reboot lie in the future and are ignored. The lock is held only
    while the file is read and written, and dies with its holder. Where the file cannot be
    used, or the lock stays taken for a second, the gap goes on within the process.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._mutex = threading.Lock()
        self._own = Stamps()
        self._busy_since: float | None = None
        self._alone = False

    def attempt(self, change: Callable[[Stamps, float], Stamps | float]) -> float:
        with self._mutex:
            if not self._alone:
                try:
                    return self._attempt_shared(change)
                except OSError as error:
                    self._alone = True
                    _log.warning(
                        "%s cannot be used (%s): calls are paced within this process only",
                        self._path,
                        error.strerror or error,
                    )
            return self._apply(change, self._own)

    def _attempt_shared(self, change: Callable[[Stamps, float], Stamps | float]) -> float:
        from filelock import FileLock, Timeout

        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._path.with_suffix(".lock"), timeout=0):
                self._busy_since = None
                wait = self._apply(change, self._read())
                if not wait:
                    self._path.write_bytes(_STAMPS.pack(self._own.permit, self._own.sent))
                return wait
        except Timeout:
            now = self._now()
            self._busy_since = now if self._busy_since is None else self._busy_since
            if now - self._busy_since > PATIENCE:
                raise OSError(11, "its lock is held by a process that does not go on") from None
            return BUSY

    def _apply(self, change: Callable[[Stamps, float], Stamps | float], stamps: Stamps) -> float:
        changed = change(stamps, self._now())
        if not isinstance(changed, Stamps):
            return changed
        self._own = changed
        return 0.0

    def _read(self) -> Stamps:
        """Give the later of the file's stamps and our own; a damaged file counts for nothing."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return self._own
        if len(content) != _STAMPS.size:
            return self._own
        now = self._now()
        permit, sent = (
            stamp if stamp <= now else float("-inf") for stamp in _STAMPS.unpack(content)
        )
        return evolve(
            self._own, permit=max(permit, self._own.permit), sent=max(sent, self._own.sent)
        )
