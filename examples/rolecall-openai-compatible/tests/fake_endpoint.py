"""A server on this machine that speaks chat completions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


def events(*pieces: str, finish: str = "stop") -> bytes:
    """Write an answer in these pieces, as it is streamed."""
    choices: list[Any] = [{"delta": {"content": piece}, "finish_reason": None} for piece in pieces]
    choices.append({"delta": {}, "finish_reason": finish})
    values = [{"choices": [choice]} for choice in choices]
    values.append({"choices": [], "usage": {"prompt_tokens": 26, "completion_tokens": 9}})
    lines = [json.dumps(value, ensure_ascii=False) for value in values]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


def whole(text: str, finish: str = "stop") -> bytes:
    """Write an answer that is not streamed."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 26, "completion_tokens": 9}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


class FakeEndpoint(ThreadingHTTPServer):
    """Answers with what it is set to; keeps the bodies and the keys that it was `asked` with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Completions)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.asked: list[tuple[dict[str, Any], str | None]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.may_answer = Event()
        self.may_answer.set()


class Completions(BaseHTTPRequestHandler):
    server: FakeEndpoint

    def do_POST(self) -> None:
        endpoint = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        endpoint.asked.append((body, self.headers["Authorization"]))
        endpoint.may_answer.wait()
        reply = endpoint.body
        if reply is None:
            reply = events("Hel", "lo") if body["stream"] else whole("Hello")
        self.send_response(endpoint.status if self.path == "/v1/chat/completions" else 404)
        kind = "text/event-stream" if reply.startswith(b"data:") else "application/json"
        for name, value in {"Content-Type": kind, **endpoint.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[FakeEndpoint]:
    with FakeEndpoint() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.may_answer.set()
        server.shutdown()
