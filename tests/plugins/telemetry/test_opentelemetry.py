"""What OpenTelemetry hears of runs, who asks for it, and that no run needs it."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from acting import SETTINGS, TOOLS, Acting, Send, Shell, act, call, write
from attrs import evolve
from building import agent, failing, plugin, run
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind, StatusCode
from receiving import receiving

from rolecall import (
    LLM,
    Host,
    Observer,
    Request,
    Response,
    Settings,
    Stop,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from rolecall.observers.event_bus import EventBus
from rolecall.scheduling.session import Session
from rolecall.storage.run_folder import RunFolder
from rolecall.testing import FakeProvider
from rolecall.types.run_options import RunOptions
from rolecall_plugins import claude
from rolecall_plugins import telemetry as otel
from rolecall_plugins.cassettes.current_call import active_cassette
from rolecall_plugins.telemetry.exporters import Signal, Telemetry, wants_content
from rolecall_plugins.telemetry.metrics import SECONDS, TOKENS, CallMetrics
from rolecall_plugins.telemetry.otlp import ShutdownAfterRun, SpanSender
from rolecall_plugins.telemetry.spans import RunSpans

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
NOWHERE = "http://127.0.0.1:9"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class Memory:
    """Keep spans and metrics."""

    def __init__(self, content: bool = False) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.observers: list[Observer] = [
            CallMetrics(self._meters.get_meter("test")),
            RunSpans(self.provider.get_tracer("test"), content),
        ]

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Any:
        (span,) = self.named(name)
        return span

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        (metric,) = (each for each in scope.metrics if each.name == name)
        return list(metric.data.data_points)


def observed(folder: Path, *providers: Any, agents: Any = None, content: bool = False) -> Memory:
    """Run a team, by default of one agent, and return what was reported of it."""
    memory = Memory(content)
    names = tuple(provider.name for provider in providers)
    run(folder, agents or [agent("a", routes=names)], *providers, keepers=memory.observers)
    return memory


def settings(**environment: str) -> Settings:
    return Settings(environment=environment)


# Spans.


def test_a_run_holds_its_agents_and_they_their_calls(tmp_path: Path) -> None:
    team = [agent("a"), agent("b", "a")]
    memory = observed(tmp_path / "run", FakeProvider("one"), agents=team)
    whole = memory.one("rolecall.run")
    first, second = memory.one("invoke_agent a"), memory.one("invoke_agent b")
    calls = memory.named("chat ")
    assert whole.parent is None
    assert first.parent == second.parent == whole.context
    assert [call.parent for call in calls] == [first.context, second.context]
    assert len(memory.spans) == 5
    assert whole.attributes["rolecall.run"] == "run"
    assert whole.attributes["rolecall.done"] == 2
    assert first.attributes["gen_ai.agent.name"] == "a"
    assert {span.status.status_code for span in memory.spans} == {StatusCode.UNSET}


def test_a_call_is_told_in_the_words_of_the_conventions(tmp_path: Path) -> None:
    usage = Usage(input=100, output=50, thinking=20, cache_read=30, cache_write=10)
    provider = FakeProvider("claude", [Response("text", usage, cost=0.5, request_id="req_1")])
    team = [agent("a", routes=["claude/opus"])]
    call = observed(tmp_path, provider, agents=team).one("chat opus")
    assert call.kind is SpanKind.CLIENT
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.agent.name": "a",
        "gen_ai.request.model": "opus",
        "gen_ai.request.max_tokens": 16_384,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": "req_1",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 30,
        "gen_ai.usage.cache_creation.input_tokens": 10,
        "rolecall.call": 1,
        "rolecall.cost_usd": 0.5,
        "rolecall.waited": 0.0,
    }


@pytest.mark.parametrize(
    ("name", "known"), [("claude", "anthropic"), ("gemini", "gcp.gemini"), ("echo", "echo")]
)
def test_a_vendor_has_the_name_that_the_conventions_give_it(
    name: str, known: str, tmp_path: Path
) -> None:
    call = observed(tmp_path, FakeProvider(name)).one("chat ")
    assert call.attributes["gen_ai.provider.name"] == known


def test_every_name_of_the_conventions_is_in_their_registry() -> None:
    registry = {value for name, value in vars(gen_ai_attributes).items() if name.isupper()}
    metrics = {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    for module in ("spans", "metrics"):
        text = Path(otel.__file__).with_name(f"{module}.py").read_text("utf-8")
        used = {word for word in text.split('"') if word.startswith("gen_ai.")}
        assert used
        assert used - metrics <= registry


def test_a_failed_call_is_an_error_of_its_cause_and_its_retry_a_moment(tmp_path: Path) -> None:
    memory = observed(tmp_path, FakeProvider("one", failing("overloaded")))
    failed, answered = memory.named("chat ")
    assert failed.attributes
    assert failed.attributes["error.type"] == "overloaded"
    assert "gen_ai.response.finish_reasons" not in failed.attributes
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description == "as the vendor says overloaded"
    assert answered.status.status_code is StatusCode.UNSET
    (moment,) = memory.one("invoke_agent a").events
    assert moment.name == "rolecall.retrying"
    assert moment.attributes["rolecall.cause"] == "overloaded"
    assert moment.attributes["rolecall.delay"] > 0


def test_a_reply_that_is_no_answer_says_why_it_ended(tmp_path: Path) -> None:
    blocked = Response("", Usage(input=9), stop=Stop.SAFETY)
    memory = observed(tmp_path, FakeProvider("one", [blocked]), FakeProvider("two"))
    call = memory.named("chat ")[0]
    assert call.attributes
    assert call.attributes["error.type"] == "safety"
    assert call.attributes["gen_ai.response.finish_reasons"] == ("content_filter",)


def test_a_fallback_is_a_moment_of_its_agent(tmp_path: Path) -> None:
    memory = observed(tmp_path, FakeProvider("one", failing("auth")), FakeProvider("two"))
    (moment,) = memory.one("invoke_agent a").events
    assert moment.name == "rolecall.fell_back"
    assert moment.attributes == {
        "rolecall.agent": "a",
        "rolecall.route": "one",
        "rolecall.to": "two",
        "rolecall.cause": "auth",
        "rolecall.asked": True,
    }
    assert memory.one("invoke_agent a").attributes["rolecall.route"] == "two"


def test_a_route_that_is_left_alone_is_a_moment_of_the_run(tmp_path: Path) -> None:
    memory = observed(
        tmp_path, FakeProvider("one", failing("server_error", 9)), FakeProvider("two")
    )
    names = [moment.name for moment in memory.one("rolecall.run").events]
    assert names == ["rolecall.route_opened"]


def test_an_agent_without_an_answer_is_an_error_and_so_is_the_run(tmp_path: Path) -> None:
    team = [agent("a"), agent("b", "a")]
    memory = observed(tmp_path, FakeProvider("one", failing("refusal")), agents=team)
    failed, whole = memory.one("invoke_agent a"), memory.one("rolecall.run")
    assert failed.status.status_code is whole.status.status_code is StatusCode.ERROR
    assert "as the vendor says refusal" in failed.status.description
    assert whole.status.description == "1 agents failed"
    assert [moment.name for moment in whole.events] == ["rolecall.agent_blocked"]


def test_what_models_write_is_told_only_where_it_is_asked_for(tmp_path: Path) -> None:
    quiet = observed(tmp_path / "quiet", FakeProvider("one", ["a secret plan"]))
    assert "a secret plan" not in "".join(span.to_json() for span in quiet.spans)
    open = observed(tmp_path / "open", FakeProvider("one", ["a secret plan"]), content=True)
    (message,) = json.loads(open.one("chat ").attributes["gen_ai.output.messages"])
    assert message == {
        "role": "assistant",
        "parts": [{"type": "text", "content": "a secret plan"}],
        "finish_reason": "stop",
    }


# Tools.


def acted(
    folder: Path, *turns: Any, tools: Any = None, content: bool = False, **more: Any
) -> Memory:
    """Run an agent that calls tools, and return what was reported of it."""
    memory = Memory(content)
    tools = {**TOOLS, **(tools or {})}
    worker = agent("a", tools=tuple(tools), verify="sandbox" in more)
    provider = Acting({"You are the a": turns})
    act(folder, [worker], provider, tools=tools, keepers=memory.observers, **more)
    return memory


class Looks(Send):
    """A tool that keeps which span is current while it works."""

    name = "looks"
    read_only = True
    outside = False

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    async def call(self, arguments: Any, work: Any) -> ToolResult:
        self.seen.append(trace.get_current_span().get_span_context())
        await asyncio.sleep(0)
        self.seen.append(trace.get_current_span().get_span_context())
        return ToolResult("seen")


def test_a_tool_call_is_told_in_the_words_of_the_conventions(tmp_path: Path) -> None:
    memory = acted(tmp_path, [write("a.py", "planted text")], "done")
    tool = memory.one("execute_tool workspace.write")
    assert tool.parent == memory.one("invoke_agent a").context
    assert tool.kind is SpanKind.INTERNAL
    tree = tool.attributes["rolecall.tree"]
    assert tool.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "workspace.write",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "1",
        "gen_ai.agent.name": "a",
        "rolecall.tree": tree,
    }
    first, _ = memory.named("chat ")
    assert first.attributes
    assert first.attributes["gen_ai.response.finish_reasons"] == ("tool_call",)
    assert "planted text" not in "".join(span.to_json() for span in memory.spans)


def test_what_tools_are_told_and_say_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    turn = (Text("I write."), write("a.py", "text"), ToolCall("2", "x", malformed="{pa"))
    memory = acted(tmp_path, turn, "done", content=True)
    tool = memory.one("execute_tool workspace.write")
    arguments = {"path": "a.py", "content": "text"}
    assert json.loads(tool.attributes["gen_ai.tool.call.arguments"]) == arguments
    assert tool.attributes["gen_ai.tool.call.result"] == "a.py: 1 lines written"
    call = memory.named("chat ")[0]
    assert call.attributes
    (message,) = json.loads(str(call.attributes["gen_ai.output.messages"]))
    assert message["finish_reason"] == "tool_call"
    assert message["parts"] == [
        {"type": "text", "content": "I write."},
        {"type": "tool_call", "id": "1", "name": "workspace_write", "arguments": arguments},
        {"type": "tool_call", "id": "2", "name": "x", "arguments": "{pa"},
    ]


@pytest.mark.parametrize("content", [False, True])
def test_a_tool_that_failed_is_an_error(tmp_path: Path, content: bool) -> None:
    memory = acted(tmp_path, [call("read", path="missing")], "done", content=content)
    tool = memory.one("execute_tool workspace.read")
    assert tool.attributes["error.type"] == "tool_error"
    assert tool.status.status_code is StatusCode.ERROR
    assert ("missing" in (tool.status.description or "")) is content


def test_a_call_that_was_not_made_is_a_moment_of_its_agent(tmp_path: Path) -> None:
    memory = acted(tmp_path, [ToolCall("1", "fly" * 100)], "done")
    assert not [span for span in memory.spans if span.name.startswith("execute_tool")]
    (moment,) = memory.one("invoke_agent a").events
    assert moment.name == "rolecall.tool_refused"
    assert moment.attributes == {"rolecall.tool": ("fly" * 100)[:64]}


def test_an_answer_of_the_operator_is_a_moment_of_the_agent(tmp_path: Path) -> None:
    async def consent(question: Any) -> bool:
        return True

    tools = {"mail.send": Send()}
    turns = ([ToolCall("1", "mail_send", {"to": "a"})], "done")
    memory = acted(tmp_path, *turns, tools=tools, consent=consent)
    (moment,) = memory.one("invoke_agent a").events
    assert moment.name == "rolecall.consent_decided"
    assert moment.attributes["rolecall.consent"] == "once"


def test_what_a_tool_does_is_within_its_span(tmp_path: Path) -> None:
    tool = Looks()
    turns = ([ToolCall("1", "looks"), ToolCall("2", "looks")], "done")
    memory = acted(tmp_path, *turns, tools={"looks": tool})
    spans = {span.context.span_id for span in memory.named("execute_tool looks") if span.context}
    assert len(spans) == 2
    assert {context.span_id for context in tool.seen} == spans


def test_a_tool_that_is_cancelled_leaves_no_span_behind(tmp_path: Path) -> None:
    class Stuck(Looks):
        async def call(self, arguments: Any, work: Any) -> ToolResult:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(60)
            raise AssertionError

    memory = Memory()
    worker = agent("a", tools=("looks",))
    provider = Acting({"You are the a": ([ToolCall("1", "looks")], "done")})
    with pytest.raises(asyncio.CancelledError):
        act(tmp_path, [worker], provider, tools={"looks": Stuck()}, keepers=memory.observers)
    tool = memory.one("execute_tool looks")
    assert tool.status.description == "given up before its end"


@pytest.mark.skipif(os.name != "posix", reason="the checks are a POSIX shell's")
@pytest.mark.parametrize("content", [False, True])
def test_a_verification_holds_its_checks(tmp_path: Path, content: bool) -> None:
    more = {"settings": evolve(SETTINGS, verify=("true", "exit 3"), repairs=0)}
    turns = ([write("a.py", "text")], "done")
    memory = acted(tmp_path, *turns, content=content, sandbox=Shell(), **more)
    whole = memory.one("rolecall.verify")
    assert whole.parent == memory.one("invoke_agent a").context
    assert whole.attributes["rolecall.sandbox"] == "shell"
    assert (whole.attributes["rolecall.passed"], whole.attributes["error.type"]) == (
        False,
        "check_failed",
    )
    first, second = memory.named("rolecall.check")
    assert first.parent == second.parent == whole.context
    assert first.attributes
    assert second.attributes
    assert first.attributes["rolecall.exit_status"] == 0
    assert second.attributes["rolecall.exit_status"] == 3
    assert second.status.status_code is StatusCode.ERROR
    assert second.attributes.get("rolecall.command") == ("exit 3" if content else None)
    assert whole.start_time == first.start_time <= second.start_time <= whole.end_time


def test_a_resumed_run_does_not_tell_again_what_was_asked_before(tmp_path: Path) -> None:
    observed(tmp_path, FakeProvider("one"))
    memory = observed(tmp_path, FakeProvider("one"))
    assert memory.named("chat ") == []
    (moment,) = memory.one("invoke_agent a").events
    assert moment.name == "rolecall.step_reused"


class Looking(FakeProvider):
    """Keeps, for each prompt, which span is current before and after others had their turn."""

    def __init__(self) -> None:
        super().__init__("one")
        self.seen: dict[str, Any] = {}

    async def complete(self, request: Request) -> Response:
        before = trace.get_current_span()
        await asyncio.sleep(1.0)
        assert trace.get_current_span() is before
        self.seen[request.system] = before.get_span_context()
        return await super().complete(request)


def test_each_of_several_calls_at_once_has_its_own_span(tmp_path: Path) -> None:
    provider = Looking()
    memory = observed(tmp_path, provider, agents=[agent("a"), agent("b"), agent("c")])
    spans = {span.attributes["gen_ai.agent.name"]: span for span in memory.named("chat ")}  # type: ignore[index]
    assert len(spans) == 3
    for name, span in spans.items():
        assert provider.seen[f"You are the {name}."] == span.context
    assert trace.get_current_span() is trace.INVALID_SPAN


def model(memory: Memory, *providers: Any) -> LLM:
    host = Host([])
    host.register("all", plugin(providers=lambda: list(providers)))
    return LLM("one", settings=Settings(), host=host, observers=memory.observers)


def test_a_call_of_another_program_belongs_to_its_span() -> None:
    memory = Memory()
    with memory.provider.get_tracer("theirs").start_as_current_span("theirs") as theirs:
        asyncio.run(model(memory, FakeProvider("one")).acall("?"))
    assert memory.one("chat ").parent == theirs.get_span_context()


def test_a_call_that_is_cancelled_ends_and_leaves_no_span_behind() -> None:
    memory = Memory()
    slow = model(memory, FakeProvider("one", [60.0, "late"]))

    async def give_up() -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await slow.acall("?")
        await asyncio.sleep(0)
        return trace.get_current_span()

    assert asyncio.run(give_up()) is trace.INVALID_SPAN
    assert memory.one("chat ").status.description == "given up before its end"


# Metrics.


def test_calls_are_measured_with_the_conventions_buckets(tmp_path: Path) -> None:
    answer = Response("text", Usage(input=1000, output=200))
    provider = FakeProvider("claude", [*failing("overloaded"), 3.0, answer])
    memory = observed(tmp_path, provider, agents=[agent("a", routes=["claude/opus"])])
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "opus",
    }
    failed, answered = memory.points("gen_ai.client.operation.duration")
    assert failed.attributes == {**call, "error.type": "overloaded"}
    assert (answered.attributes, answered.sum) == (call, 3.0)
    assert answered.explicit_bounds == tuple(SECONDS)
    read, written = memory.points("gen_ai.client.token.usage")
    assert read.attributes == {**call, "gen_ai.token.type": "input"}
    assert (read.sum, written.sum) == (1000, 200)
    assert read.explicit_bounds == tuple(TOKENS)


def test_the_buckets_are_those_of_the_conventions() -> None:
    assert (SECONDS[0], SECONDS[-1], len(SECONDS)) == (0.01, 81.92, 14)
    assert (TOKENS[0], TOKENS[-1], len(TOKENS)) == (1, 67_108_864, 14)


# Who asks for it.


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "team"},
        {ENDPOINT: NOWHERE, "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: NOWHERE, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
    ],
)
def test_nobody_observes_where_nobody_asks(environment: dict[str, str]) -> None:
    assert otel.rolecall_observers(settings(**environment)) == []


@pytest.mark.parametrize(
    ("environment", "traces", "metrics"),
    [
        ({ENDPOINT: "http://h:4318/"}, "http://h:4318/v1/traces", "http://h:4318/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h/mine"}, "http://h/mine", None),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "", None),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, None, ""),
        ({ENDPOINT: "http://h", "OTEL_TRACES_EXPORTER": "none"}, None, "http://h/v1/metrics"),
    ],
)
def test_each_signal_goes_where_the_environment_says(
    environment: dict[str, str], traces: str | None, metrics: str | None
) -> None:
    read = Telemetry.read(settings(**environment))
    assert (read.traces and read.traces.endpoint) == traces
    assert (read.metrics and read.metrics.endpoint) == metrics


def test_headers_of_a_signal_win_over_those_of_both() -> None:
    read = Telemetry.read(
        settings(
            OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
            OTEL_EXPORTER_OTLP_HEADERS="a=1",
            OTEL_EXPORTER_OTLP_TRACES_HEADERS="a=2",
        )
    )
    assert read.traces == Signal(ENDPOINT, f"{NOWHERE}/v1/traces", {"a": "2"})
    assert read.metrics == Signal(ENDPOINT, f"{NOWHERE}/v1/metrics", {"a": "1"})


def test_who_tells_is_named_as_the_environment_says() -> None:
    assert Telemetry.read(Settings()).resource["service.name"] == "rolecall"
    read = Telemetry.read(
        settings(
            OTEL_RESOURCE_ATTRIBUTES="service.name=x, deployment.environment.name=a%20b,",
            OTEL_SERVICE_NAME="team",
        )
    )
    assert read.resource["service.name"] == "team"
    assert read.resource["deployment.environment.name"] == "a b"


@pytest.mark.parametrize("value", ["true", "True", "span_only", "SPAN_AND_EVENT"])
def test_content_is_asked_for_by_one_variable(value: str) -> None:
    assert not wants_content(Settings())
    assert not wants_content(settings(**{CONTENT: "no_content"}))
    assert wants_content(settings(**{CONTENT: value}))


@pytest.mark.parametrize(
    ("variable", "value", "warning"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "asks for an exporter other than otlp"),
        ("OTEL_METRICS_EXPORTER", "console,prometheus", "asks for an exporter other than otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "asks for another protocol than http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "asks for another protocol than"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc", "asks for another protocol than"),
    ],
)
def test_what_is_not_supported_is_a_warning_once_and_no_error(
    variable: str, value: str, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    otel.rolecall_observers(settings(**{ENDPOINT: NOWHERE, variable: value}))
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{variable} {warning}")
    assert record.getMessage().endswith("so nothing is sent")
    assert value not in record.getMessage()


def test_a_protocol_of_one_signal_leaves_the_other_alone() -> None:
    read = Telemetry.read(
        settings(**{ENDPOINT: NOWHERE, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"})
    )
    assert read.traces is not None
    assert read.metrics is None


def test_where_it_is_not_installed_a_warning_says_how_to(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = "opentelemetry.exporter.otlp.proto.http.metric_exporter"
    monkeypatch.delitem(sys.modules, "rolecall_plugins.telemetry.otlp")
    monkeypatch.setitem(sys.modules, exporter, None)
    assert otel.rolecall_observers(settings(**{ENDPOINT: NOWHERE})) == []
    assert caplog.messages == [
        f"{ENDPOINT} asks for OpenTelemetry, which is not installed: pip install 'rolecall[otel]', "
        "or set OTEL_SDK_DISABLED=true"
    ]


def test_what_the_sdk_reads_by_itself_and_cannot_stops_no_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    assert otel.rolecall_observers(settings(**{ENDPOINT: NOWHERE})) == []
    assert caplog.messages == ["OpenTelemetry cannot be set up: ValueError"]


TOKEN = "a-token-of-the-receiver"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        (f"Bearer {TOKEN}", {}),
        (f"authorization: Bearer {TOKEN}", {}),
        (f"a=1,{TOKEN}", {"a": "1"}),
        (f"a=1,authorization=Bearer%20{TOKEN}%0a", {"a": "1", "authorization": f"Bearer {TOKEN}"}),
        (f"a=1,authorization=x%0a{TOKEN}", {"a": "1"}),
        (f"authorization=\N{SNOWMAN}{TOKEN}", {}),
        (f"a b={TOKEN},c=2", {"c": "2"}),
        (f"={TOKEN}", {}),
    ],
)
def test_headers_that_are_malformed_are_never_shown(
    headers: str,
    kept: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    variable = "OTEL_EXPORTER_OTLP_HEADERS"
    monkeypatch.setenv(variable, headers)
    with caplog.at_level(logging.DEBUG):
        made = otel.rolecall_observers(settings(**{ENDPOINT: NOWHERE, variable: headers}))
    assert len(made) == 3
    assert TOKEN not in caplog.text
    assert Telemetry.read(settings(**{ENDPOINT: NOWHERE, variable: headers})).traces == Signal(
        ENDPOINT, f"{NOWHERE}/v1/traces", kept
    )
    if len(kept) < headers.count(",") + 1:
        (message,) = caplog.messages
        assert message.startswith(f"{variable}: item ")
        assert message.endswith("is not NAME=VALUE, and is left out")


@pytest.mark.parametrize("attributes", [f"key:{TOKEN}", f"a=1,{TOKEN}"])
def test_attributes_that_are_malformed_are_never_shown(
    attributes: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    variable = "OTEL_RESOURCE_ATTRIBUTES"
    monkeypatch.setenv(variable, attributes)
    with caplog.at_level(logging.DEBUG):
        otel.rolecall_observers(settings(**{ENDPOINT: NOWHERE, variable: attributes}))
    assert TOKEN not in caplog.text
    assert all(message.startswith(f"{variable}: item ") for message in caplog.messages)


def test_a_malformed_variable_in_a_real_run_is_one_line_without_its_token(tmp_path: Path) -> None:
    environment = {**os.environ, ENDPOINT: NOWHERE, "OTEL_EXPORTER_OTLP_HEADERS": f"Bearer {TOKEN}"}
    code = "import sys; from rolecall.cli.main import main; sys.exit(main())"
    only = ("--only", "operator-intent-interpreter", "-p", "no:report")
    ended = subprocess.run(
        [sys.executable, "-c", code, "run", "x", "--offline", *only],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr
    assert ended.stderr.count("OTEL_EXPORTER_OTLP_HEADERS") == 1
    assert not any(TOKEN in path.read_text("utf-8") for path in tmp_path.rglob("*.*"))


def test_while_a_cassette_listens_nothing_is_sent_past_it() -> None:
    token = active_cassette.set(object())  # type: ignore[arg-type]
    try:
        assert otel.rolecall_observers(settings(**{ENDPOINT: NOWHERE})) == []
    finally:
        active_cassette.reset(token)


def test_a_program_that_has_set_it_up_is_told_on_its_own_terms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    memory = Memory()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", memory.provider)
    theirs_to_know = {ENDPOINT: NOWHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    observers = otel.rolecall_observers(settings(**theirs_to_know))
    assert not any(isinstance(each, ShutdownAfterRun) for each in observers)
    with memory.provider.get_tracer("theirs").start_as_current_span("theirs") as theirs:
        run(tmp_path, [agent("a")], FakeProvider("one"), keepers=list(observers))
    assert memory.one("rolecall.run").parent == theirs.get_span_context()
    assert len(memory.spans) == 4


# A receiver.


def test_a_receiver_hears_of_the_run_and_vendors_which_call_is_theirs(tmp_path: Path) -> None:
    host = Host([])
    host.register("claude", claude)
    host.register("otel", otel)
    team = [agent("a", routes=["claude"]), agent("b", routes=["claude"])]
    host.register("team", plugin(agents=team))
    with receiving() as received:
        environment = {
            "ANTHROPIC_API_KEY": "planted",
            "ANTHROPIC_API_BASE": received.url,
            ENDPOINT: received.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=a%20b",
            "OTEL_SERVICE_NAME": "team",
        }
        session = Session(host, Settings(stream=False, environment=environment), RunOptions())
        with RunFolder.create(tmp_path, "Build it.", {}) as folder:
            outcome = asyncio.run(session.run(folder))
    assert outcome.done == ("a", "b")
    call = received.attributes("a")
    assert call["gen_ai.provider.name"] == "anthropic"
    assert call["gen_ai.response.finish_reasons"] == ["stop"]
    assert call["gen_ai.usage.input_tokens"] == 42
    assert call["gen_ai.usage.cache_read.input_tokens"] == 30
    assert received.resource["service.name"] == "team"
    assert {headers["x-team"] for headers, _ in received.at("/v1/traces")} == {"a b"}
    assert received.metrics == ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"]
    parents = {
        name: [span.trace_id.hex(), span.span_id.hex()] for name, span in received.calls.items()
    }
    carried = {
        name: headers["traceparent"].split("-")[1:3]
        for headers, body in received.at("/v1/messages")
        for name in ("a", "b")
        if f"You are the {name}." in body.decode()
    }
    assert carried == parents
    assert parents["a"] != parents["b"]
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def test_a_receiver_that_takes_nothing_is_said_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving(refusing=["/v1/traces"]) as received:
        asked = settings(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{received.url}/v1/traces")
        observers = list(otel.rolecall_observers(asked))
        ran = run(tmp_path, [agent("a")], FakeProvider("one"), keepers=observers)
        asyncio.run(EventBus([], observers).aclose())
    assert ran.outcome.done == ("a",)
    assert [record.getMessage() for record in caplog.records] == [
        "spans do not arrive where OTEL_EXPORTER_OTLP_TRACES_ENDPOINT sends them; "
        "ROLECALL_DEBUG=1 says why"
    ]


def test_a_receiver_that_is_not_there_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    sender = SpanSender(Signal(ENDPOINT, f"{NOWHERE}/v1/traces", ""))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(sender))
    closing = ShutdownAfterRun(provider, patience=0.1)
    provider.get_tracer("test").start_span("span").end()
    began = time.monotonic()
    asyncio.run(closing.aclose())
    assert time.monotonic() - began < 1.0
    sender.shutdown()  # so that it tries no more
    for thread in threading.enumerate():
        if thread.name.startswith("Otel"):
            thread.join(5.0)
    assert "Traceback" not in caplog.text
    assert sum("spans do not arrive" in said for said in caplog.messages) == 1


class Closable:
    def __init__(self) -> None:
        self.closed = 0
        self.let_go = threading.Event()

    def shutdown(self) -> None:
        self.closed += 1
        if not self.let_go.wait(5.0):
            raise TimeoutError


def test_providers_are_shut_down_once() -> None:
    provider = Closable()
    provider.let_go.set()
    closing = ShutdownAfterRun(provider)
    asyncio.run(closing.aclose())
    asyncio.run(closing.aclose())
    del closing
    assert provider.closed == 1


def test_providers_of_observers_that_are_gone_are_shut_down() -> None:
    provider = Closable()
    provider.let_go.set()
    ShutdownAfterRun(provider)
    assert provider.closed == 1


def test_providers_are_shut_down_where_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    provider = Closable()
    provider.let_go.set()
    ShutdownAfterRun(provider)
    assert provider.closed == 1


def test_a_provider_that_does_not_come_to_an_end_is_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = Closable()
    ShutdownAfterRun(provider, patience=0.01)
    provider.let_go.set()
    assert caplog.messages == [
        "OpenTelemetry's receiver took too long; the end of this run is not reported"
    ]
