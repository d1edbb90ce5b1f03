"""What the user's processes share about one provider: its cooldown, and what was used."""

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import asdict, define, field

from .shared_file import SharedFile

VERSION = 2  # 2 calls `reserved` what 1 called `kept`
Entry = list[float]  # when, and how much


@define
class QuotaRecord:
    """Times are seconds of the system's monotonic clock.

    paused: until when the provider cools down. why: the reason, in words.
    used: limit's name to what was used of it, the oldest first. reserved: the same, for calls
    that are not over.
    """

    paused: float = float("-inf")
    why: str = ""
    used: dict[str, list[Entry]] = field(factory=dict)
    reserved: dict[str, list[Entry]] = field(factory=dict)


class SharedState(Protocol):
    """Keeps one record that several processes may share."""

    def peek(self) -> QuotaRecord:
        """Return the record as it was last seen; not to be changed."""
        ...

    def use(self, change: Callable[[QuotaRecord], float]) -> float:
        """Apply a change that may have to wait; return what it returns.

        change: returns 0 where its changes are to be kept, else the seconds until to ask again.
            Where another process has the record, that time is returned without a call.
        """
        ...

    def amend(self, change: Callable[[QuotaRecord], None]) -> None:
        """Apply a change now, or as soon as no other process has the record."""
        ...


class LocalState:
    """The record of this process alone."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._record = QuotaRecord()

    def peek(self) -> QuotaRecord:
        return self._record

    def use(self, change: Callable[[QuotaRecord], float]) -> float:
        with self._mutex:
            return change(self._record)

    def amend(self, change: Callable[[QuotaRecord], None]) -> None:
        with self._mutex:
            change(self._record)


class FileState:
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
        self._record = QuotaRecord()
        self._owed: list[Callable[[QuotaRecord], None]] = []

    def peek(self) -> QuotaRecord:
        try:
            changed = self._file.path.stat().st_mtime_ns != self._file.modified
        except OSError:
            return self._record
        if changed or self._owed:
            with self._mutex:
                self._exchange(lambda record: 1.0)  # only looks
        return self._record

    def use(self, change: Callable[[QuotaRecord], float]) -> float:
        with self._mutex:
            return self._exchange(change)

    def amend(self, change: Callable[[QuotaRecord], None]) -> None:
        with self._mutex:
            self._owed.append(change)
            if self._exchange(lambda record: 0.0):
                change(self._record)  # here it holds at once

    def _exchange(self, change: Callable[[QuotaRecord], float]) -> float:
        wait = 0.0

        def use(content: bytes | None) -> bytes | None:
            nonlocal wait
            if content is not None:
                self._record = self._parse(content) or self._record
            owed, self._owed = self._owed, []
            for each in owed:
                each(self._record)
            wait = change(self._record)
            return None if wait and not owed else self._serialize()

        return self._file.exchange(use) or wait

    def _serialize(self) -> bytes:
        about = {"v": VERSION, "now": self._now(), "calendar": self._calendar()}
        return json.dumps(about | asdict(self._record)).encode()

    def _parse(self, content: bytes) -> QuotaRecord | None:
        """Parse the file's record; None where it is damaged or of another version."""
        try:
            fields = json.loads(content)
            if fields["v"] != VERSION:
                return None
            written, then = float(fields["now"]), float(fields["calendar"])
            now = self._now()
            rebooted = written > now
            earlier = now - max(0.0, self._calendar() - then) - written if rebooted else 0.0
            used, reserved = (
                {
                    str(name): _parse_entries(entries, earlier, now)
                    for name, entries in fields[part].items()
                }
                for part in ("used", "reserved")
            )
            if rebooted:
                return QuotaRecord(used=used)
            return QuotaRecord(float(fields["paused"]), str(fields["why"]), used, reserved)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None


def _parse_entries(values: list[list[float]], earlier: float, now: float) -> list[Entry]:
    """Parse what was used, on today's clock; nothing was used later than now."""
    entries = [[min(float(at) + earlier, now), float(amount)] for at, amount in values]
    return [entry for entry in entries if all(map(math.isfinite, entry)) and entry[1] > 0]
