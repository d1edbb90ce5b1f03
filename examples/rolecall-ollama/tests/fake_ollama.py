"""A server on this machine that speaks Ollama's /api/chat."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

Lines = list[dict[str, Any]]


def lines(*pieces: str, **ending: Any) -> Lines:
    """Write an answer in these pieces, as Ollama streams it."""
    said: Lines = [{"message": {"role": "assistant", "content": piece}} for piece in pieces]
    counts = {"done_reason": "stop", "prompt_eval_count": 26, "eval_count": 9}
    end = {"message": {"role": "assistant", "content": ""}, **counts, **ending}
    return [{"model": "m", "done": False, **each} for each in said] + [
        {"model": "m", "done": True, **end}
    ]


class FakeOllama(ThreadingHTTPServer):
    """Answers with `lines`, or with an error where `status` is one; keeps what it was `asked`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Chat)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: Lines = []
        self.lines = lines("Hel", "lo")
        self.status = 200
        self.breaks_off = False
        self.may_answer = Event()
        self.may_answer.set()


class Chat(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeOllama

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/api/chat":  # litellm also asks for a model's size
            return self._send(404, [{"error": "not here"}])
        self.server.asked.append(body)
        self.server.may_answer.wait()
        if self.server.status != 200:
            return self._send(self.server.status, [{"error": "as told"}])
        if not body["stream"]:
            text = "".join(each["message"]["content"] for each in self.server.lines)
            message = {"role": "assistant", "content": text}
            return self._send(200, [{**self.server.lines[-1], "message": message}])
        return self._send(200, self.server.lines)

    def _send(self, status: int, values: Lines) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for value in values:
            self._chunk(json.dumps(value).encode() + b"\n")
        if self.server.breaks_off:
            self.close_connection = True
        else:
            self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.may_answer.set()
        server.shutdown()
