"""Reads one HTTP reply as it arrives: the framing is here, the meaning in the vendor's file.

Nothing that a reply holds makes the reading raise anything but a ProviderError, and that only at
the end. Once the vendor said why the model stopped, what follows cannot spoil the answer.
"""

import codecs
from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from rolecall import Cause, ProviderError, Response, Usage

from .reading.error_bodies import bounded_message
from .reading.error_causes import by_status
from .reading.json_values import JsonValues
from .reading.server_sent_events import ServerSentEvents

Headers = Mapping[str, str]

# Decoded bytes: a hundred times the longest answer that any model gives.
LONGEST_REPLY = 64 * 1024 * 1024
LONGEST_ERROR = 1024 * 1024
# What a step of reading costs grows with its bytes, up to a microsecond each: whoever must not be
# held up feeds no more than this at once.
STEP = 8 * 1024
LONGEST_TAIL = 64 * 1024
# What is in the last event of an answer, by the end of the path; blanks are left out.
_ENDS = {
    "/api/chat": b'"done":true',
    "/api/generate": b'"done":true',
    "/converse-stream": b"messageStop",
}
_DONE = b"[DONE]"  # ends the streams of other vendors, and of gateways that speak like them


class Reply(Protocol):
    """What a vendor's file makes of a reply."""

    @property
    def has_begun(self) -> bool:
        """Whether anything came that is the vendor's."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether the model is known to have stopped."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing that may follow belongs to the answer."""
        ...

    @property
    def usage(self) -> Usage | None:
        """The tokens told so far; None where none were, or none that can be believed."""
        ...

    def absorb(self, payload: object) -> str:
        """Take one JSON value of a success (whole body or event); return the text it adds.

        It raises ValueError, and takes nothing, where the value has not the vendor's form.
        """
        ...

    def response(self, headers: Headers) -> Response:
        """Return what was absorbed; raise ProviderError where it is no whole reply."""
        ...

    def error(self, status: int, headers: Headers, payload: object, text: str) -> ProviderError:
        """Read an error reply; `payload` is its JSON, or None where it is none."""
        ...


class Reading:
    """One reply on its way in.

    headers: with lower-case names; several of one name joined by commas.
    """

    def __init__(self, reply: Reply, status: int, headers: Headers) -> None:
        self._reply = reply
        self._status = status
        self._headers = headers
        self._is_error = status >= 300
        self._streamed: bool | None = None  # nothing came yet
        self._beginning = b""
        self._size = 0
        self._events = ServerSentEvents()
        self._body = JsonValues()
        self._failure: ProviderError | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the answer stands, whatever becomes of the rest and of the connection."""
        return self._reply.is_whole

    @property
    def is_over(self) -> bool:
        """Whether reading on cannot change what comes of the reply."""
        if self._is_error:
            return self._size > LONGEST_ERROR
        return self._failure is not None or self._reply.is_over or self._size > LONGEST_REPLY

    def feed(self, chunk: bytes) -> str:
        """Take the next bytes; return the piece of answer that they complete."""
        if self.is_over:
            return ""
        self._size += len(chunk)
        if self._size > LONGEST_REPLY:
            self._fail(f"the reply is longer than {LONGEST_REPLY // 1024**2} MB")
            return ""
        if self._streamed is None and not self._is_error:
            chunk = self._begin(chunk)
        if self._streamed:
            return self._absorb_events(self._events.feed(chunk))
        self._body.add(chunk)
        return ""

    def close(self) -> str:
        """Take the body's end; return the piece of answer in an event without its line ends."""
        if not self._streamed or self.is_over:
            return ""
        added = self._absorb_events(self._events.close())
        self._failure = None  # cut inside an event: whether the reply is whole, the others tell
        return added

    def finish(self, failure: ProviderError | None = None) -> Response:
        """Return the response; raise ProviderError where the reply is an error or damaged.

        failure: what ended the reading before the reply's end did, if anything. An answer that is
        whole stands, and an error's status counts all the same.
        """
        try:
            return self._response(failure)
        except ProviderError as error:
            error.request_id = error.request_id or self._headers.get("request-id")
            error.usage = error.usage or self._reply.usage
            raise
        except Exception as error:  # a form that nobody thought of
            cause = by_status(self._status) if self._is_error else Cause.BAD_PAYLOAD
            why = f"HTTP {self._status}: the reply cannot be read: {error!r}"
            raise ProviderError(cause, bounded_message(why), status=self._status) from error

    def _response(self, failure: ProviderError | None) -> Response:
        if self._is_error:
            raise self._error()
        if not self._streamed and not (self._streamed is None and self._says_stream()):
            self._absorb_body(failure)
        if not self._reply.is_whole and (broken := self._failure or failure) is not None:
            raise broken
        return self._reply.response(self._headers)

    def _begin(self, chunk: bytes) -> bytes:
        """Find out from its beginning whether the reply is a stream; return what to read of it."""
        beginning = self._beginning + chunk
        if codecs.BOM_UTF8.startswith(beginning[:3]) and len(beginning) < len(codecs.BOM_UTF8):
            self._beginning = beginning
            return b""
        beginning = beginning.removeprefix(codecs.BOM_UTF8).lstrip()
        self._beginning = b""
        if beginning:
            self._streamed = self._is_stream(beginning)
        return beginning

    def _is_stream(self, beginning: bytes) -> bool:
        """Recognize a stream by its first character; gateways forget the content type, or lie."""
        if beginning[:1] in (b"{", b"["):
            return False
        return self._says_stream() or beginning[:1] in (b"d", b"e", b":")

    def _says_stream(self) -> bool:
        return "text/event-stream" in self._headers.get("content-type", "")

    def _absorb_events(self, events: Iterable[JsonValues]) -> str:
        return "".join(self._absorb(event) for event in events if not self.is_over)

    def _absorb_body(self, failure: ProviderError | None) -> None:
        if self._failure is not None:
            return
        self._body.add(self._beginning)
        self._absorb(self._body)
        if self._failure is None and not self._reply.has_begun:
            start = self._body.beginning.decode("utf-8", "replace")
            self._fail(f"the reply is none of the vendor's: {start!r}")
        if failure is not None and not self._reply.is_whole:
            self._failure = failure  # it is not the vendor's fault that it ends in the middle

    def _absorb(self, values: JsonValues) -> str:
        """Take the values of an event or a body; whatever is wrong with them is a bad payload."""
        added = ""
        try:
            for value in values:
                added += self._reply.absorb(value)
        except Exception as error:
            if values.beginning.strip() != _DONE and not self._reply.is_whole:
                start = values.beginning.decode("utf-8", "replace")
                self._fail(f"the reply has not the vendor's form: {error}; it begins {start!r}")
        return added

    def _fail(self, why: str) -> None:
        if not self._reply.is_whole:
            self._failure = ProviderError(Cause.BAD_PAYLOAD, bounded_message(why))

    def _error(self) -> ProviderError:
        text = self._body.beginning.decode("utf-8", "replace")
        payload = _first(self._body)
        if payload is None:
            events = ServerSentEvents()
            payload = _first(*events.feed(self._body.beginning), *events.close())
        if self._status < 400:
            # Its page is left out, for it may repeat the whole address, with what is secret of it.
            host = _host(self._headers.get("location", ""))
            text = f"redirected to {host}; check the address that is set for this provider"
        return self._reply.error(self._status, self._headers, payload, text)


class UnreadReply:
    """A reply in a format that nobody here reads; of an error the beginning is kept.

    Whoever reads it instead may take a stream that broke off for whole, so its end is looked at.
    """

    is_whole = False

    def __init__(self, address: str, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        path = urlsplit(address).path
        self._end = next((end for name, end in _ENDS.items() if path.endswith(name)), b"")
        self._size = 0
        self._beginning = b""
        self._tail = b""

    @property
    def is_over(self) -> bool:
        return self._size > (LONGEST_ERROR if self.status >= 300 else LONGEST_REPLY)

    @property
    def has_ended(self) -> bool:
        """Check whether what ends an answer has come; where nobody knows what does, it has."""
        return self._end in self._tail.replace(b" ", b"")

    @property
    def beginning(self) -> str:
        return self._beginning.decode("utf-8", "replace")

    def feed(self, chunk: bytes) -> str:
        self._size += len(chunk)
        if self.status >= 300 and not self.is_over:
            self._beginning += chunk
        self._tail = (self._tail + chunk)[-LONGEST_TAIL:]
        return ""

    def close(self) -> str:
        return ""

    def finish(self, failure: ProviderError | None = None) -> Response:
        """Raise what broke the reply, or that nobody reads it."""
        raise failure or ProviderError(Cause.BAD_PAYLOAD, "the reply is in a format unknown here")


def _first(*texts: JsonValues) -> object:
    """Return the first value; None for the page of a proxy, or for nothing."""
    for text in texts:
        try:
            return next(iter(text), None)
        except ValueError:
            pass
    return None


def _host(location: str) -> str:
    """Return the host that a redirect leads to, without what may be secret of the address."""
    try:
        target = urlsplit(location)
        port = f":{target.port}" if target.port else ""
    except ValueError:
        return "an address that is none"
    return f"{target.hostname}{port}" if target.hostname else "another path of the same host"
