"""Reads one HTTP reply as it arrives: the framing is here, the meaning in the vendor's file."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from rolecall import Cause, ProviderError, Response

Headers = Mapping[str, str]
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Reply(Protocol):
    """What a vendor's file makes of a reply."""

    def absorb(self, payload: Any) -> str:
        """Take one JSON value of a success (whole body or event); give the text it adds."""
        ...

    def response(self, headers: Headers) -> Response:
        """Give what was absorbed; raise ProviderError where it is no whole reply."""
        ...

    def error(self, status: int, headers: Headers, payload: Any, text: str) -> ProviderError:
        """Read an error reply; `payload` is its JSON, or None where it is none."""
        ...


class Reading:
    """One reply on its way in."""

    def __init__(self, reply: Reply, status: int, headers: Headers) -> None:
        self._reply = reply
        self._status = status
        self._headers = headers
        self._streamed: bool | None = None if status < 400 else False  # None: nothing came yet
        self._events = ServerSentEvents()
        self._body = bytearray()

    def feed(self, chunk: bytes) -> str:
        """Take the next bytes; give the piece of answer that they complete."""
        if self._streamed is None:
            chunk = chunk.lstrip()
            if not chunk:
                return ""
            self._streamed = self._is_stream(chunk)
        if not self._streamed:
            self._body += chunk
            return ""
        return "".join(self._absorb(data) for data in self._events.feed(chunk))

    def close(self) -> str:
        """Take the body's end; give the piece of answer in an event without its line ends."""
        try:
            return "".join(self._absorb(data) for data in self._events.close())
        except ProviderError:
            return ""  # cut inside an event: whether the reply is whole, the others tell

    def finish(self) -> Response:
        """Give the response; raise ProviderError where the reply is an error or damaged."""
        if self._streamed or (self._streamed is None and self._says_stream()):
            return self._reply.response(self._headers)
        if self._status >= 300:
            raise self._error()
        self._absorb(bytes(self._body))
        return self._reply.response(self._headers)

    def _is_stream(self, beginning: bytes) -> bool:
        """Tell a stream by its first character; gateways forget the content type, or lie."""
        if beginning[:1] in (b"{", b"["):
            return False
        return self._says_stream() or beginning[:1] in (b"d", b"e", b":")

    def _says_stream(self) -> bool:
        return "text/event-stream" in self._headers.get("content-type", "")

    def _absorb(self, data: bytes) -> str:
        payload = _parse(data)
        try:
            return self._reply.absorb(payload)
        except (KeyError, TypeError, AttributeError) as error:
            raise ProviderError(
                Cause.BAD_PAYLOAD, f"the reply has not the vendor's form: {str(payload)[:60]}"
            ) from error

    def _error(self) -> ProviderError:
        text = self._body.decode("utf-8", "replace")
        try:
            payload = json.loads(text)
        except ValueError:
            payload = None
        return self._reply.error(self._status, self._headers, payload, text)


class ServerSentEvents:
    """Splits a stream of server-sent events into the data of each; LF, CRLF or CR."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        held = b"\r" if chunk.endswith(b"\r") else b""  # half of a CRLF, perhaps
        *lines, self._rest = _LINE_END.split(self._rest + chunk.removesuffix(held))
        self._rest += held
        for line in lines:
            yield from self._line(line)

    def close(self) -> Iterator[bytes]:
        """Give the last event of a stream that ends without a blank line."""
        rest, self._rest = self._rest.rstrip(b"\r"), b""
        yield from self._line(rest)
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            yield b"\n".join(self._data)
            self._data = []


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        start = data[:60].decode("utf-8", "replace")
        raise ProviderError(
            Cause.BAD_PAYLOAD, f"the reply is not whole JSON: it begins {start!r}"
        ) from error


def retry_after(
    headers: Headers, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> float | None:
    """Read Retry-After, seconds or a date, as seconds from now (RFC 9110, section 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
        sent = headers.get("date")
        return max(0.0, (date - (parsedate_to_datetime(sent) if sent else now())).total_seconds())
    except (ValueError, TypeError):
        return None
