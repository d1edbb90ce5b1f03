"""Turns a run's events into spans and measurements.

Names and values are those of OpenTelemetry's semantic conventions for generative AI:
https://opentelemetry.io/docs/specs/semconv/gen-ai/; what they have no name for begins with
`rolecall.`.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from typing import Any

from attrs import frozen
from opentelemetry import context, propagate
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics as names
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    set_span_in_context,
)

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    CallEnded,
    CallStarted,
    Event,
    FellBack,
    Retrying,
    RouteClosed,
    RouteOpened,
    RunEnded,
    RunStarted,
    Stop,
)

from ._trace import carried

PROVIDERS = {
    "claude": gen_ai.GenAiProviderNameValues.ANTHROPIC.value,
    "gemini": gen_ai.GenAiProviderNameValues.GCP_GEMINI.value,
}
REASONS = {Stop.END: "stop", Stop.LENGTH: "length", Stop.SAFETY: "content_filter"}
# Bounds that the conventions advise.
TOKENS = [4**power for power in range(14)]
SECONDS = [0.01 * 2**power for power in range(14)]
Attributes = dict[str, Any]


@frozen
class _Open:
    """A call under way, and what its task's context was before."""

    span: Span
    outer: Token[Context]
    headers: Token[Mapping[str, str]]


class Telemetry:
    """An observer with a span for the run, for each agent, and for each call.

    finish: awaited in threads, one after the other, once the run is over.
    content: let spans hold what the models wrote.
    """

    def __init__(
        self,
        tracers: TracerProvider,
        meters: MeterProvider,
        finish: Sequence[Callable[[], object]] = (),
        content: bool = False,
    ) -> None:
        self._tracer = tracers.get_tracer("rolecall")
        meter = meters.get_meter("rolecall")
        self._tokens = meter.create_histogram(
            names.GEN_AI_CLIENT_TOKEN_USAGE,
            unit="{token}",
            description="Number of input and output tokens used",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        self._seconds = meter.create_histogram(
            names.GEN_AI_CLIENT_OPERATION_DURATION,
            unit="s",
            description="GenAI operation duration",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._finish = finish
        self._content = content
        self._run: Span | None = None
        self._agents: dict[str, Span] = {}
        self._calls: dict[int, _Open] = {}

    def notify(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._run = self._begin(None, "invoke_workflow", "rolecall")
                self._run.set_attribute(gen_ai.GEN_AI_WORKFLOW_NAME, "rolecall")
            case AgentStarted(agent=agent):
                span = self._begin(self._run, "invoke_agent", agent)
                span.set_attribute(gen_ai.GEN_AI_AGENT_NAME, agent)
                self._agents[agent] = span
            case CallStarted():
                self._start(event)
            case CallEnded():
                self._end(event)
            case Retrying(agent=agent):
                told = {"route": event.route, "cause": event.cause, "seconds": event.delay}
                self._note(self._agents.get(agent), "retry", told)
            case FellBack(agent=agent):
                told = {"route": event.route, "to": event.to, "cause": event.cause}
                self._note(self._agents.get(agent), "fallback", told)
            case RouteOpened():
                told = {"route": event.route, "cause": event.cause, "seconds": event.seconds}
                self._note(self._run, "route_opened", told)
            case RouteClosed():
                self._note(self._run, "route_closed", {"route": event.route})
            case AgentBlocked():
                self._note(self._run, "agent_blocked", {"agent": event.agent, "by": event.by})
            case AgentDone(agent=agent):
                self._close(self._agents.pop(agent, None))
            case AgentFailed(agent=agent):
                self._close(self._agents.pop(agent, None), "agent_failed", event.error)
            case RunEnded():
                self._close_all(event)
            case _:
                pass

    async def aclose(self) -> None:
        for finish in self._finish:
            await asyncio.to_thread(finish)

    def _begin(
        self, parent: Span | None, operation: str, what: str, kind: SpanKind = SpanKind.INTERNAL
    ) -> Span:
        outer = None if parent is None else set_span_in_context(parent)
        attributes = {gen_ai.GEN_AI_OPERATION_NAME: operation}
        return self._tracer.start_span(f"{operation} {what}", outer, kind, attributes)

    def _start(self, event: CallStarted) -> None:
        """Begin a call's span; what its task sends from now on belongs to it."""
        parent = self._agents.get(event.agent, self._run)
        span = self._begin(parent, "chat", event.model, SpanKind.CLIENT)
        span.set_attributes(
            {
                **_identity(event),
                gen_ai.GEN_AI_AGENT_NAME: event.agent,
                gen_ai.GEN_AI_REQUEST_MAX_TOKENS: event.max_output_tokens,
                "rolecall.call": event.call,
            }
        )
        inner = set_span_in_context(span)
        headers: dict[str, str] = {}
        propagate.inject(headers, inner)
        self._calls[event.call] = _Open(span, context.attach(inner), carried.set(headers))

    def _end(self, event: CallEnded) -> None:
        call = self._calls.pop(event.call, None)
        if call is None:
            return
        carried.reset(call.headers)
        context.detach(call.outer)
        usage = event.usage
        values: Attributes = {
            gen_ai.GEN_AI_USAGE_INPUT_TOKENS: usage.input,
            gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: usage.output,
            gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cache_read,
            gen_ai.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: usage.cache_write,
            gen_ai.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: usage.thinking,
            "rolecall.waited": event.waited,
        }
        if event.request_id:
            values[gen_ai.GEN_AI_RESPONSE_ID] = event.request_id
        if event.first_text is not None:
            values[gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = event.first_text
        if event.cost is not None:
            values["rolecall.cost_usd"] = event.cost
        if event.text or event.cause is None:
            values[gen_ai.GEN_AI_RESPONSE_FINISH_REASONS] = [_reason(event)]
        if self._content:
            values[gen_ai.GEN_AI_OUTPUT_MESSAGES] = _messages(event)
        call.span.set_attributes(values)
        self._close(call.span, event.cause, event.detail)
        self._measure(event)

    def _measure(self, event: CallEnded) -> None:
        about = {**_identity(event), gen_ai.GEN_AI_OPERATION_NAME: "chat"}
        for kind, count in (("input", event.usage.input), ("output", event.usage.output)):
            if count:
                self._tokens.record(count, {**about, gen_ai.GEN_AI_TOKEN_TYPE: kind})
        error = {ERROR_TYPE: event.cause} if event.cause else {}
        self._seconds.record(event.took, {**about, **error})

    def _note(self, span: Span | None, name: str, told: Attributes) -> None:
        if span is not None:
            span.add_event(name, {f"rolecall.{key}": value for key, value in told.items()})

    def _close(self, span: Span | None, error: str | None = None, detail: str = "") -> None:
        if span is None:
            return
        if error is not None:
            span.set_attribute(ERROR_TYPE, error)
            span.set_status(Status(StatusCode.ERROR, detail))
        span.end()

    def _close_all(self, event: RunEnded) -> None:
        """End what is still open, as an interruption leaves it, and the run itself."""
        for call in self._calls.values():
            self._close(call.span, "cancelled")
        for span in self._agents.values():
            self._close(span, "cancelled")
        self._calls.clear()
        self._agents.clear()
        failed = "interrupted" if event.interrupted else "agents_failed" if event.failed else None
        self._close(self._run, failed)


def _identity(event: CallStarted | CallEnded) -> dict[str, str]:
    return {
        gen_ai.GEN_AI_PROVIDER_NAME: PROVIDERS.get(event.provider, event.provider),
        gen_ai.GEN_AI_REQUEST_MODEL: event.model,
    }


def _reason(event: CallEnded) -> str:
    return REASONS.get(event.stop, str(event.stop))


def _messages(event: CallEnded) -> str:
    """Give the answer in the form of the conventions."""
    parts = [{"type": "text", "content": event.text}]
    return json.dumps([{"role": "assistant", "parts": parts, "finish_reason": _reason(event)}])
