"""Read OpenTelemetry's variables from the environment and `.env`, which its SDK does not read."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import unquote

from attrs import field, frozen

from rolecall import Settings, __version__

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
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
)
# Pairs of a header's name and value, and of a resource's.
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+=[\t\x20-\x7e\x80-\xff]*")
_ATTRIBUTE = re.compile(r"[^=\s]+=[^\r\n]*")
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
    """

    requested_by: str
    endpoint: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)


@frozen
class Telemetry:
    """What is sent where, if the program around has set up nothing.

    traces, metrics: None where they are not asked for, or not as they can be sent.
    resource: attributes of this process.
    warnings: what of the variables is not followed, and why; never their values, which may be
        tokens.
    """

    traces: Signal | None
    metrics: Signal | None
    resource: Mapping[str, str]
    warnings: Sequence[str] = ()

    @property
    def requested_by(self) -> str:
        """Return the variable that asks for telemetry; empty where none does."""
        return next((signal.requested_by for signal in (self.traces, self.metrics) if signal), "")

    @classmethod
    def read(cls, settings: Settings) -> "Telemetry":
        """Read what applies, and warn of the rest: in a cluster, others set these variables."""
        warnings: list[str] = []
        traces = _signal(settings, "TRACES", warnings)
        metrics = _signal(settings, "METRICS", warnings)
        ignored: list[str] = []
        attributes = _pairs(settings, "OTEL_RESOURCE_ATTRIBUTES", _ATTRIBUTE, ignored)
        if traces or metrics:
            warnings += ignored
        resource = {"service.name": "rolecall", "service.version": __version__, **attributes}
        if name := settings.variable("OTEL_SERVICE_NAME"):
            resource["service.name"] = name
        # What both signals share is warned of once.
        return cls(traces, metrics, resource, tuple(dict.fromkeys(warnings)))


def _signal(settings: Settings, kind: Kind, warnings: list[str]) -> Signal | None:
    """Read one signal; None where it is not asked for, or cannot be sent as it is asked for."""
    exporter = f"OTEL_{kind}_EXPORTER"
    chosen = [word for name in settings.variable(exporter).split(",") if (word := name.strip())]
    own, shared = f"OTEL_EXPORTER_OTLP_{kind}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    endpoint, base = settings.variable(own), settings.variable(shared)
    if chosen == ["none"] or not (chosen or endpoint or base):
        return None
    if chosen and "otlp" not in chosen:
        warnings.append(f"{exporter} asks for an exporter other than otlp, so nothing is sent")
        return None
    for protocol in (f"OTEL_EXPORTER_OTLP_{kind}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        value = settings.variable(protocol)
        if value and value != "http/protobuf":
            warnings.append(
                f"{protocol} asks for another protocol than http/protobuf, so nothing is sent"
            )
            return None
        if value:
            break
    if base and not endpoint:
        endpoint = f"{base.rstrip('/')}/v1/{kind.lower()}"
    names = (f"OTEL_EXPORTER_OTLP_{kind}_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    headers = next((name for name in names if settings.variable(name)), names[1])
    candidates = (exporter, own, shared)
    return Signal(
        next(filter(settings.variable, candidates)),
        endpoint,
        _pairs(settings, headers, _HEADER, warnings),
    )


def _pairs(
    settings: Settings, variable: str, form: re.Pattern[str], warnings: list[str]
) -> dict[str, str]:
    """Parse `name=value,name=value`, percent-encoded; leave out what is no such pair."""
    pairs: dict[str, str] = {}
    items = settings.variable(variable).split(",")
    for number, item in enumerate(items, start=1):
        name, is_pair, value = (unquote(part).strip() for part in item.partition("="))
        if is_pair and form.fullmatch(f"{name}={value}"):
            pairs[name] = value
        elif item.strip():
            warnings.append(
                f"{variable}: item {number} of {len(items)} is not NAME=VALUE, and is left out"
            )
    return pairs
