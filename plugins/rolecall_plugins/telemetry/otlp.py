"""OpenTelemetry providers that send to an OTLP receiver; none is made the process's global one."""

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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

from rolecall import Event

from .exporters import Signal, Telemetry

_log = logging.getLogger("rolecall")
PATIENCE = 3.0  # seconds
Result = TypeVar("Result", SpanExportResult, MetricExportResult)


def own_tracers(telemetry: Telemetry) -> TracerProvider:
    """Build a provider whose spans go to the receiver."""
    with _without_values_logged():
        provider = TracerProvider(resource=_resource(telemetry), shutdown_on_exit=False)
        if telemetry.traces is not None:
            provider.add_span_processor(BatchSpanProcessor(SpanSender(telemetry.traces)))
    return provider


def own_meters(telemetry: Telemetry) -> MeterProvider:
    """Build a provider whose metrics go to the receiver."""
    readers = []
    with _without_values_logged():
        if telemetry.metrics is not None:
            readers.append(PeriodicExportingMetricReader(MetricSender(telemetry.metrics)))
        return MeterProvider(readers, resource=_resource(telemetry), shutdown_on_exit=False)


@contextmanager
def _without_values_logged() -> Iterator[None]:
    """Keep the SDK from logging what it cannot parse of the variables: it may be a token.

    It reads them once more by itself, whatever it is given, and partly in threads of its own; we
    have warned of them already.
    """
    loggers = [logging.getLogger(f"opentelemetry.{name}") for name in ("util.re", "sdk.resources")]

    def drop(record: logging.LogRecord) -> bool:
        return False

    for logger in loggers:
        logger.addFilter(drop)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(drop)


def quieten_exporters() -> None:
    """Silence the exporters' log of every attempt, unless the program around chose its level."""
    logger = logging.getLogger("opentelemetry.exporter.otlp")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


class Closable(Protocol):
    """A provider of the SDK; shutting it down sends what it still holds."""

    def shutdown(self) -> None: ...


class ShutdownAfterRun:
    """An observer that shuts providers down once the run is over, or when it is collected.

    patience: seconds that a receiver has to take what is left.
    """

    def __init__(self, *providers: Closable, patience: float = PATIENCE) -> None:
        self._close = weakref.finalize(self, _close, providers, patience)

    def notify(self, event: Event) -> None:
        pass

    async def aclose(self) -> None:
        await asyncio.to_thread(self._close)


class SpanSender(OTLPSpanExporter):
    """Send spans where a signal goes."""

    def __init__(self, to: Signal) -> None:
        super().__init__(to.endpoint or None, headers=to.headers)
        self._failures = FailureReport("spans", to)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._failures.watch(partial(super().export, spans), SpanExportResult.FAILURE)


class MetricSender(OTLPMetricExporter):
    """Send metrics where a signal goes."""

    def __init__(self, to: Signal) -> None:
        super().__init__(to.endpoint or None, headers=to.headers)
        self._failures = FailureReport("metrics", to)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = None, **more: Any
    ) -> MetricExportResult:
        send = partial(super().export, metrics_data, timeout_millis, **more)
        return self._failures.watch(send, MetricExportResult.FAILURE)


class FailureReport:
    """Warn once of what a receiver does not take; no run stops for it."""

    def __init__(self, what: str, to: Signal) -> None:
        self._what = what
        self._requested_by = to.requested_by
        self._is_reported = False

    def watch(self, send: Callable[[], Result], failure: Result) -> Result:
        """Send something, and warn where that fails."""
        try:
            result = send()
        except Exception:
            result = failure
        if result is failure and not self._is_reported:
            self._is_reported = True
            _log.warning(
                "%s do not arrive where %s sends them; ROLECALL_DEBUG=1 says why",
                self._what,
                self._requested_by,
            )
        return result


def _resource(telemetry: Telemetry) -> Resource:
    return Resource.create(dict(telemetry.resource))


def _close(providers: Sequence[Closable], patience: float) -> None:
    threads = [
        threading.Thread(target=_shut, args=(provider,), daemon=True) for provider in providers
    ]
    for thread in threads:
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down and starts no thread any more
            thread.run()
    deadline = time.monotonic() + patience
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        _log.warning("OpenTelemetry's receiver took too long; the end of this run is not reported")


def _shut(provider: Closable) -> None:
    with suppress(Exception):
        provider.shutdown()
