"""Represent a run as spans, in the words of OpenTelemetry's conventions for generative AI.

A call's span is current in its task, so that what is sent meanwhile refers to it.
Source: https://github.com/open-telemetry/semantic-conventions-genai, gen-ai-spans.md.
"""

import asyncio
import json
from contextvars import Token
from pathlib import Path

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
    DeliverableKept,
    DeploymentClosed,
    Event,
    FellBack,
    Hedged,
    Rerouted,
    Retrying,
    RouteClosed,
    RouteOpened,
    RouteProbed,
    RunEnded,
    RunStarted,
    StepReused,
    Stop,
    Usage,
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
}
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
}


class RunSpans:
    """A span for the run, one within it for each agent, and one within that for each call.

    content: whether spans hold what the models wrote.
    """

    def __init__(self, tracer: Tracer, content: bool = False) -> None:
        self._tracer = tracer
        self._content = content
        self._run: Span | None = None
        self._agents: dict[str, Span] = {}
        self._calls: dict[int, tuple[Span, Token[Context]]] = {}

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
        if self._content and event.text:
            span.set_attribute("gen_ai.output.messages", _messages(event))
        if event.cause is None:
            span.end()
        else:
            _fail(span, event.cause, event.detail)
        detach(token)

    def _abandon(self, call: int) -> None:
        if call in self._calls:
            span, _ = self._calls.pop(call)
            _fail(span, OTHER, "given up before its end")

    def _close(self, event: RunEnded) -> None:
        for call in list(self._calls):
            self._abandon(call)
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


def _messages(event: CallEnded) -> str:
    text = {"type": "text", "content": event.text}
    message = {"role": "assistant", "parts": [text], "finish_reason": STOPS[event.stop]}
    return json.dumps([message], ensure_ascii=False)


def _moment(event: Event) -> dict[str, AttributeValue]:
    """Return the event's own fields that are not empty."""
    values = {field.name: getattr(event, field.name) for field in fields(type(event))}
    return {
        f"rolecall.{name}": str(value) if isinstance(value, str) else value
        for name, value in values.items()
        if name != "at" and value not in ("", None)
    }
