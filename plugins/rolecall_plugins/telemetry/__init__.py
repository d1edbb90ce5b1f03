"""Tells OpenTelemetry of runs and calls, where the environment or the program around asks for it.

OpenTelemetry is imported only then; `pip install 'rolecall[otel]'` installs it.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from rolecall import Observer, Settings


@hookimpl
def rolecall_observers(settings: "Settings") -> "Iterable[Observer]":
    from rolecall import SettingsError

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
    # A cassette hears all clients of the process, those of an exporter too.
    if not telemetry.asked or active_cassette.get() is not None:
        return []
    try:
        from .otlp import Closing, hush, own_meters, own_tracers
    except ImportError as error:
        raise SettingsError(
            f"{telemetry.asked} asks for OpenTelemetry, which is not installed ({error}): "
            "pip install 'rolecall[otel]', or set OTEL_SDK_DISABLED=true"
        ) from error
    if not settings.debug:
        hush()
    own = own_tracers(telemetry), own_meters(telemetry)
    return [*_observers(*own, content), Closing(*own)]


def _is_set_up() -> bool:
    """Tell whether the program around has OpenTelemetry's traces set up for itself."""
    if "opentelemetry.trace" not in sys.modules:
        return False
    from opentelemetry import trace

    unset = trace.ProxyTracerProvider | trace.NoOpTracerProvider
    return not isinstance(trace.get_tracer_provider(), unset)


def _observers(
    tracers: "TracerProvider", meters: "MeterProvider", content: bool
) -> "list[Observer]":
    from .metrics import Measures
    from .spans import Spans

    # What is measured refers to the call's span, so it is measured before that ends.
    return [Measures(meters.get_meter("rolecall")), Spans(tracers.get_tracer("rolecall"), content)]
