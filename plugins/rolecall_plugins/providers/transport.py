"""One HTTP exchange: sent when it may be, given up in silence, read as its vendor meant it.

litellm turns replies into one shape and loses what tells causes apart, so every reply is read here,
also where litellm reads it as well.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import httpx
from attrs import evolve

from rolecall import Cause, ProviderError, Request, Response

from .outbound import IncomingReply, OutboundTransport, OutgoingRequest, joined
from .reply_reader import STEP, Reading, Reply, UnreadReply

# Seconds for what follows an answer that is whole: the count of its tokens, and the body's end,
# after which the connection serves the next call. Some servers never end it.
LINGER = 2.0
# Moving a timer costs as much as reading an event, so it is moved in steps of this part of the
# wait, by which a silence may last longer.
TIMER_STEP = 0.05
_OF_THE_CONNECTION = {"accept-encoding", "connection", "content-length", "host", "user-agent"}


class Exchange:
    """One request and its reply.

    reply: makes the reader of what comes from an address; None where nobody reads that format.
    begun: whether it came to be sent.
    """

    def __init__(
        self,
        request: Request,
        reply: Callable[[str], Reply | None],
        transport: OutboundTransport,
    ) -> None:
        self.begun = False
        self._request = request
        self._reply = reply
        self._transport = transport
        self._deadline = 0.0
        self._silence = ""
        self._raw: IncomingReply | None = None
        self._reading: Reading | UnreadReply | None = None
        self._has_ended = False
        self._failure: Exception | None = None
        self._idle_silence = f"no sign of life for {request.idle_timeout:g} s"

    async def send(
        self, outgoing: OutgoingRequest, amend: Callable[[bytes], bytes] | None = None
    ) -> IncomingReply:
        """Send the request once the limiters let it go; return the reply, its body unread."""
        if self.begun:  # some clients try again by themselves
            raise self._failure or ProviderError(Cause.CONNECTION, "each request is sent once")
        self.begun = True
        with self._keeping_failures():
            if amend is not None:
                outgoing = evolve(outgoing, body=amend(outgoing.body))
            await self._request.progress.sending()
            first = self._request.timeout
            if self._request.stream:
                first = min(first, self._request.first_byte_timeout)
            self._wait(first, f"no answer within {first:g} s")
            async with asyncio.timeout_at(self._deadline):
                self._raw = await self._transport.send(outgoing)
        reply, headers = self._reply(outgoing.url), joined(self._raw.headers)
        if reply is None:
            self._reading = UnreadReply(outgoing.url, self._raw.status, headers)
        else:
            self._reading = Reading(reply, self._raw.status, headers)
        return self._raw

    async def chunks(self) -> AsyncIterator[bytes]:
        """Return the body as it arrives, for a client that reads it as well."""
        while True:
            with self._keeping_failures():
                async with asyncio.timeout_at(self._deadline):
                    chunk = await self._read()
            if not chunk:
                return
            yield chunk

    @property
    def unread(self) -> UnreadReply | None:
        """Return the reply where nobody reads its format."""
        return self._reading if isinstance(self._reading, UnreadReply) else None

    @property
    def failure(self) -> Exception | None:
        """Return what kept the reply from being read to its end."""
        return self._failure

    async def response(self) -> Response:
        """Read what is left of the reply; return what it means."""
        if self._failure is None:
            try:
                with self._keeping_failures():
                    async with asyncio.timeout_at(self._deadline) as limit:
                        while await self._read():
                            if limit.when() != self._deadline:
                                limit.reschedule(self._deadline)
            except ProviderError:
                pass  # it depends on what has come whether that matters
        if self._reading is not None and isinstance(self._failure, ProviderError | None):
            return self._reading.finish(self._failure)
        assert self._failure is not None
        raise self._failure

    async def aclose(self) -> None:
        """Drop the connection, unless the reply was read to its end."""
        if self._raw is not None:
            await self._raw.close()

    async def _read(self) -> bytes:
        """Take the next bytes; none at the end, and where more could not change the outcome."""
        assert self._raw is not None
        assert self._reading is not None
        reading = self._reading
        if self._has_ended or (reading.is_over and not reading.is_whole):
            return b""
        chunk = await self._raw.read()
        was_whole = reading.is_whole
        for start in range(0, len(chunk), STEP):
            if start:  # a large reply must not hold up everybody else
                await asyncio.sleep(0)
            self._tell(reading.feed(chunk[start : start + STEP]))
        if not chunk:
            self._has_ended = True
            self._tell(reading.close())
        elif reading.is_whole:
            if not was_whole:
                self._wait(LINGER, "the answer came, and no end")
        elif self._request.stream:
            self._wait_for_more()
        return chunk

    def _tell(self, delta: str) -> None:
        if delta:
            self._request.progress.text(delta)

    def _wait(self, seconds: float, silence: str) -> None:
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._silence = silence

    def _wait_for_more(self) -> None:
        idle = self._request.idle_timeout
        until = asyncio.get_running_loop().time() + idle
        if until > self._deadline or self._silence is not self._idle_silence:
            self._deadline = until + TIMER_STEP * idle
            self._silence = self._idle_silence

    @contextmanager
    def _keeping_failures(self) -> Iterator[None]:
        """Keep what failed: a client that sends and reads for us makes something else of it."""
        try:
            yield
        except TimeoutError as error:
            self._failure = ProviderError(Cause.TIMEOUT, self._silence)
            raise self._failure from error
        except Exception as error:
            self._failure = error
            raise


class ExchangeTransport(httpx.AsyncBaseTransport):
    """What litellm sends an exchange through where it makes the call.

    amend: changes the body that litellm made.
    """

    def __init__(self, exchange: Exchange, amend: Callable[[bytes], bytes]) -> None:
        self._exchange = exchange
        self._amend = amend

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {
            name: value for name, value in request.headers.items() if name not in _OF_THE_CONNECTION
        }
        outgoing = OutgoingRequest(str(request.url), headers, await request.aread())
        reply = await self._exchange.send(outgoing, self._amend)
        return httpx.Response(
            reply.status,
            headers={
                name.encode(): value.encode() for name, value in joined(reply.headers).items()
            },
            stream=_SharedBody(self._exchange),
            request=request,
        )


class _SharedBody(httpx.AsyncByteStream):
    """The reply as litellm sees it; the exchange closes it, once it has read the rest."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._exchange.chunks()
