"""One process at a time writes a run: a lock that the system frees when its holder dies."""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RunBusy, RunError

if TYPE_CHECKING:
    from filelock import FileLock

HOLDER = ".holder"


def take_lock(path: Path) -> "FileLock":
    """Take the folder's lock, which the system frees when the process dies.

    Raises RunBusy, which names the holder as far as it left a note of itself.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        who = f"another rolecall{_holder(path)}"
        raise RunBusy(f"{path} is being written by {who}; wait for it") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be locked: {error.strerror}") from error
    return lock


def note_holder(path: Path) -> None:
    """Leave a note of who writes a run; the lock is what counts, so it may fail or be stale."""
    since = datetime.now().isoformat(" ", "seconds")
    with suppress(OSError):
        (path / HOLDER).write_text(f"process {os.getpid()}, since {since}\n", "utf-8")


def _holder(path: Path) -> str:
    try:
        return f" ({(path / HOLDER).read_text('utf-8').strip()})"
    except (OSError, UnicodeDecodeError):
        return ""
