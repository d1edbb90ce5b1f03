"""Read OpenTelemetry's variables from the environment and `.env`, which its SDK does not read."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote

from attrs import frozen

from rolecall import Settings, SettingsError, __version__

Kind = Literal["TRACES", "METRICS"]
VARIABLES = (
    "OTEL_SDK_DISABLED",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
)
ON_SPANS = ("true", "span_only", "span_and_event")


def is_disabled(settings: Settings) -> bool:
    """Check whether OpenTelemetry is switched off altogether."""
    return settings.variable("OTEL_SDK_DISABLED").lower() == "true"


def wants_content(settings: Settings) -> bool:
    """Check whether spans are to hold what the models wrote."""
    wanted = settings.variable("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
    return wanted.lower() in ON_SPANS


@frozen
class Signal:
    """Where traces or metrics are sent.

    requested_by: the variable that asks for it. endpoint: empty is the SDK's own default.
    headers: as the variable has them.
    """

    requested_by: str
    endpoint: str
    headers: str

    @classmethod
    def read(cls, settings: Settings, kind: Kind) -> "Signal | None":
        """Read one signal; None where it is not asked for. Raises SettingsError."""
        chosen = settings.variable(f"OTEL_{kind}_EXPORTER")
        if chosen not in ("", "otlp", "none"):
            raise SettingsError(f"OTEL_{kind}_EXPORTER: must be otlp or none, not {chosen!r}")
        own, shared = f"OTEL_EXPORTER_OTLP_{kind}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
        endpoint, base = settings.variable(own), settings.variable(shared)
        if chosen == "none" or not (chosen or endpoint or base):
            return None
        protocol = settings.variable("OTEL_EXPORTER_OTLP_PROTOCOL")
        if protocol not in ("", "http/protobuf"):
            raise SettingsError(
                f"OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf, not {protocol!r}"
            )
        if base and not endpoint:
            endpoint = f"{base.rstrip('/')}/v1/{kind.lower()}"
        headers = settings.variable(
            f"OTEL_EXPORTER_OTLP_{kind}_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"
        )
        candidates = (f"OTEL_{kind}_EXPORTER", own, shared)
        return cls(next(filter(settings.variable, candidates)), endpoint, headers)


@frozen
class Telemetry:
    """What is sent where, if the program around has set up nothing.

    traces, metrics: None where they are not asked for.
    resource: attributes of this process.
    """

    traces: Signal | None
    metrics: Signal | None
    resource: Mapping[str, str]

    @property
    def requested_by(self) -> str:
        """Return the variable that asks for telemetry; empty where none does."""
        return next((signal.requested_by for signal in (self.traces, self.metrics) if signal), "")

    @classmethod
    def read(cls, settings: Settings) -> "Telemetry":
        """Read what applies; raise SettingsError where a value is none of those supported."""
        resource = {
            "service.name": "rolecall",
            "service.version": __version__,
            **_pairs(settings.variable("OTEL_RESOURCE_ATTRIBUTES")),
        }
        if name := settings.variable("OTEL_SERVICE_NAME"):
            resource["service.name"] = name
        return cls(Signal.read(settings, "TRACES"), Signal.read(settings, "METRICS"), resource)


def _pairs(text: str) -> dict[str, str]:
    """Parse `name=value,name=value`, percent-encoded."""
    pairs = (item.partition("=") for item in text.split(","))
    return {
        unquote(name.strip()): unquote(value.strip()) for name, is_pair, value in pairs if is_pair
    }
