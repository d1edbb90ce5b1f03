"""The last of ours that a request passes; a cassette records and replays here."""

import asyncio
import re
import zlib
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Protocol

from attrs import evolve, field, frozen

from rolecall import Cause, ProviderError

from .decompression import Decompressor
from .reading.error_bodies import bounded_message
from .trace_headers import trace_headers

_CREDENTIALS = ("authorization", "x-api-key", "x-goog-api-key")
_OF_THE_BODY = ("content-encoding", "content-length")  # of the compressed body
_USERINFO = re.compile(r"(\w+://)?[^\s'\"]*@")
_OBJECTS = re.compile(r" ssl:(default|<[^>]*>)")


@frozen
class OutgoingRequest:
    """A POST as it leaves."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@frozen
class IncomingReply:
    """A reply whose head has arrived.

    headers: as they came, but for those of the body, which is decompressed.
    read: the next bytes of the body as soon as there are some, no bytes at its end.
    close: gives the connection up where the body was not read to its end.
    """

    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    read: Callable[[], Awaitable[bytes]]
    close: Callable[[], Awaitable[None]]


class Connections(Protocol):
    """A client library's connections, all of one event loop."""

    async def post(self, request: OutgoingRequest) -> IncomingReply:
        """Send a request once, without following redirects; the body comes as it is encoded."""
        ...

    async def aclose(self) -> None: ...


class OutboundTransport:
    """Sends requests, each once, over connections of the running event loop.

    Whatever goes wrong on the way is a ProviderError that names no credentials. Connections are
    closed by `aclose`, or as their loop ends.
    """

    def __init__(self, connect: Callable[[], Connections]) -> None:
        self._connect = connect
        self._connections: dict[asyncio.AbstractEventLoop, Connections] = {}
        self._closing: dict[asyncio.AbstractEventLoop, AsyncIterator[None]] = {}

    async def send(self, request: OutgoingRequest) -> IncomingReply:
        """Send a request; return its reply, which decompresses as it is read."""
        inject = trace_headers.get()
        if inject is not None:
            headers = dict(request.headers)
            inject(headers)
            request = evolve(request, headers=headers)
        try:
            connections = await self._of_this_loop()
            reply = await connections.post(request)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # A client that is closed meanwhile cancels what it waits for, and not the caller.
            raise ProviderError(Cause.CONNECTION, "the connection was closed") from error
        except Exception as error:
            raise _failure(error, request) from error
        body = _DecompressedBody(reply, request)
        left = [each for each in reply.headers if each[0].lower() not in _OF_THE_BODY]
        return IncomingReply(reply.status, reply.reason, left, body.read, reply.close)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        connections = self._connections.pop(asyncio.get_running_loop(), None)
        if connections is not None:
            await connections.aclose()

    async def _of_this_loop(self) -> Connections:
        loop = asyncio.get_running_loop()
        connections = self._connections.get(loop)
        if connections is None:
            connections = self._connections[loop] = self._connect()
            if loop not in self._closing:
                self._closing[loop] = closing = self._close_at_last(loop)
                await anext(closing)
        return connections

    async def _close_at_last(self, loop: asyncio.AbstractEventLoop) -> AsyncIterator[None]:
        """Close a loop's connections as it ends, for then it closes what generators began in it."""
        try:
            yield
        finally:
            del self._closing[loop]  # it holds the loop
            await self.aclose()


class _DecompressedBody:
    """A body that is decompressed while it is read."""

    def __init__(self, reply: IncomingReply, request: OutgoingRequest) -> None:
        self._read = reply.read
        self._request = request
        encodings = [value for name, value in reply.headers if name.lower() == "content-encoding"]
        self._decompressor = Decompressor(encodings[-1]) if encodings else None
        self._pieces: Iterator[bytes] = iter(())

    async def read(self) -> bytes:
        try:
            if self._decompressor is None:
                return await self._read()
            while True:
                for piece in self._pieces:
                    return piece
                data = await self._read()
                if not data:
                    return b""
                self._pieces = self._decompressor.feed(data)
        except Exception as error:
            raise _failure(error, self._request) from error


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map lower-case names to values, those of one name joined (RFC 9110, section 5.3)."""
    mapped: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        if not value.isascii():  # bytes that are no UTF-8 would stop whoever writes them
            value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        mapped[name] = f"{mapped[name]}, {value}" if name in mapped else value
    return mapped


def _failure(error: Exception, request: OutgoingRequest) -> ProviderError:
    if isinstance(error, zlib.error):
        return ProviderError(Cause.BAD_PAYLOAD, "the reply is not compressed as it says")
    text = str(error)
    for name, value in request.headers.items():
        if name.lower() in _CREDENTIALS:
            text = text.replace(value, "[secret]")
    why = described(text) or type(error).__name__
    return ProviderError(Cause.CONNECTION, f"the connection failed: {why}")


def described(text: str) -> str:
    """Return a client's words in one line, and nobody's user name or password.

    They stay whole, for the core masks all keys before it cuts.
    """
    text = _USERINFO.sub(r"\1", _OBJECTS.sub("", " ".join(text.split())))
    return bounded_message(text)
