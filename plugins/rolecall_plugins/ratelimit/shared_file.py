"""A small file that all processes of the user share; where it cannot be used, they go without."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from .lock import LockedFile

_log = logging.getLogger("rolecall")
BUSY = 0.0002
ASKS = 36  # at growing distances, in about a second

Use = Callable[[bytes | None], bytes | None]


class SharedFile:
    """Content that is read and replaced under a lock, which dies with its holder.

    While the file cannot be used, or its lock stays taken for a second, each process goes by what
    it knows itself, and warns once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.modified = 0  # nanoseconds, as it was left by the last exchange
        self._refused = 0
        self._warned = False

    def exchange(self, use: Use) -> float:
        """Replace the content by what `use` returns for it; None leaves it as it is.

        use: is passed None where there is no content to be had.

        Returns 0, or the seconds until to ask again because another process has the lock; then
        `use` was not called.
        """
        used = False
        try:
            with LockedFile(self.path) as file:
                self._refused = 0
                content = os.read(file, os.fstat(file).st_size)
                used = True
                changed = use(content)
                if changed is not None:
                    os.lseek(file, 0, os.SEEK_SET)
                    os.write(file, changed)
                    if len(changed) < len(content):
                        os.ftruncate(file, len(changed))
                self.modified = os.fstat(file).st_mtime_ns
            return 0.0
        except BlockingIOError:
            if self._refused < ASKS:
                self._refused += 1
                return BUSY * 1.2**self._refused
            self._warn("its lock is held by a process that does not go on")
        except OSError as error:
            self._warn(error.strerror or str(error))
        if not used:
            use(None)
        return 0.0

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s cannot be used (%s): calls are paced within this process only", self.path, why
            )
