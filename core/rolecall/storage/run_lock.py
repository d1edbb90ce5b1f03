"""One process at a time writes a run: a lock that the system frees when its holder dies."""

import os
import stat
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RunBusy, RunError
from .safe_folder import HARD_LINK, SafeFolder

if TYPE_CHECKING:
    from filelock import FileLock

HOLDER = ".holder"
LOCK = ".lock"
LARGEST_NOTE = 200  # bytes
PATIENCE = 0.1  # seconds; who only looks whether it is held holds it for a moment


def take_lock(path: Path) -> "FileLock":
    """Take the folder's lock, which the system frees when the process dies.

    Raises RunBusy, which names the holder as far as it left a note of itself.
    """
    from filelock import FileLock, Timeout

    _check_lock_file(path)
    lock = FileLock(path / LOCK, timeout=PATIENCE, poll_interval=PATIENCE / 10, mode=0o600)
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
    with suppress(RunError):
        SafeFolder(path).write(HOLDER, f"process {os.getpid()}, since {since}\n".encode())


def _holder(path: Path) -> str:
    try:
        note = SafeFolder(path).read_text(HOLDER, LARGEST_NOTE)
    except RunError:
        return ""
    return f" ({note.strip()})" if note else ""


def is_busy(path: Path) -> bool:
    """Check whether a process is writing a run, without writing anything.

    A lock that is none, or that may not be opened, nobody of this user holds.
    """
    try:
        _check_lock_file(path)
        handle = os.open(path / LOCK, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except (OSError, RunError):
        return False
    with open(handle, "rb") as file:
        return _is_locked(file.fileno())


if sys.platform == "win32":
    import msvcrt

    def _is_locked(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # the byte that filelock locks
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        except OSError:
            return True
        return False
else:
    import fcntl

    def _is_locked(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return isinstance(error, BlockingIOError)  # else a file system without locks
        return False


def _check_lock_file(path: Path) -> None:
    """Raise RunError where something else lies in the lock's place: a link, a pipe, a folder."""
    try:
        found = (path / LOCK).lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"{path}: cannot be locked: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise RunError(f"{path / LOCK}: is no regular file; remove it")
    if found.st_nlink > 1:  # who takes the lock empties it
        raise RunError(f"{path / LOCK}: {HARD_LINK}")
