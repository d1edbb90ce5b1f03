"""A loopback server that sends recorded exchanges again, byte for byte as far as recorded."""

import asyncio
import base64
import gzip
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from aiohttp import web

# Ids were scrubbed from the recordings; made up anew they show whether a reader lets them out.
MADE_UP = {
    "SCRUBBED": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "projects/scrubbed": "projects/acme-production-4711",
    "@0000000000": "project 471100000815",
    "000000000000": "471100000815",
}
# Between two pieces, so that they do not become one on their way.
PAUSE = 0.001
_NOT_THE_MESSAGES = {"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"}
_PLACES = {
    "inside CRLF or a blank line": re.compile(rb"(?<=\r)\n|(?<=\n)\n"),
    "inside a character": re.compile(rb"(?<=[\xc2-\xf4])[\x80-\xbf]|(?<=\xf0.)[\x80-\xbf]"),
    "inside a field's name": re.compile(rb"(?<=\nda)ta:|(?<=\nev)ent:|(?<=data:) "),
    "inside an escape": re.compile(rb"(?<=\\)[\"nu]"),
    "inside the JSON": re.compile(rb"(?<=[a-z])[a-z]"),
}


class Upstream:
    """Answers every request with the exchange it was told last, and counts the requests since."""

    def __init__(self) -> None:
        self.requests = 0
        self.url = ""
        self._exchange: Any = None
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.url = f"http://{host}:{port}"

    def answers_with(self, exchange: Any) -> None:
        self._exchange = exchange
        self.requests = 0

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.requests += 1
        recorded = self._exchange["response"]
        response = web.StreamResponse(status=recorded["status"])
        for header, value in _headers(recorded):
            response.headers.add(header, value)
        body = _body(recorded)
        streamed = recorded["wire"]["body_kind"] == "sse"
        if streamed:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(body)
        await response.prepare(request)
        chance = random.Random(self._exchange["id"])
        for piece in _pieces(body, chance) if streamed else [body]:
            await response.write(piece)
            await asyncio.sleep(PAUSE if streamed else 0)
        await response.write_eof()
        return response


@contextmanager
def serving() -> Iterator[Upstream]:
    """Serve from a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    upstream = Upstream()
    asyncio.run_coroutine_threadsafe(upstream.start(), loop).result(10)
    try:
        yield upstream
    finally:
        asyncio.run_coroutine_threadsafe(upstream.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _headers(recorded: Any) -> Iterator[tuple[str, str]]:
    for name, values in recorded["headers"].items():
        if name not in _NOT_THE_MESSAGES:
            for value in values if isinstance(values, list) else [values]:
                yield name, _made_up(value)
    if "content-type" not in recorded["headers"]:  # some recorders keep no headers at all
        kinds = {"sse": "text/event-stream", "text": "text/plain"}
        yield "content-type", kinds.get(recorded["wire"]["body_kind"], "application/json")


def _body(recorded: Any) -> bytes:
    if "raw_base64" in recorded["wire"]:
        return base64.b64decode(recorded["wire"]["raw_base64"])
    body = recorded["body"]
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    plain = (_made_up(text) if recorded["status"] >= 400 else text).encode()
    return gzip.compress(plain) if recorded["headers"].get("content-encoding") == "gzip" else plain


def _made_up(text: str) -> str:
    for scrubbed, made_up in MADE_UP.items():
        text = text.replace(scrubbed, made_up)
    return text


def _pieces(body: bytes, chance: random.Random) -> Iterator[bytes]:
    """Cut a body where a reader that goes by chunks, lines or characters would stumble."""
    inside = range(1, len(body))
    cuts = set(chance.sample(inside, min(3, len(inside))))
    for place in _PLACES.values():
        found = [match.start() for match in place.finditer(body)]
        cuts.update(chance.sample(found, min(3, len(found))))
    edges = [0, *sorted(cuts), len(body)]
    return (body[start:end] for start, end in pairwise(edges))
