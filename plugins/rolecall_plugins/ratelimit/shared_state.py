"""What the user's processes tell each other of one provider: its pause, and what was used."""

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import asdict, define, field

from .shared_file import SharedFile

VERSION = 1
Entry = list[float]  # when, and how much


@define
class Record:
    """Times are seconds of the system's monotonic clock.

    paused: until when the provider asked for a pause. why: in what words.
    used: limit's name to what was used of it, the oldest first. kept: the same, for calls that are
    not over.
    """

    paused: float = float("-inf")
    why: str = ""
    used: dict[str, list[Entry]] = field(factory=dict)
    kept: dict[str, list[Entry]] = field(factory=dict)


class Shelf(Protocol):
    """Keeps one record that several processes may share."""

    def look(self) -> Record:
        """Give the record as it was last seen; not to be changed."""
        ...

    def use(self, change: Callable[[Record], float]) -> float:
        """Let `change` look at the record and change it, and give what it gives.

        It gives 0 where the record is to be kept, else the seconds until to ask again. Where
        another process has the record, that time is given unasked.
        """
        ...

    def amend(self, change: Callable[[Record], None]) -> None:
        """Let the record be changed now, or as soon as no other process has it."""
        ...


class LocalShelf:
    """The record of this process alone."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._record = Record()

    def look(self) -> Record:
        return self._record

    def use(self, change: Callable[[Record], float]) -> float:
        with self._mutex:
            return change(self._record)

    def amend(self, change: Callable[[Record], None]) -> None:
        with self._mutex:
            change(self._record)


class SharedShelf:
    """The record of all processes of the user, in a file of JSON.

    After a reboot, when the monotonic clock begins anew, its times are carried over by the
    calendar's clock.
    """

    def __init__(
        self, path: Path, now: Callable[[], float], calendar: Callable[[], float] = time.time
    ) -> None:
        self._file = SharedFile(path)
        self._now = now
        self._calendar = calendar
        self._mutex = threading.Lock()
        self._record = Record()
        self._owed: list[Callable[[Record], None]] = []

    def look(self) -> Record:
        try:
            changed = self._file.path.stat().st_mtime_ns != self._file.modified
        except OSError:
            return self._record
        if changed or self._owed:
            with self._mutex:
                self._exchange(lambda record: 1.0)  # only looks
        return self._record

    def use(self, change: Callable[[Record], float]) -> float:
        with self._mutex:
            return self._exchange(change)

    def amend(self, change: Callable[[Record], None]) -> None:
        with self._mutex:
            self._owed.append(change)
            if self._exchange(lambda record: 0.0):
                change(self._record)  # here it holds at once

    def _exchange(self, change: Callable[[Record], float]) -> float:
        wait = 0.0

        def use(content: bytes | None) -> bytes | None:
            nonlocal wait
            if content is not None:
                self._record = self._read(content) or self._record
            owed, self._owed = self._owed, []
            for each in owed:
                each(self._record)
            wait = change(self._record)
            return None if wait and not owed else self._written()

        return self._file.exchange(use) or wait

    def _written(self) -> bytes:
        about = {"v": VERSION, "now": self._now(), "calendar": self._calendar()}
        return json.dumps(about | asdict(self._record)).encode()

    def _read(self, content: bytes) -> Record | None:
        """Read the file's record; one that is damaged or of another version counts for nothing."""
        try:
            told = json.loads(content)
            if told["v"] != VERSION:
                return None
            written, then = float(told["now"]), float(told["calendar"])
            now = self._now()
            begun_anew = written > now
            earlier = now - max(0.0, self._calendar() - then) - written if begun_anew else 0.0
            used, kept = (
                {str(name): _entries(each, earlier, now) for name, each in told[part].items()}
                for part in ("used", "kept")
            )
            if begun_anew:
                return Record(used=used)
            return Record(float(told["paused"]), str(told["why"]), used, kept)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None


def _entries(told: list[list[float]], earlier: float, now: float) -> list[Entry]:
    """Read what was used, on today's clock; nothing was used later than now."""
    entries = [[min(float(at) + earlier, now), float(amount)] for at, amount in told]
    return [each for each in entries if all(map(math.isfinite, each)) and each[1] > 0]
