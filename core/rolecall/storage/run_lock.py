"""One process at a time writes a run: a lock that the system frees when its holder dies."""

import os
import stat
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RunBusy, RunError
from .safe_folder import SafeFolder

if TYPE_CHECKING:
    from filelock import FileLock

HOLDER = ".holder"
LOCK = ".lock"
LARGEST_NOTE = 200  # bytes


def take_lock(path: Path) -> "FileLock":
    """Take the folder's lock, which the system frees when the process dies.

    Raises RunBusy, which names the holder as far as it left a note of itself.
    """
    from filelock import FileLock, Timeout

    _check_lock_file(path)
    lock = FileLock(path / LOCK, timeout=0, mode=0o600)
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
    """Check whether a process is writing a run, without writing anything."""
    try:
        _check_lock_file(path)
    except RunError:
        return False  # what is no lock, nobody holds
    if not (path / LOCK).exists():
        return False
    if sys.platform == "win32":
        try:
            take_lock(path).release()
        except RunBusy:
            return True
        return False
    import fcntl

    with open(os.open(path / LOCK, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
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
