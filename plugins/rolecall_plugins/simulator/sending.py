"""Put a reply on the wire: whole, at a pace, or broken as it is meant to be."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from .exchange import CHARACTERS_PER_TOKEN, Ending, HttpReply

Sleep = Callable[[float], Awaitable[None]]

# Long enough for the other side to read what was sent before the reset discards it.
_BEFORE_RESET = 0.02


async def send(
    request: web.Request,
    answer: HttpReply,
    tokens_per_second: float | None,
    sleep: Sleep,
) -> web.StreamResponse:
    """Send a reply; one that hangs does so until the caller leaves or the server closes."""
    response = web.StreamResponse(status=answer.status or 200)
    for name, value in (*answer.headers, ("server", "rolecall-simulator")):
        response.headers.add(name, value)
    if not answer.streamed:
        response.content_length = answer.promised or len(answer.body)
    if answer.status is not None:
        await _write(request, response, answer, tokens_per_second, sleep)
    if answer.ending is Ending.DONE:
        await response.write_eof()
        return response
    if answer.ending is Ending.HANG:
        await asyncio.Event().wait()
    await sleep(_BEFORE_RESET)
    _reset(request)
    return response


async def _write(
    request: web.Request,
    response: web.StreamResponse,
    answer: HttpReply,
    tokens_per_second: float | None,
    sleep: Sleep,
) -> None:
    if tokens_per_second is None or not answer.streamed:
        if tokens_per_second is not None:
            await sleep(answer.output_tokens / tokens_per_second)
        await response.prepare(request)
        await response.write(answer.body)
        return
    await response.prepare(request)
    for chunk in answer.chunks:
        if chunk.text:
            await sleep(chunk.text / CHARACTERS_PER_TOKEN / tokens_per_second)
        await response.write(chunk.data)


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    # A lingering time of zero makes the closing a reset, not a polite end.
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
