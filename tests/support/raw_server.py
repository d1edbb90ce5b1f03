"""A server on this machine that answers with any bytes at all."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

from attrs import define, field

Answer = Callable[[socket.socket], None]


@define
class RawServer:
    """Where it is, and what it got: the head and the body of each request."""

    host: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    requests: list[tuple[str, bytes]] = field(factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def whole(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a reply as HTTP/1.1 has it."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def streamed(*headers: str) -> bytes:
    """Return the head of a stream of events, whose chunks follow."""
    kind, how = "content-type: text/event-stream", "transfer-encoding: chunked"
    return "\r\n".join(["HTTP/1.1 200 OK", kind, how, *headers, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@contextmanager
def answering(answer: bytes | Answer) -> Iterator[RawServer]:
    """Answer every request on every connection; after an answer that is a function, hang up."""
    served = RawServer()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            served.connections += 1
            while (request := _request(self.request)) is not None:
                served.requests.append(request)
                try:
                    if not isinstance(answer, bytes):
                        return answer(self.request)
                    self.request.sendall(answer)
                except OSError:
                    return None  # the client has left

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server((served.host, 0), Handler) as server:
        served.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def _request(connection: socket.socket) -> tuple[str, bytes] | None:
    came = b""
    while b"\r\n\r\n" not in came:
        data = connection.recv(65536)
        if not data:
            return None
        came += data
    head, _, body = came.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head.decode("latin-1"), body
