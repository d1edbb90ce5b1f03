"""A server on this machine that says one thing to everyone."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread


@contextmanager
def serving(
    body: bytes = b'{"text": "# Said"}', kind: str = "application/json", encoding: str = ""
) -> Iterator[str]:
    """Answer every POST with a body; give the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("set-cookie", "session=a-cookie")
            self.send_header("request-id", "req_011CSHoEeqs5C35K2UUqR7Fy")
            if encoding:
                self.send_header("content-encoding", encoding)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
