"""Represent a run as spans, in the words of OpenTelemetry's conventions for generative AI.

A call's span is current in its task, so that what is sent meanwhile refers to it.
Source: https://github.com/open-telemetry/semantic-conventions-genai, gen-ai-spans.md.
"""

import asyncio
import json
import time
from contextvars import Token
from pathlib import Path
from typing import Any

from attrs import fields
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import Attributes, AttributeValue

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    CallEnded,
    CallHeld,
    CallStarted,
    CheckStarted,
    ConsentDecided,
    DeliverableKept,
    DeploymentClosed,
    Event,
    FellBack,
    Hedged,
    RepairStarted,
    Rerouted,
    Retrying,
    RouteClosed,
    RouteOpened,
    RouteProbed,
    RunEnded,
    RunStarted,
    StepReused,
    Stop,
    Text,
    ToolCall,
    ToolEnded,
    ToolStarted,
    Usage,
    WorkspaceVerified,
)

from ..providers.trace_headers import trace_headers
from .metrics import identity

OTHER = "_OTHER"  # the conventions' word for an error without a name
STOPS = {
    Stop.END: "stop",
    Stop.LENGTH: "length",
    Stop.SAFETY: "content_filter",
    Stop.REFUSAL: "refusal",
    Stop.BAD_TOOL_CALL: "tool_call",
    Stop.TOOL_USE: "tool_call",
}
TOOL_ERROR = "tool_error"
NAME = 64  # characters of the name of a tool that does not exist: a model made it up
# Moments within a span: its agent's, or else the run's.
MOMENTS = {
    CallHeld: "rolecall.held",
    Retrying: "rolecall.retrying",
    FellBack: "rolecall.fell_back",
    Rerouted: "rolecall.rerouted",
    Hedged: "rolecall.hedged",
    RouteOpened: "rolecall.route_opened",
    RouteProbed: "rolecall.route_probed",
    RouteClosed: "rolecall.route_closed",
    DeploymentClosed: "rolecall.deployment_closed",
    StepReused: "rolecall.step_reused",
    DeliverableKept: "rolecall.deliverable_kept",
    AgentBlocked: "rolecall.agent_blocked",
    ConsentDecided: "rolecall.consent_decided",
    RepairStarted: "rolecall.repair_started",
}


class RunSpans:
    """A span for the run, one within it for each agent, and one within that for each call.

    So have tool calls, and verifications, which hold one for each check.
    content: whether spans hold what the models wrote, and what tools were told and said.
    """

    def __init__(self, tracer: Tracer, content: bool = False) -> None:
        self._tracer = tracer
        self._content = content
        self._run: Span | None = None
        self._agents: dict[str, Span] = {}
        self._calls: dict[int, tuple[Span, Token[Context]]] = {}
        self._tools: dict[tuple[str, str], tuple[Span, Token[Context]]] = {}
        self._checks: dict[str, list[int]] = {}  # when each began, by agent

    def notify(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._run = self._tracer.start_span("rolecall.run", attributes=_run(event))
            case AgentStarted():
                self._agents[event.agent] = self._tracer.start_span(
                    f"invoke_agent {event.agent}", _within(self._run), attributes=_agent(event)
                )
            case CallStarted():
                self._start(event)
            case CallEnded():
                self._end(event)
            case ToolStarted():
                self._start_tool(event)
            case ToolEnded():
                self._end_tool(event)
            case CheckStarted():
                self._checks.setdefault(event.agent, []).append(time.time_ns())
            case WorkspaceVerified():
                self._verified(event)
            case AgentDone():
                if span := self._agents.pop(event.agent, None):
                    span.set_attributes({"rolecall.route": event.route, "rolecall.cut": event.cut})
                    span.end()
            case AgentFailed():
                if span := self._agents.pop(event.agent, None):
                    _fail(span, OTHER, event.error)
            case RunEnded():
                self._close(event)
            case _ if type(event) in MOMENTS:
                span = self._agents.get(getattr(event, "agent", ""), self._run)
                if span is not None:
                    span.add_event(MOMENTS[type(event)], _moment(event))

    def _start(self, event: CallStarted) -> None:
        span = self._tracer.start_span(
            f"chat {event.model}",
            _within(self._agents.get(event.agent, self._run)),
            SpanKind.CLIENT,
            _request(event),
        )
        self._calls[event.call] = span, attach(set_span_in_context(span))
        trace_headers.set(inject)
        task = asyncio.current_task()
        assert task is not None
        # A call that is cancelled has no end of its own.
        task.add_done_callback(lambda _: self._abandon(event.call))

    def _end(self, event: CallEnded) -> None:
        span, token = self._calls.pop(event.call)
        span.set_attributes(_reply(event))
        if self._content and (event.text or event.parts):
            span.set_attribute("gen_ai.output.messages", _messages(event))
        if event.cause is None:
            span.end()
        else:
            _fail(span, event.cause, event.detail)
        detach(token)

    def _start_tool(self, event: ToolStarted) -> None:
        span = self._tracer.start_span(
            f"execute_tool {event.tool}",
            _within(self._agents.get(event.agent, self._run)),
            attributes=_tool(event),
        )
        if self._content:
            arguments = json.dumps(dict(event.arguments), ensure_ascii=False)
            span.set_attribute("gen_ai.tool.call.arguments", arguments)
        key = event.step, event.call
        self._tools[key] = span, attach(set_span_in_context(span))
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: self._abandon_tool(key))

    def _end_tool(self, event: ToolEnded) -> None:
        started = self._tools.pop((event.step, event.call), None)
        if started is None:  # it was not made
            if span := self._agents.get(event.agent, self._run):
                span.add_event("rolecall.tool_refused", {"rolecall.tool": event.tool[:NAME]})
            return
        span, token = started
        if event.tree:
            span.set_attribute("rolecall.tree", event.tree)
        if self._content:
            span.set_attribute("gen_ai.tool.call.result", event.text)
        if event.is_error:
            _fail(span, TOOL_ERROR, event.text if self._content else "")
        else:
            span.end()
        detach(token)

    def _abandon_tool(self, key: tuple[str, str]) -> None:
        if key in self._tools:
            span, _ = self._tools.pop(key)
            _fail(span, OTHER, "given up before its end")

    def _verified(self, event: WorkspaceVerified) -> None:
        """Report a verification that is over: only now is known what each check came to."""
        now = time.time_ns()
        began = self._checks.pop(event.agent, [])[-len(event.checks) :]
        whole = self._tracer.start_span(
            "rolecall.verify",
            _within(self._agents.get(event.agent, self._run)),
            attributes={
                "rolecall.tree": event.tree,
                "rolecall.sandbox": event.sandbox,
                "rolecall.passed": event.has_passed,
                "rolecall.replayed": event.replayed,
            },
            start_time=began[0] if began else now,
        )
        for start, check in zip(began, event.checks, strict=False):
            command = {"rolecall.command": check.command} if self._content else {}
            span = self._tracer.start_span(
                "rolecall.check",
                _within(whole),
                attributes={"rolecall.exit_status": check.code, **command},
                start_time=start,
            )
            if not check.has_passed:
                span.set_attribute("error.type", check.stopped or "check_failed")
                span.set_status(StatusCode.ERROR)
            span.end(start + round(check.seconds * 1e9))
        if not event.has_passed:
            whole.set_attribute("error.type", "check_failed")
            whole.set_status(StatusCode.ERROR)
        whole.end(now)

    def _abandon(self, call: int) -> None:
        if call in self._calls:
            span, _ = self._calls.pop(call)
            _fail(span, OTHER, "given up before its end")

    def _close(self, event: RunEnded) -> None:
        for call in list(self._calls):
            self._abandon(call)
        for key in list(self._tools):
            self._abandon_tool(key)
        for span in self._agents.values():
            _fail(span, OTHER, "given up before its end")
        self._agents.clear()
        if self._run is not None:
            self._run.set_attributes(_moment(event))
            if event.failed:
                _fail(self._run, OTHER, f"{event.failed} agents failed")
            else:
                self._run.end()


def _within(span: Span | None) -> Context | None:
    return None if span is None else set_span_in_context(span)


def _fail(span: Span, kind: str, why: str) -> None:
    span.set_attribute("error.type", str(kind))
    span.set_status(StatusCode.ERROR, why)
    span.end()


def _run(event: RunStarted) -> Attributes:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "rolecall",
        "rolecall.run": Path(event.folder).name,
        "rolecall.agents": len(event.agents),
    }


def _agent(event: AgentStarted) -> Attributes:
    return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": event.agent}


def _request(event: CallStarted) -> Attributes:
    return {
        **identity(event),
        "gen_ai.agent.name": event.agent,
        "gen_ai.request.max_tokens": event.max_output_tokens,
        "rolecall.call": event.call,
        "rolecall.waited": event.waited,
    }


def _reply(event: CallEnded) -> dict[str, AttributeValue]:
    usage = event.usage
    attributes = {
        "gen_ai.response.id": event.request_id,
        "gen_ai.response.time_to_first_chunk": event.first_text,
        "gen_ai.usage.input_tokens": usage.input or None,
        "gen_ai.usage.output_tokens": usage.output or None,
        "gen_ai.usage.reasoning.output_tokens": usage.thinking or None,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read or None,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write or None,
        "rolecall.cost_usd": event.cost,
    }
    has_reply = event.cause is None or usage != Usage()
    reasons = {"gen_ai.response.finish_reasons": (STOPS[event.stop],)} if has_reply else {}
    return {**reasons, **{name: value for name, value in attributes.items() if value is not None}}


def _tool(event: ToolStarted) -> Attributes:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": event.tool,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": event.call,
        "gen_ai.agent.name": event.agent,
    }


def _messages(event: CallEnded) -> str:
    parts = [_part(part) for part in event.parts if isinstance(part, Text | ToolCall)]
    if not any(isinstance(part, Text) for part in event.parts) and event.text:
        parts.insert(0, {"type": "text", "content": event.text})
    message = {"role": "assistant", "parts": parts, "finish_reason": STOPS[event.stop]}
    return json.dumps([message], ensure_ascii=False)


def _part(part: Text | ToolCall) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "content": part.text}
    arguments: Any = part.malformed or dict(part.arguments)
    return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": arguments}


def _moment(event: Event) -> dict[str, AttributeValue]:
    """Return the event's own fields that are not empty."""
    values = {field.name: getattr(event, field.name) for field in fields(type(event))}
    return {
        f"rolecall.{name}": str(value) if isinstance(value, str) else value
        for name, value in values.items()
        if name != "at" and value not in ("", None)
    }
