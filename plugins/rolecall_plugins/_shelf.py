"""What the user's processes tell each other of one provider: its pause, and what was used."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import asdict, define, field

from ._shared import SharedFile

VERSION = 1
Entry = list[float]  # when, and how much


@define
class Record:
    """Times are seconds of the system's monotonic clock.

    paused: until when the provider asked for a pause. why: in what words.
    used: limit's name to what was used of it, the oldest first.
    """

    paused: float = float("-inf")
    why: str = ""
    used: dict[str, list[Entry]] = field(factory=dict)


class Shelf(Protocol):
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
        self._seen: int | None = None
        self._owed: list[Callable[[Record], None]] = []

    def look(self) -> Record:
        try:
            changed = self._file.path.stat().st_mtime_ns
        except OSError:
            return self._record
        if changed != self._seen:
            with self._mutex:
                self._exchange(lambda record: 1.0)  # only looks
        return self._record

    def use(self, change: Callable[[Record], float]) -> float:
        with self._mutex:
            return self._exchange(change)

    def amend(self, change: Callable[[Record], None]) -> None:
        with self._mutex:
            self._owed.append(change)
            self._exchange(lambda record: 0.0)

    def _exchange(self, change: Callable[[Record], float]) -> float:
        wait = 0.0

        def use(content: bytes | None) -> bytes | None:
            nonlocal wait
            if content is not None:
                self._record = self._read(content)
            owed, self._owed = self._owed, []
            for each in owed:
                each(self._record)
            wait = change(self._record)
            return None if wait and not owed else self._written()

        busy = self._file.exchange(use)
        if not busy:
            self._seen = self._modified()
        return busy or wait

    def _modified(self) -> int | None:
        try:
            return self._file.path.stat().st_mtime_ns
        except OSError:
            return None

    def _written(self) -> bytes:
        about = {"v": VERSION, "now": self._now(), "calendar": self._calendar()}
        return json.dumps(about | asdict(self._record), allow_nan=True).encode()

    def _read(self, content: bytes) -> Record:
        """Read the file's record; one that is damaged or of another version counts for nothing."""
        try:
            told = json.loads(content)
            if told["v"] != VERSION:
                return Record()
            used = {str(name): _entries(entries) for name, entries in told["used"].items()}
            record = Record(float(told["paused"]), str(told["why"]), used)
            written, then = float(told["now"]), float(told["calendar"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return Record()
        now = self._now()
        if written > now:  # the clock began anew
            earlier = now - max(0.0, self._calendar() - then) - written
            shifted = {
                name: [[at + earlier, amount] for at, amount in entries]
                for name, entries in used.items()
            }
            return Record(used=shifted)
        return record


def _entries(entries: list[list[float]]) -> list[Entry]:
    return [[float(at), float(amount)] for at, amount in entries]
