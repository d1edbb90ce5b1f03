"""An append-only file of records, one JSON object a line, on disk before anyone relies on it."""

import json
import os
import re
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..errors import JournalCorrupt, RunError
from .records import Record, parse, plain, serialise
from .safe_folder import SafeFolder

if TYPE_CHECKING:
    import asyncio

VERSION = 1
JOURNAL = "journal.jsonl"
LARGEST = 1024**3  # bytes of a journal that is read
_CHECKED = re.compile(rb'(\{.*),"crc":"([0-9a-f]{8})"\}', re.DOTALL)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=plain).encode


class Journal:
    """A journal open for appending.

    records: what was in it, without the types of a later version. torn: the bytes of an unfinished
    last line that were dropped, 0 where there was none. One process at a time may have it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        files = SafeFolder(path.parent)
        content = files.read(path.name, LARGEST)
        self.records, self._length = read(content or b"", path.name)
        self.torn = len(content or b"") - self._length
        try:
            self._file = open(files.open_to_append(path.name), "ab", buffering=0)
            if self.torn:
                self._file.truncate(self._length)
            if content is None:
                _sync_folder(path.parent)
        except OSError as error:
            raise RunError(f"{path}: cannot be opened: {error.strerror}") from error
        self._flushed = self._length
        self._flushing: asyncio.Future[None] | None = None
        # A thread flushes while the event loop goes on, and must not find the file closed.
        self._closing = threading.Lock()

    def append(self, record: Record, *, wait: bool = True) -> None:
        """Write one record and wait until it is on the disk, with all before it.

        wait: without it, `flush` does the waiting. Until then the record outlives the process, but
        not a power cut.
        """
        line = _line(record)
        try:
            if self._file.write(line) != len(line):
                raise OSError(28, "no space left")
        except OSError as error:
            # A half-written line must not stand before a later whole one.
            self._file.truncate(self._length)
            raise self._unwritten(error) from error
        self._length += len(line)
        if wait:
            self._sync()

    async def flush(self) -> None:
        """Wait until all that was written so far is on the disk.

        A thread does it, and the event loop goes on. Who comes while it is under way shares the
        next flush with all others who do.
        """
        from asyncio import ensure_future, shield  # not where a command only reads

        written = self._length
        while self._flushed < written:
            if self._flushing is None:
                self._flushing = ensure_future(self._flush_in_thread())
            await shield(self._flushing)

    async def _flush_in_thread(self) -> None:
        from asyncio import to_thread

        try:
            await to_thread(self._sync)
        finally:
            self._flushing = None

    def close(self) -> None:
        try:
            if self._flushed < self._length:
                self._sync()
        finally:
            with self._closing:
                self._file.close()

    def _sync(self) -> None:
        with self._closing:
            if self._file.closed:
                return
            written = self._length
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise self._unwritten(error) from error
            self._flushed = max(self._flushed, written)

    def _unwritten(self, error: OSError) -> RunError:
        return RunError(f"{self.path}: cannot be written: {error.strerror}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read(content: bytes, name: str = "journal") -> tuple[list[Record], int]:
    """Return the records of a journal and the length of its whole lines.

    A last line without its end is dropped, and records of types that are not known are skipped; any
    other damage raises JournalCorrupt.
    """
    whole = content.rfind(b"\n") + 1
    return list(_records(content[:whole], name)), whole


def read_records(folder: Path) -> list[Record]:
    """Return the records of a run's journal without opening the run, and without writing."""
    content = SafeFolder(folder).read(JOURNAL, LARGEST)
    if content is None:
        raise RunError(f"{folder / JOURNAL}: is not there")
    return read(content, str(folder / JOURNAL))[0]


def _records(content: bytes, name: str) -> Iterator[Record]:
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        checked = _CHECKED.fullmatch(line)
        if checked is None or f"{zlib.crc32(checked[1]):08x}".encode() != checked[2]:
            raise _corrupt(name, number, "is damaged")
        try:
            values = json.loads(checked[1] + b"}")
        except (ValueError, RecursionError) as error:
            raise _corrupt(name, number, "holds no record") from error
        version = values.get("v")
        if not isinstance(version, int):
            raise _corrupt(name, number, f"has no version, but {version!r}")
        if version > VERSION:
            raise JournalCorrupt(f"{name}: line {number} was written by a newer rolecall; update")
        try:
            record = parse(values)
        except (ValueError, RecursionError) as error:
            raise _corrupt(name, number, f"is damaged: {error}") from error
        if record is not None:
            yield record


def _corrupt(name: str, number: int, what: str) -> JournalCorrupt:
    return JournalCorrupt(
        f"{name}: line {number} {what}; restore the file from a copy, "
        f"or delete the lines from {number} on and resume"
    )


def _line(record: Record) -> bytes:
    text = _encode({"v": VERSION, **serialise(record)})[:-1]
    body = text.encode("utf-8", "backslashreplace")  # half a surrogate pair, as JSON escapes it
    return body + f',"crc":"{zlib.crc32(body):08x}"}}\n'.encode()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows has no handle of a folder to flush
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
