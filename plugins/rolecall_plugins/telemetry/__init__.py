"""Report runs and calls to OpenTelemetry, where the environment or the program asks for it.

OpenTelemetry is imported only then; `pip install 'rolecall[otel]'` installs it.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from logging import Logger

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from rolecall import Observer, Settings

    from .exporters import Telemetry


@hookimpl
def rolecall_observers(settings: "Settings") -> "Iterable[Observer]":
    from ..cassettes.current_call import active_cassette
    from .exporters import Telemetry, is_disabled, wants_content

    if is_disabled(settings):
        return []
    content = wants_content(settings)
    if _is_set_up():
        from opentelemetry import metrics, trace

        tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
        return _observers(tracers, meters, content)
    telemetry = Telemetry.read(settings)
    # A cassette records every client of the process, an exporter's too.
    if active_cassette.get() is not None:
        return []
    for warning in telemetry.warnings:
        _log().warning("%s", warning)
    return _own_observers(telemetry, settings, content) if telemetry.requested_by else []


def _own_observers(telemetry: "Telemetry", settings: "Settings", content: bool) -> "list[Observer]":
    """Set up providers of our own; where that fails, warn, for no run depends on it."""
    try:
        from .otlp import ShutdownAfterRun, own_meters, own_tracers, quieten_exporters
    except ImportError:
        _log().warning(
            "%s asks for OpenTelemetry, which is not installed: pip install 'rolecall[otel]', or "
            "set OTEL_SDK_DISABLED=true",
            telemetry.requested_by,
        )
        return []
    if not settings.debug:
        quieten_exporters()
    try:
        own = own_tracers(telemetry), own_meters(telemetry)
    except Exception as error:  # of a variable that the SDK reads by itself, a time-out say
        _log().warning("OpenTelemetry cannot be set up: %s", type(error).__name__)
        _log().debug("OpenTelemetry cannot be set up", exc_info=True)
        return []
    return [*_observers(*own, content), ShutdownAfterRun(*own)]


def _is_set_up() -> bool:
    """Check whether the program around has set up OpenTelemetry's traces for itself."""
    if "opentelemetry.trace" not in sys.modules:
        return False
    from opentelemetry import trace

    unset = trace.ProxyTracerProvider | trace.NoOpTracerProvider
    return not isinstance(trace.get_tracer_provider(), unset)


def _observers(
    tracers: "TracerProvider", meters: "MeterProvider", content: bool
) -> "list[Observer]":
    from .metrics import CallMetrics
    from .spans import RunSpans

    # Metrics refer to the call's span as an exemplar, so they are recorded before it ends.
    return [
        CallMetrics(meters.get_meter("rolecall")),
        RunSpans(tracers.get_tracer("rolecall"), content),
    ]


def _log() -> "Logger":
    from logging import getLogger  # here, for commands that only list load this module as well

    return getLogger("rolecall")
