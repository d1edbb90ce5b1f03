"""A server on this machine that speaks the formats of vendors which have no simulator of their own.

OpenAI's, which Azure and Mistral speak at other addresses, Ollama's, and Bedrock's with its
signatures and its binary stream.
"""

import hashlib
import hmac
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from attrs import field, frozen

USAGE = {"prompt_tokens": 26, "completion_tokens": 9, "total_tokens": 35}


@frozen
class Heard:
    """A request that arrived; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    raw: bytes = field(repr=False)


@frozen
class Said:
    """A reply; `pieces` are what is written one after the other."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)


def completion(text: str | None = "Hello", finish: str = "stop", **message: Any) -> Said:
    """Write an answer in OpenAI's format, whole."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish,
    }
    return error(200, object="chat.completion", id="c", created=1, choices=[choice], usage=USAGE)


def chunks(*deltas: Any, finish: str = "stop", usage: Any = USAGE) -> Said:
    """Write an answer in OpenAI's format, piece by piece; a text is a piece of the content."""
    written = [{"content": delta} if isinstance(delta, str) else delta for delta in deltas]
    choices: list[Any] = [{"delta": delta, "finish_reason": None} for delta in written]
    choices.append({"delta": {}, "finish_reason": finish})
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [{**head, "choices": [{"index": 0, **choice}]} for choice in choices]
    events.append({**head, "choices": [], "usage": usage})
    return sse(*map(json.dumps, events), "[DONE]")


def sse(*data: str) -> Said:
    lines = "".join(f"data: {line}\n\n" for line in data).encode()
    return Said(lines, headers={"content-type": "text/event-stream"})


def error(status: int, headers: Mapping[str, str] | None = None, **body: Any) -> Said:
    """Write a reply of JSON."""
    kind = {"content-type": "application/json"}
    return Said(json.dumps(body).encode(), status, {**kind, **(headers or {})})


def ollama(*pieces: str, streamed: bool, done: str = "stop", **message: Any) -> Said:
    """Write an answer in Ollama's format: lines of JSON, or one object."""
    counts = {"done": True, "done_reason": done, "prompt_eval_count": 26, "eval_count": 9}
    head = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    if not streamed:
        turn = {"role": "assistant", "content": "".join(pieces), **message}
        return error(200, **head, message=turn, **counts)
    turns = [{"role": "assistant", "content": piece} for piece in pieces]
    lines = [{**head, "message": turn, "done": False} for turn in turns]
    lines.append({**head, "message": {"role": "assistant", "content": "", **message}, **counts})
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return Said(body, headers={"content-type": "application/x-ndjson"})


def bedrock(*pieces: str, streamed: bool, stop: str = "end_turn") -> Said:
    """Write an answer of Bedrock's Converse: an object, or AWS' event stream."""
    usage = {"inputTokens": 26, "outputTokens": 9, "totalTokens": 35}
    if not streamed:
        turn = {"role": "assistant", "content": [{"text": "".join(pieces)}]}
        told = {"latencyMs": 1}
        return error(200, output={"message": turn}, stopReason=stop, usage=usage, metrics=told)
    events = [("messageStart", {"role": "assistant"})]
    for piece in pieces:
        events.append(
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}})  # type: ignore[dict-item]
        )
    events.append(("contentBlockStop", {"contentBlockIndex": 0}))  # type: ignore[dict-item]
    events.append(("messageStop", {"stopReason": stop}))
    events.append(("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}))  # type: ignore[dict-item]
    frames = b"".join(frame(kind, payload) for kind, payload in events)
    return Said(frames, headers={"content-type": "application/vnd.amazon.eventstream"})


def frame(kind: str, payload: Any, message: str = "event") -> bytes:
    """Write one message of AWS' event stream: lengths, a checksum, headers, payload, a checksum."""
    named = {
        f":{message}-type": kind,
        ":content-type": "application/json",
        ":message-type": message,
    }
    headers = b""
    for name, text in named.items():
        headers += struct.pack(">B", len(name)) + name.encode()
        headers += struct.pack(">BH", 7, len(text)) + text.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", len(headers) + len(body) + 16, len(headers))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return whole + struct.pack(">I", zlib.crc32(whole))


def is_signed(heard: Heard, secret: str) -> bool:
    """Check a request's signature of version 4, with a key's secret.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/((\d+)/([\w-]+)/(\w+)/aws4_request), "
        r"SignedHeaders=([\w;-]+), Signature=(\w+)",
        heard.headers.get("authorization", ""),
    )
    if found is None:
        return False
    scope, day, region, service, names, signature = found.groups()
    headers = "".join(f"{name}:{heard.headers[name].strip()}\n" for name in names.split(";"))
    digest = hashlib.sha256(heard.raw).hexdigest()
    path = heard.path.replace("%", "%25")
    canonical = "\n".join(["POST", path, "", headers, names, digest])
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", heard.headers["x-amz-date"], scope, hashed])
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex() == signature


class SpeakingServer(ThreadingHTTPServer):
    """Answers with what is in `says`, the last of it again and again; keeps what it `heard`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.says: list[Said] = [completion()]
        self.heard: list[Heard] = []


class _Handler(BaseHTTPRequestHandler):
    server: SpeakingServer

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.heard.append(Heard(self.path, headers, json.loads(raw), raw))
        said = self.server.says[0]
        if len(self.server.says) > 1:
            self.server.says.pop(0)
        self.send_response(said.status)
        for name, value in {**said.headers, "content-length": str(len(said.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said.body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def speaking() -> Iterator[SpeakingServer]:
    with SpeakingServer() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
