"""Spans and measurements of a run, as OpenTelemetry's conventions name them."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from building import call_ended, call_started
from installing import FAST, Shell
from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    Cause,
    Event,
    FellBack,
    Observer,
    Retrying,
    RouteClosed,
    RouteOpened,
    RunEnded,
    RunStarted,
    Settings,
    SettingsError,
    Stop,
    Usage,
)
from rolecall_plugins._telemetry import Telemetry
from rolecall_plugins._trace import carried
from rolecall_plugins.otel import rolecall_observers

STARTED = RunStarted(at=0.0, folder="f", request="r", agents=("a", "b"), first_choices=())
OVER = RunEnded(at=9.0, done=1, failed=0, blocked=0)
CLAUDE = {"provider": "claude", "model": "claude-x"}
USAGE = Usage(input=100, output=40, thinking=30, cache_read=60, cache_write=20)


class Traced:
    """Telemetry whose spans and measurements stay in memory."""

    def __init__(self, **more: Any) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = Telemetry(tracers, MeterProvider([self._reader]), **more)

    def tell(self, *events: Event) -> "Traced":
        for event in events:
            self.telemetry.notify(event)
        return self

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._spans.get_finished_spans()}

    @property
    def points(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: list(metric.data.data_points) for metric in metrics}


def whole(**more: Any) -> Traced:
    """Tell a run of one agent with one call, which ends as `more` says."""
    ended = {"usage": USAGE, "request_id": "req_1", "first_text": 0.5, "cost": 0.25, **CLAUDE}
    return Traced(content=more.pop("content", False)).tell(
        STARTED,
        AgentStarted(at=0.0, agent="a"),
        call_started(**CLAUDE),
        call_ended(**{**ended, **more}),
        AgentDone(at=2.0, agent="a", route="claude/claude-x", file="f"),
        OVER,
    )


def test_a_run_holds_its_agents_and_an_agent_its_calls() -> None:
    spans = whole().spans
    run, agent = spans["invoke_workflow rolecall"], spans["invoke_agent a"]
    call = spans["chat claude-x"]
    assert run.parent is None
    assert agent.parent == run.context
    assert call.parent == agent.context
    assert [call.kind, agent.kind] == [SpanKind.CLIENT, SpanKind.INTERNAL]


def test_a_call_has_the_attributes_of_the_conventions() -> None:
    call = whole().spans["chat claude-x"]
    assert dict(call.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.agent.name": "a",
        "gen_ai.request.model": "claude-x",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.response.id": "req_1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.usage.reasoning.output_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_creation.input_tokens": 20,
        "rolecall.call": 1,
        "rolecall.waited": 0.5,
        "rolecall.cost_usd": 0.25,
    }


def test_every_attribute_of_the_conventions_is_in_their_registry() -> None:
    registry = {value for name, value in vars(gen_ai_attributes).items() if name.isupper()}
    for span in whole(content=True, cause=Cause.SAFETY).spans.values():
        ours = {name for name in span.attributes or {} if not name.startswith("rolecall.")}
        assert ours - registry <= {"error.type"}


def test_a_failed_call_is_an_error_of_its_cause() -> None:
    call = whole(cause=Cause.OVERLOADED, text="", detail="HTTP 529").spans["chat claude-x"]
    assert call.attributes is not None
    assert call.attributes["error.type"] == "overloaded"
    assert "gen_ai.response.finish_reasons" not in call.attributes
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, "HTTP 529")


@pytest.mark.parametrize(
    ("stop", "reason"),
    [(Stop.LENGTH, "length"), (Stop.SAFETY, "content_filter"), (Stop.REFUSAL, "refusal")],
)
def test_a_finish_reason_is_the_conventions_word(stop: Stop, reason: str) -> None:
    attributes = whole(stop=stop).spans["chat claude-x"].attributes
    assert attributes is not None
    assert attributes["gen_ai.response.finish_reasons"] == (reason,)


def test_what_a_model_wrote_is_kept_only_where_that_is_asked_for() -> None:
    kept = whole(content=True).spans["chat claude-x"].attributes
    assert kept is not None
    assert json.loads(str(kept["gen_ai.output.messages"])) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "answer"}],
            "finish_reason": "stop",
        }
    ]
    assert not any("answer" in str(span.attributes) for span in whole().spans.values())


def test_tokens_and_seconds_are_measured() -> None:
    points = whole().points
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum
        for point in points["gen_ai.client.token.usage"]
    }
    assert tokens == {"input": 100, "output": 40}
    (seconds,) = points["gen_ai.client.operation.duration"]
    assert seconds.sum == 2.0
    assert seconds.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-x",
    }


def test_what_goes_otherwise_than_planned_is_an_event_of_its_span() -> None:
    traced = Traced().tell(
        STARTED,
        AgentStarted(at=0.0, agent="a"),
        Retrying(at=1.0, agent="a", route="gemini", cause=Cause.TIMEOUT, delay=2.0),
        FellBack(at=2.0, agent="a", route="gemini", to="claude", cause=Cause.TIMEOUT),
        RouteOpened(at=2.0, route="gemini", cause=Cause.TIMEOUT, seconds=30.0),
        RouteClosed(at=3.0, route="gemini"),
        AgentFailed(at=4.0, agent="a", error="all routes failed"),
        AgentBlocked(at=4.0, agent="b", by="a"),
        RunEnded(at=5.0, done=0, failed=1, blocked=1),
    )
    agent, run = traced.spans["invoke_agent a"], traced.spans["invoke_workflow rolecall"]
    assert [event.name for event in agent.events] == ["retry", "fallback"]
    assert dict(agent.events[1].attributes or {}) == {
        "rolecall.route": "gemini",
        "rolecall.to": "claude",
        "rolecall.cause": "timeout",
    }
    assert [event.name for event in run.events] == ["route_opened", "route_closed", "agent_blocked"]
    assert agent.status.description == "all routes failed"
    assert run.status.status_code is StatusCode.ERROR


def test_what_an_interruption_leaves_open_is_ended() -> None:
    over = RunEnded(at=1.0, done=0, failed=0, blocked=0, interrupted=True)
    events = (STARTED, AgentStarted(at=0.0, agent="a"), call_started(**CLAUDE), over)
    traced = Traced()
    copy_context().run(traced.tell, *events)  # as a task that is cancelled
    assert {span.attributes["error.type"] for span in traced.spans.values() if span.attributes} == {
        "cancelled",
        "interrupted",
    }


def test_while_a_call_is_under_way_its_span_is_the_tasks_own() -> None:
    traced = Traced().tell(STARTED, AgentStarted(at=0.0, agent="a"), call_started(**CLAUDE))
    span = get_current_span().get_span_context()
    ids = f"00-{span.trace_id:032x}-{span.span_id:016x}-"
    assert carried.get()["traceparent"].startswith(ids)
    traced.tell(call_ended(**CLAUDE))
    assert not get_current_span().get_span_context().is_valid
    assert not carried.get()


def test_a_call_of_no_team_is_traced_too() -> None:
    spans = Traced().tell(call_started(**CLAUDE), call_ended(**CLAUDE)).spans
    assert list(spans) == ["chat claude-x"]


def observers(**variables: str) -> list[Observer]:
    return list(rolecall_observers(Settings(environment=variables)))


def test_nothing_is_traced_unless_it_is_asked_for() -> None:
    assert observers() == []
    assert (
        observers(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_SDK_DISABLED="true") == []
    )


def test_a_program_that_traces_itself_gets_our_spans_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", TracerProvider)
    assert [type(observer) for observer in observers()] == [Telemetry]


def test_where_opentelemetry_is_missing_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"pip install 'rolecall\[otel\]'"):
        observers(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")


@contextmanager
def receiving() -> Iterator[tuple[str, list[tuple[str, Any, bytes]]]]:
    """Be an OTLP receiver and a vendor that refuses: give the address and what arrives."""
    arrived: list[tuple[str, Any, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            arrived.append((self.path, self.headers, body))
            self.send_response(401 if self.path == "/v1/messages" else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", arrived
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_run_is_exported_and_the_vendor_is_told_the_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.configure(FAST)
    name = "project-orchestrator"
    with receiving() as (address, arrived):
        (shell.folder / ".env").write_text(
            f"ANTHROPIC_API_KEY=planted-key\nANTHROPIC_API_BASE={address}\n"
            f"OTEL_EXPORTER_OTLP_ENDPOINT={address}\nOTEL_EXPORTER_OTLP_HEADERS=x-token=abc\n",
            "utf-8",
        )
        assert shell("run", "Build it", "--only", name).code == 4
    (vendor,) = (headers for path, headers, _ in arrived if path == "/v1/messages")
    (traces,) = ((headers, body) for path, headers, body in arrived if path == "/v1/traces")
    (metrics,) = (body for path, _, body in arrived if path == "/v1/metrics")
    assert traces[0]["x-token"] == "abc"
    (group,) = ExportTraceServiceRequest.FromString(traces[1]).resource_spans
    assert {each.key: each.value.string_value for each in group.resource.attributes}[
        "service.name"
    ] == "rolecall"
    spans = {span.name: span for scope in group.scope_spans for span in scope.spans}
    call = spans["chat claude-sonnet-5-5"]
    assert {"invoke_workflow rolecall", f"invoke_agent {name}"} < spans.keys()
    assert vendor["traceparent"].startswith(f"00-{call.trace_id.hex()}-{call.span_id.hex()}-")
    assert b"gen_ai.client.operation.duration" in metrics
    assert ExportMetricsServiceRequest.FromString(metrics).resource_metrics
    assert not any(b"planted-key" in body for path, _, body in arrived)
