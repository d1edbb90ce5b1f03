"""The last start of all the user's processes: the name of a file that nobody has to lock or read.

A rename takes effect for one process alone: whoever renames the file from the last start to its
own has the turn, and all others find that the old name is gone. So no lock can be held by a
process that does not go on, and whatever is done to the file itself harms nothing: no content can
be torn, truncated or overwritten, and a folder, link, pipe or device of the same name is as good,
for it is never opened. It costs what `flock`, read and write cost (10 µs; a `filelock.FileLock`
alone 89 µs).
"""

import logging
import math
import re
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .interval import NEVER, Change, LastStart
from .shared_folder import SharedFolder, opened

_log = logging.getLogger("rolecall")
BLANK = "start"  # a name without a start, to be renamed to the first one
ATTEMPTS = 50  # at renaming, before the event loop gets its turn
BUSY = 0.001
# A folder's time of change is that of the system's last tick: 4 ms ago on Linux, 16 on Windows.
TICK = 0.02
ROUNDING = 1e-6
_NAME = re.compile(r"start-(\d{1,19}|never)-(\d{1,19}|never)", re.ASCII)


class SharedInterval:
    """The last start, in a folder that all processes of the user share.

    Where its name is lost because somebody deleted it, the folder still tells when: nobody can
    have started later, as each start changes the folder. Where the folder itself is gone, the
    one above it tells. So the next start keeps its distance from the moment of the loss, which is
    warned of once. A start in the future is of before a reboot, and is ignored: the clock is the
    system's monotonic one, which all processes read alike and no clock step moves.

    While the folder cannot be used, each process paces its own calls alone, and warns once.
    """

    def __init__(
        self, folder: Path, now: Callable[[], float], calendar: Callable[[], float] = time.time
    ) -> None:
        self._path = folder
        self._now = now
        self._calendar = calendar
        self._mutex = threading.Lock()
        self._known = LastStart()
        self._was_there = False
        self._lost: tuple[int, float] | None = None  # the folder's change, and when that was
        self._warned: set[str] = set()

    def peek(self) -> LastStart:
        with self._mutex:
            # Where the folder cannot be used, `attempt` says so; what is known is all there is.
            with suppress(OSError), opened(self._path, follow=True) as folder:
                self._known = self._known.or_later(self._read(folder)[1])
            return self._known

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
        with opened(self._path, follow=True) as folder:
            name, last = self._read(folder)
            self._known = self._known.or_later(last)
            changed = change(self._known, self._now())
            if not isinstance(changed, LastStart):
                return changed
            if folder is not None:
                return self._rename(folder, name, changed)
        self._path.mkdir(0o700, parents=True, exist_ok=True)
        with opened(self._path, follow=True) as folder:
            return None if folder is None else self._rename(folder, None, changed)

    def _rename(self, folder: SharedFolder, name: str | None, changed: LastStart) -> float | None:
        if name is None:
            folder.create(BLANK)
            # Another process may have made and renamed it since this one looked.
            if any(map(self._started, folder.names(BLANK))):
                return None
        if not folder.rename(name or BLANK, _name(changed)):
            return None
        self._known, self._was_there = changed, True
        return 0.0

    def _read(self, folder: SharedFolder | None) -> tuple[str | None, LastStart]:
        """Return the name to be renamed, where there is one, and the latest possible start."""
        names = [] if folder is None else folder.names(BLANK)
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

    def _latest_possible(self, folder: SharedFolder | None) -> LastStart:
        """Return the last moment at which a start can have been lost."""
        if self._was_there:
            self._warn("was lost: somebody deleted it; calls wait an interval from then on")
        changed = _changed_above(self._path) if folder is None else folder.changed()
        if self._lost is None or self._lost[0] != changed:
            age = self._calendar() - changed / 1e9 - TICK
            # Looked at once: a calendar that is set back must not make it now again and again.
            self._lost = changed, self._now() - max(0.0, age)
        moment = self._lost[1] if self._lost[1] > 0 else NEVER  # the clock began after it
        return LastStart(moment, moment)

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


def _changed_above(path: Path) -> int:
    """Return when the deepest folder above a path changed, in nanoseconds of the calendar."""
    for folder in path.parents:
        with suppress(FileNotFoundError, NotADirectoryError):
            found = folder.stat()
            if stat.S_ISDIR(found.st_mode):
                return found.st_mtime_ns
    return 0
