"""Traces and measures a run with OpenTelemetry, where that is asked for: `rolecall[otel]`.

It is asked for by the exporter's own variables, or by a program that has set a tracer provider.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import Observer, Settings, SettingsError, hookimpl

if TYPE_CHECKING:
    from ._telemetry import Telemetry

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
TIMEOUT = 3.0  # seconds that a receiver may take


@hookimpl
def rolecall_observers(settings: Settings) -> Iterable[Observer]:
    if settings.variable("OTEL_SDK_DISABLED").lower() == "true":
        return []
    if settings.variable(ENDPOINT):
        return [_exporting(settings)]
    return [_joining(settings)] if _is_traced() else []


def _is_traced() -> bool:
    """Tell whether the program that runs us has set a tracer provider."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return False
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import get_tracer_provider

    return isinstance(get_tracer_provider(), TracerProvider)


def _joining(settings: Settings) -> "Telemetry":
    """Add to what the program exports."""
    from opentelemetry.metrics import get_meter_provider
    from opentelemetry.trace import get_tracer_provider

    from ._telemetry import Telemetry

    return Telemetry(get_tracer_provider(), get_meter_provider(), content=_content(settings))


def _exporting(settings: Settings) -> "Telemetry":
    """Export over OTLP/HTTP; the SDK would not see what stands in .env, so it is told."""
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.util.re import parse_env_headers
    except ImportError as error:
        raise SettingsError(
            f"{ENDPOINT} is set, and OpenTelemetry is not installed; "
            "pip install 'rolecall[otel]', or skip it with -p no:otel"
        ) from error

    from ._telemetry import Telemetry

    base = settings.variable(ENDPOINT).rstrip("/")
    headers = parse_env_headers(settings.variable("OTEL_EXPORTER_OTLP_HEADERS"), liberal=True)
    name = settings.variable("OTEL_SERVICE_NAME") or "rolecall"
    resource = Resource.create({"service.name": name})
    spans = OTLPSpanExporter(f"{base}/v1/traces", headers=headers, timeout=TIMEOUT)
    metrics = OTLPMetricExporter(f"{base}/v1/metrics", headers=headers, timeout=TIMEOUT)
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    meters = MeterProvider([PeriodicExportingMetricReader(metrics)], resource=resource)
    return Telemetry(tracers, meters, (tracers.shutdown, meters.shutdown), _content(settings))


def _content(settings: Settings) -> bool:
    return settings.variable(CONTENT).lower() == "true"
