"""The HTTP exchange beneath litellm: sent when the limiters say so, read as the vendor meant it.

litellm turns replies into one shape and loses what tells causes apart; so its transport is
wrapped, and the raw reply is read on its way in.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx

from rolecall import Cause, ProviderError, Request, Response

from .reply_reader import Reading, Reply
from .trace_headers import trace_headers

current: ContextVar["Exchange"] = ContextVar("current")


class Left(BaseException):
    """Takes the client off a call once it is sent; none of its handlers of errors may catch it."""


class Exchange:
    """One request and its reply; `begun` tells whether the client came to send it.

    amend: changes the body that the client made, where it puts in what nobody asked for.
    watched: whether the client is to read the reply as well, for those who listen to it.
    """

    def __init__(
        self,
        request: Request,
        reply: Callable[[], Reply],
        amend: Callable[[dict[str, Any], Request], None] | None = None,
        watched: bool = True,
    ) -> None:
        self.begun = False
        self._watched = watched
        self._request = request
        self._reply = reply
        self._amend = amend
        self._patience = request.idle_timeout if request.stream else request.timeout
        self._raw: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._reading: Reading | None = None
        self._failure: Exception | None = None

    async def send(self, http: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        """Send the request; raise Left where the client has nothing to do with the reply."""
        if self._watched:
            return self._shown(await self._send(http, inner), http)
        try:
            await self._send(http, inner)
        except Exception as error:
            raise Left from error
        raise Left

    async def _send(self, http: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        """Send the request; where the client sends it again, refuse with the first's failure."""
        if self.begun:
            raise self._failure or httpx.ReadError("each request is sent once")
        self.begun = True
        with self._noting():
            if self._amend is not None:
                body = json.loads(http.content)
                self._amend(body, self._request)
                if body != json.loads(http.content):  # else the client's very bytes are sent
                    http = _with_body(http, body)
            await self._request.progress.sending()
            async with asyncio.timeout(self._patience):
                self._raw = raw = await inner.handle_async_request(http)
        headers = {name.lower(): value for name, value in raw.headers.items()}
        self._reading = Reading(self._reply(), raw.status_code, headers)
        self._chunks = raw.aiter_bytes()
        return raw

    def _shown(self, raw: httpx.Response, http: httpx.Request) -> httpx.Response:
        """Return the reply as the client is to see it: decoded, and read along."""
        decoded = {
            name: value
            for name, value in raw.headers.items()
            if name.lower() not in ("content-encoding", "content-length")
        }
        return httpx.Response(raw.status_code, headers=decoded, stream=_Body(self), request=http)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the decoded body as it arrives, and read along."""
        assert self._chunks is not None
        assert self._reading is not None
        while True:
            with self._noting():
                async with asyncio.timeout(self._patience):
                    chunk = await anext(self._chunks, None)
                delta = self._reading.close() if chunk is None else self._reading.feed(chunk)
            if delta:
                self._request.progress.text(delta)
            if chunk is None:
                return
            yield chunk

    async def response(self) -> Response:
        """Return what the reply means, once whatever the client left of it is read."""
        if self._failure is None:
            try:
                async for _ in self.chunks():
                    pass
            except Exception:
                if self._failure is None:
                    raise
        failure = self._failure and _translated(self._failure, self._patience)
        if self._reading is not None and isinstance(failure, ProviderError | None):
            return self._reading.finish(failure)
        assert failure is not None
        raise failure from self._failure

    async def aclose(self) -> None:
        if self._raw is not None:
            await self._raw.aclose()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._failure = error
            raise


class _Body(httpx.AsyncByteStream):
    """The reply as the client sees it; the exchange closes it, once it has read the rest."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._exchange.chunks()


class ExchangeTransport(httpx.AsyncBaseTransport):
    """Sends each request through the exchange that it belongs to."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await current.get().send(request, self._inner)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Departure(httpx.AsyncBaseTransport):
    """The last of ours that a request passes; a cassette records and replays here."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        inject = trace_headers.get()
        if inject is not None:
            inject(request.headers)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _with_body(http: httpx.Request, body: object) -> httpx.Request:
    headers = [(name, value) for name, value in http.headers.items() if name != "content-length"]
    return httpx.Request(
        http.method, http.url, headers=headers, json=body, extensions=http.extensions
    )


def _translated(failure: Exception, patience: float) -> Exception:
    """Translate a failure of the transport into its cause; pass on what is no such failure."""
    match failure:
        case ProviderError():
            return failure
        case TimeoutError() | httpx.TimeoutException():
            return ProviderError(Cause.TIMEOUT, f"no sign of life for {patience:g} s")
        case httpx.DecodingError():
            return ProviderError(Cause.BAD_PAYLOAD, "the reply is not compressed as it says")
        case httpx.TransportError() | OSError():
            said = re.sub(r" ssl:(default|<[^>]*>)", "", str(failure)) or type(failure).__name__
            return ProviderError(Cause.CONNECTION, f"the connection failed: {said[:200]}")
        case _:
            return failure
