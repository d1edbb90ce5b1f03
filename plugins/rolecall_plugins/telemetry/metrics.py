"""Measure calls as OpenTelemetry's conventions for generative AI have it.

Source: https://github.com/open-telemetry/semantic-conventions-genai, gen-ai-metrics.md.
"""

from opentelemetry.metrics import Meter

from rolecall import CallEnded, CallEvent, Event

VENDORS = {"claude": "anthropic", "gemini": "gcp.gemini"}
SECONDS = [0.01 * 2**power for power in range(14)]
TOKENS = [4**power for power in range(14)]


def identity(call: CallEvent) -> dict[str, str]:
    """Return the attributes that identify a call, for spans and metrics alike."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": VENDORS.get(call.provider, call.provider),
        "gen_ai.request.model": call.model,
    }


class CallMetrics:
    """Histograms of how long each call took and how many tokens it read and wrote."""

    def __init__(self, meter: Meter) -> None:
        self._durations = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )

    def notify(self, event: Event) -> None:
        if not isinstance(event, CallEnded):
            return
        call = identity(event)
        failed = {"error.type": str(event.cause)} if event.cause else {}
        self._durations.record(event.took, {**call, **failed})
        for kind, tokens in (("input", event.usage.input), ("output", event.usage.output)):
            if tokens:
                self._tokens.record(tokens, {**call, "gen_ai.token.type": kind})
