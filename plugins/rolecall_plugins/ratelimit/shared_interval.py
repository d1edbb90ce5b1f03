"""The last start of all the user's processes: the name of a file that nobody has to lock or read.

A rename takes effect for one process alone: whoever renames the file from the last start to its
own has the turn, and all others find that the old name is gone. So no lock can be held by a
process that does not go on, and whatever is done to the file itself harms nothing: no content can
be torn, truncated or overwritten, and a folder, link, pipe or device of the same name is as good,
for it is never opened. It costs what `flock`, read and write cost (10 µs; a `filelock.FileLock`
alone 89 µs).
"""

import errno
import logging
import math
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from .interval import NEVER, Change, LastStart

_log = logging.getLogger("rolecall")
BLANK = "start"  # a name without a start, to be renamed to the first one
MOST = 1000  # names that are read; a folder never holds more than a few of ours
ATTEMPTS = 50  # at renaming, before the event loop gets its turn
BUSY = 0.001
# A folder's time of change is that of the system's last tick: 4 ms ago on Linux, 16 on Windows.
TICK = 0.02
ROUNDING = 1e-6
_NAME = re.compile(r"start-(\d{1,19}|never)-(\d{1,19}|never)", re.ASCII)
_HAS_DESCRIPTORS = os.rename in os.supports_dir_fd and os.listdir in os.supports_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


class SharedInterval:
    """The last start, in a folder of its own that all processes of the user share.

    Where its name is lost because somebody deleted it, the folder still tells when: nobody can
    have started later, as each start changes the folder. Where the folder itself is gone, the
    one above it tells. So the next start keeps its distance from the moment of the loss, which is
    warned of once. A start in the future is of before a reboot, and is ignored: the clock is the
    system's monotonic one, which all processes read alike and no clock step moves.

    While the folder cannot be used, each process paces its own calls alone, and warns once.
    """

    def __init__(
        self, path: Path, now: Callable[[], float], calendar: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._now = now
        self._calendar = calendar
        self._mutex = threading.Lock()
        self._known = LastStart()
        self._was_there = False
        self._lost: tuple[int, float] | None = None  # the folder's change, and when that was
        self._warned: set[str] = set()

    def attempt(self, change: Change) -> float:
        with self._mutex:
            # Where all is known that is needed to say no, the disk is left alone.
            changed = change(self._known, self._now())
            if not isinstance(changed, LastStart):
                return changed
            try:
                for _ in range(ATTEMPTS):
                    wait = self._attempt(change)
                    if wait is not None:
                        return wait
                return BUSY
            except OSError as error:
                why = error.strerror or str(error)
                self._warn(f"cannot be used ({why}): calls are paced within this process only")
                return self._apply(change)

    def note(self, change: Change) -> None:
        with self._mutex:
            self._apply(change)

    def _apply(self, change: Change) -> float:
        changed = change(self._known, self._now())
        if not isinstance(changed, LastStart):
            return changed
        self._known = changed
        return 0.0

    def _attempt(self, change: Change) -> float | None:
        """Rename the last start; return None where another process was faster."""
        with _opened(self._path) as folder:
            name, last = self._read(folder)
            self._known = self._known.or_later(last)
            changed = change(self._known, self._now())
            if not isinstance(changed, LastStart):
                return changed
            if folder is not None:
                return self._rename(folder, name, changed)
        _make(self._path)
        with _opened(self._path) as folder:
            return None if folder is None else self._rename(folder, None, changed)

    def _rename(self, folder: "_Folder", name: str | None, changed: LastStart) -> float | None:
        if name is None:
            folder.create(BLANK)
            # Another process may have made and renamed it since this one looked.
            if any(map(self._started, folder.names())):
                return None
        if not folder.rename(name or BLANK, _name(changed)):
            return None
        self._known, self._was_there = changed, True
        return 0.0

    def _read(self, folder: "_Folder | None") -> tuple[str | None, LastStart]:
        """Return the name to be renamed, where there is one, and the latest possible start."""
        names = [] if folder is None else [*folder.names()]
        starts = {name: start for name in names if (start := self._started(name))}
        if folder is None or not starts:
            return BLANK if BLANK in names else None, self._latest_possible(folder)
        self._was_there = True
        latest = max(starts, key=lambda name: max(starts[name].permit, starts[name].sent))
        for name in names:
            if name != latest and (name == BLANK or _parse(name)):
                folder.remove(name)
        return latest, starts[latest]

    def _started(self, name: str) -> LastStart | None:
        start = _parse(name)
        return start if start and max(start.permit, start.sent) <= self._now() + ROUNDING else None

    def _latest_possible(self, folder: "_Folder | None") -> LastStart:
        """Return the last moment at which a start can have been lost."""
        if self._was_there:
            self._warn("was lost: somebody deleted it; calls wait an interval from then on")
        changed = _changed_above(self._path) if folder is None else folder.changed()
        if self._lost is None or self._lost[0] != changed:
            age = self._calendar() - changed / 1e9 - TICK
            # Looked at once: a calendar that is set back must not make it now again and again.
            self._lost = changed, self._now() - max(0.0, age)
        return LastStart(self._lost[1], self._lost[1])

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _log.warning("%s %s", self._path, what)


def _name(start: LastStart) -> str:
    return "start-" + "-".join(
        "never" if moment == NEVER else str(math.floor(moment * 1e9))
        for moment in (start.permit, start.sent)
    )


def _parse(name: str) -> LastStart | None:
    if match := _NAME.fullmatch(name):
        return LastStart(
            *(NEVER if part == "never" else int(part) / 1e9 for part in match.groups())
        )
    return None


def _make(path: Path) -> None:
    """Make the folder, in place of whatever else is there."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(0o700)
        return
    if path.is_symlink() or not path.is_dir():
        with suppress(FileNotFoundError):
            path.unlink()


def _changed_above(path: Path) -> int:
    """Return when the deepest folder above a path changed, in nanoseconds of the calendar."""
    for folder in path.parents:
        with suppress(FileNotFoundError, NotADirectoryError):
            found = folder.stat()
            if stat.S_ISDIR(found.st_mode):
                return found.st_mtime_ns
    return 0


class _Folder:
    """An open folder; where the system has no descriptors of folders, its path."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._place: int | Path = path if descriptor is None else descriptor
        self._descriptor = descriptor

    def names(self) -> Iterator[str]:
        with os.scandir(self._place) as entries:
            for entry in islice(entries, MOST):
                yield entry.name

    def changed(self) -> int:
        """Return when an entry was last made, renamed or removed; nanoseconds of the calendar."""
        return os.stat(self._place).st_mtime_ns

    def create(self, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with suppress(FileExistsError):
            os.close(os.open(self._name(name), flags, 0o600, dir_fd=self._descriptor))

    def rename(self, old: str, new: str) -> bool:
        """Rename an entry; return False where it is gone."""
        at = self._descriptor
        try:
            os.rename(self._name(old), self._name(new), src_dir_fd=at, dst_dir_fd=at)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove an entry, or leave it where it is a folder."""
        with suppress(OSError):
            os.unlink(self._name(name), dir_fd=self._descriptor)

    def _name(self, name: str) -> str:
        return name if self._descriptor is not None else str(self._path / name)


@contextmanager
def _opened(path: Path) -> Iterator[_Folder | None]:
    """Open a folder; None where there is none, or something else in its place."""
    if not _HAS_DESCRIPTORS:
        yield _Folder(path, None) if path.is_dir() and not path.is_symlink() else None
        return
    descriptor = None
    try:
        descriptor = os.open(path, _FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EMLINK):  # what systems call a link
            raise
    try:
        yield None if descriptor is None else _Folder(path, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)
