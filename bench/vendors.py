"""A server in a process of its own that answers as both vendors' APIs would.

It answers at once, or takes the seconds that a request names, over which the pieces of a streamed
answer are spread.
"""

import asyncio
import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

# Of each vendor the model that answers, and one that is always overloaded.
MODELS = {"claude": "claude-sonnet-4-6", "gemini": "gemini-3.5-flash-lite"}
OVERLOADED = {"claude": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
SYSTEM = "You answer in one sentence."
QUESTION = "Name the first risk of a URL shortener that comes to mind, in {} pieces."
BETWEEN = 0.001  # seconds from one piece of a streamed answer to the next
PAUSED = "Take {} seconds, in {} pieces."
_PIECES = re.compile(rb"in (\d+) pieces")
_SECONDS = re.compile(rb"Take ([0-9.]+) seconds")


def answer(pieces: int) -> str:
    return "".join(_texts(pieces))


@cache
def _texts(pieces: int) -> list[str]:
    texts = [f"an open redirect of kind {n}, " for n in range(1, pieces)] + ["used by phishers."]
    return [f"Thought: done\nFinal Answer: {texts[0]}", *texts[1:]]  # which CrewAI looks for


class Server(asyncio.Protocol):
    """Looks no closer at a request than it must."""

    def __init__(self) -> None:
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if end and len(body) >= length:
            self._came = b""
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        line = head.partition(b"\r\n")[0].decode()
        gemini = ":" in line.partition("/models/")[2]
        found, named = _PIECES.search(body), _SECONDS.search(body)
        pieces = int(found[1]) if found else 1
        seconds = float(named[1]) if named else 0.0
        if OVERLOADED["gemini"] in line or OVERLOADED["claude"].encode() in body:
            self._transport.write(_refusal(gemini))
        elif "streamGenerateContent" in line or json.loads(body).get("stream"):
            chunks = _streamed(gemini, pieces)
            between = seconds / (len(chunks) - 1) if named else BETWEEN
            self._next(iter(chunks), asyncio.get_running_loop().time(), between)
        elif named:
            asyncio.get_running_loop().call_later(
                seconds, self._transport.write, _plain(gemini, pieces)
            )
        else:
            self._transport.write(_plain(gemini, pieces))

    def _next(self, chunks: Iterator[bytes], at: float, between: float) -> None:
        """Send the next chunk; each has its time, so that no lateness adds to the next one's."""
        for chunk in itertools.islice(chunks, 1):
            self._transport.write(chunk)
            after = at + between
            asyncio.get_running_loop().call_at(after, self._next, chunks, after, between)


@cache
def _refusal(gemini: bool) -> bytes:
    if gemini:
        error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
        return _whole("503 Service Unavailable", {"error": error})
    error = {"type": "overloaded_error", "message": "Overloaded"}
    return _whole("529 Overloaded", {"type": "error", "error": error})


@cache
def _plain(gemini: bool, pieces: int) -> bytes:
    if gemini:
        return _whole("200 OK", _gemini_chunk(answer(pieces), last=True))
    content = [{"type": "text", "text": answer(pieces)}]
    return _whole("200 OK", {**_message(), "content": content})


@cache
def _streamed(gemini: bool, pieces: int) -> list[bytes]:
    """Return the head, each piece, and the last one with the end, as they are sent."""
    texts = _texts(pieces)
    if gemini:
        events = [
            [f"data: {json.dumps(_gemini_chunk(text, place == pieces))}\r\n\r\n".encode()]
            for place, text in enumerate(texts, 1)
        ]
    else:
        events = [list(map(_event, each)) for each in _claude_events(texts)]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    *chunks, last = [_chunk(b"".join(each)) for each in events]
    return [head, *chunks, last + _chunk(b"")]


def _gemini_chunk(text: str, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"role": "model", "parts": [{"text": text}]},
        "index": 0,
    }
    if last:
        candidate["finishReason"] = "STOP"
    usage = {"promptTokenCount": 25, "candidatesTokenCount": 60, "totalTokenCount": 85}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": MODELS["gemini"],
        "responseId": "r1",
    }


def _claude_events(texts: list[str]) -> Iterator[list[dict[str, Any]]]:
    start = {**_message(), "content": [], "stop_reason": None}
    block = {"type": "text", "text": ""}
    yield [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        yield [{"type": "content_block_delta", "index": 0, "delta": delta}]
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    yield [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": _message()["usage"]},
        {"type": "message_stop"},
    ]


def _message() -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODELS["claude"],
        "content": [],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 60},
    }


def _event(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def _whole(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nrequest-id: req_1\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


async def serve() -> None:
    """Serve until standard input ends; say where."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
