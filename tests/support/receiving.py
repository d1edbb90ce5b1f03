"""A server on this machine that is a vendor and an OTLP receiver, and keeps what it is sent."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from attrs import field, frozen
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "# Said"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 7, "cache_read_input_tokens": 30},
}


@frozen
class Received:
    """What came, as path, headers and body."""

    url: str
    posts: list[tuple[str, dict[str, str], bytes]] = field(factory=list)

    def at(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for where, headers, body in self.posts if where == path]

    @property
    def resource(self) -> dict[str, Any]:
        """Give the attributes of who sent the spans."""
        return _values(self._told()[0].resource.attributes)

    @property
    def calls(self) -> dict[str, Any]:
        """Map each agent to the span of its call."""
        return {
            _values(span.attributes)["gen_ai.agent.name"]: span
            for told in self._told()
            for scope in told.scope_spans
            for span in scope.spans
            if span.kind == Span.SPAN_KIND_CLIENT
        }

    @property
    def metrics(self) -> list[str]:
        return [
            metric.name
            for _, body in self.at("/v1/metrics")
            for told in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in told.scope_metrics
            for metric in scope.metrics
        ]

    def attributes(self, agent: str) -> dict[str, Any]:
        return _values(self.calls[agent].attributes)

    def _told(self) -> list[Any]:
        bodies = [body for _, body in self.at("/v1/traces")]
        parsed = map(ExportTraceServiceRequest.FromString, bodies)
        return [told for request in parsed for told in request.resource_spans]


@contextmanager
def receiving(refusing: Sequence[str] = ()) -> Iterator[Received]:
    """Take every POST; answer 400 at the paths that are refused."""
    received: Received

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.posts.append((self.path, headers, body))
            answer = json.dumps(ANSWER).encode() if self.path == "/v1/messages" else b""
            self.send_response(400 if self.path in refusing else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Received(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
