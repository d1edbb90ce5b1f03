"""Splits a stream of server-sent events; as the HTML standard has it, but for what it leaves out.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html. Names, ids and retry times
of events are not read: both vendors repeat in the data what they mean.
"""

from collections.abc import Iterator

from .json_values import JsonValues

_DATA = b"data:"


class ServerSentEvents:
    """One stream on its way in; lines end with LF, CRLF or CR."""

    def __init__(self) -> None:
        self._begun = b""  # of a line whose field cannot be told yet
        self._within: bool | None = None  # a line that goes on: whether it is of data
        self._after_cr = False
        self._event: JsonValues | None = None

    def feed(self, chunk: bytes) -> Iterator[JsonValues]:
        """Take the next bytes; yield the data of the events that they complete."""
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]  # of a CRLF
        elif not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        for line in chunk.splitlines(keepends=True):
            content = line.rstrip(b"\r\n")
            is_ended = len(content) < len(line)
            if is_ended and not content and self._within is None and not self._begun:
                if self._event is not None:
                    yield self._event
                    self._event = None
                continue
            self._take(content)
            if is_ended:
                self._end_line()

    def close(self) -> Iterator[JsonValues]:
        """Yield the last event of a stream that ends without a blank line."""
        self._end_line()
        if self._event is not None:
            yield self._event
            self._event = None

    def _take(self, content: bytes) -> None:
        """Take a line or a piece of one."""
        if self._within is not None:
            if self._within and self._event is not None:
                self._event.add(content)
            return
        content = self._begun + content
        if content.startswith(_DATA) and len(content) > len(_DATA):
            self._begun = b""
            self._within = True
            self._data().add(content[len(_DATA) :].removeprefix(b" "))
        elif _DATA.startswith(content[: len(_DATA)]):
            self._begun = content
        else:
            self._begun = b""
            self._within = False

    def _end_line(self) -> None:
        if self._begun == _DATA:
            self._data()
        self._begun = b""
        self._within = None

    def _data(self) -> JsonValues:
        if self._event is None:
            self._event = JsonValues()
        else:
            self._event.add(b"\n")
        return self._event
