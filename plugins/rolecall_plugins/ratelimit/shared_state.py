"""What the user's processes share about one provider: its cooldown, and what was used."""

import json
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Protocol

from attrs import asdict, define, field, frozen

from .shared_folder import SharedFile
from .token_bucket import DAY

VERSION = 3
LARGEST = 1e15  # of a time or an amount that is believed
MOST = 1000  # models, and entries of one limit
Entry = list[float]  # when, and how much


@frozen
class Cooling:
    """Until when a model cools down.

    retry_after: the seconds that its vendor named, if any.
    """

    until: float
    retry_after: float | None = None


@define
class QuotaRecord:
    """Times are seconds of the system's monotonic clock.

    cooldowns: by model.
    used: limit's name to what was used of it, the oldest first. reserved: the same, for calls
    that are not over.
    """

    cooldowns: dict[str, Cooling] = field(factory=dict)
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

    def __init__(self, record: QuotaRecord | None = None) -> None:
        self._mutex = threading.Lock()
        self._record = record or QuotaRecord()

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

    A file that was damaged or deleted is written anew, from what this process knows. After a
    reboot, when the monotonic clock begins anew, what was used is carried over by the calendar.
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
        if self._file.is_changed() or self._owed:
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
        record, wait = self._record, 0.0

        def replace(content: bytes | None) -> bytes | None:
            nonlocal record, wait
            record = self._parse(content) if content else self._known(content)
            for owed in self._owed:
                owed(record)
            wait = change(record)
            return None if wait and not self._owed else self._serialize(record)

        busy = self._file.exchange(replace)
        if busy:
            return busy
        self._record, self._owed = record, []
        return wait

    def _known(self, content: bytes | None) -> QuotaRecord:
        """Copy what this process knows; the file is new, empty, or cannot be used."""
        if content is not None and self._file.is_known:
            self._warn()
        return deepcopy(self._record)

    def _serialize(self, record: QuotaRecord) -> bytes:
        about = {"v": VERSION, "now": self._now(), "calendar": self._calendar()}
        return json.dumps(about | asdict(record)).encode()

    def _parse(self, content: bytes) -> QuotaRecord:
        """Parse the file's record; what is damaged or of another version is replaced."""
        try:
            fields = json.loads(content)
            if fields["v"] != VERSION:
                return self._known(None)
            written, then = _number(fields["now"]), _number(fields["calendar"])
            now = self._now()
            rebooted = written > now
            earlier = now - max(0.0, self._calendar() - then) - written if rebooted else 0.0
            return QuotaRecord(
                {} if rebooted else _parse_cooldowns(fields["cooldowns"], now),
                _parse_uses(fields["used"], earlier, now),
                {} if rebooted else _parse_uses(fields["reserved"], earlier, now),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._warn()
            return self._known(None)

    def _warn(self) -> None:
        self._file.warn("was damaged or deleted: it is written anew, from what is known here")


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise ValueError("no number, or one that makes no sense")
    return float(value)


def _parse_cooldowns(values: dict[str, dict[str, float]], now: float) -> dict[str, Cooling]:
    """Parse until when models cool down; one that is over, or longer than a day, is none."""
    cooldowns = {}
    for model, each in [*values.items()][:MOST]:
        until, named = _number(each["until"]), each["retry_after"]
        if now < until <= now + DAY:
            cooldowns[model] = Cooling(until, None if named is None else _number(named))
    return cooldowns


def _parse_uses(
    values: dict[str, list[list[float]]], earlier: float, now: float
) -> dict[str, list[Entry]]:
    """Parse what was used, on today's clock; nothing was used later than now."""
    return {
        limit: [
            [min(_number(at) + earlier, now), _number(amount)]
            for at, amount in entries[-MOST:]
            if amount > 0
        ]
        for limit, entries in [*values.items()][:MOST]
    }
