"""Providers of our own that send to an OTLP receiver; none of them is made the process's own."""

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.util.re import parse_env_headers

from rolecall import Event

from .exporters import Signal, Telemetry

_log = logging.getLogger("rolecall")
PATIENCE = 3.0  # seconds
Result = TypeVar("Result", SpanExportResult, MetricExportResult)


def own_tracers(telemetry: Telemetry) -> TracerProvider:
    """Make what spans are told to."""
    provider = TracerProvider(resource=_resource(telemetry), shutdown_on_exit=False)
    if telemetry.traces is not None:
        provider.add_span_processor(BatchSpanProcessor(SpanSender(telemetry.traces)))
    return provider


def own_meters(telemetry: Telemetry) -> MeterProvider:
    """Make what measures are told to."""
    readers = []
    if telemetry.metrics is not None:
        readers.append(PeriodicExportingMetricReader(MetricSender(telemetry.metrics)))
    return MeterProvider(readers, resource=_resource(telemetry), shutdown_on_exit=False)


def hush() -> None:
    """Let the exporters tell of each attempt only where the program around chose their level."""
    logger = logging.getLogger("opentelemetry.exporter.otlp")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


class Closable(Protocol):
    """What is to be shut down, which sends what it still holds."""

    def shutdown(self) -> None: ...


class Closing:
    """Shuts providers down once the run is over, else when its observers or the program are gone.

    patience: seconds that a receiver has to take what is left.
    """

    def __init__(self, *providers: Closable, patience: float = PATIENCE) -> None:
        self._close = weakref.finalize(self, _close, providers, patience)

    def notify(self, event: Event) -> None:
        pass

    async def aclose(self) -> None:
        await asyncio.to_thread(self._close)


class SpanSender(OTLPSpanExporter):
    """Sends spans to where a signal goes."""

    def __init__(self, to: Signal) -> None:
        super().__init__(to.endpoint or None, headers=parse_env_headers(to.headers, liberal=True))
        self._failures = Failures("spans", to)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._failures.told(partial(super().export, spans), SpanExportResult.FAILURE)


class MetricSender(OTLPMetricExporter):
    """Sends metrics to where a signal goes."""

    def __init__(self, to: Signal) -> None:
        super().__init__(to.endpoint or None, headers=parse_env_headers(to.headers, liberal=True))
        self._failures = Failures("metrics", to)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = None, **more: Any
    ) -> MetricExportResult:
        send = partial(super().export, metrics_data, timeout_millis, **more)
        return self._failures.told(send, MetricExportResult.FAILURE)


class Failures:
    """What a receiver does not take; it is told once, and no run stops for it."""

    def __init__(self, what: str, to: Signal) -> None:
        self._what = what
        self._because = to.because
        self._is_told = False

    def told(self, send: Callable[[], Result], failure: Result) -> Result:
        """Send something; tell of it where it fails."""
        try:
            result = send()
        except Exception:
            result = failure
        if result is failure and not self._is_told:
            self._is_told = True
            _log.warning(
                "%s do not arrive where %s sends them; ROLECALL_DEBUG=1 says why",
                self._what,
                self._because,
            )
        return result


def _resource(telemetry: Telemetry) -> Resource:
    return Resource.create(dict(telemetry.resource))


def _close(providers: Sequence[Closable], patience: float) -> None:
    threads = [threading.Thread(target=_shut, args=(each,), daemon=True) for each in providers]
    for thread in threads:
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going, and starts none any more
            thread.run()
    deadline = time.monotonic() + patience
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        _log.warning("OpenTelemetry's receiver took too long; the end of this run is not told")


def _shut(provider: Closable) -> None:
    with suppress(Exception):
        provider.shutdown()
