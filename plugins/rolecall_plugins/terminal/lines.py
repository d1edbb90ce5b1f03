"""The progress of a run as lines: one per finished agent, or one per event."""

from math import isfinite
from typing import TextIO

from attrs import fields

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    CallEnded,
    CallHeld,
    CallText,
    Consent,
    ConsentAsked,
    ConsentDecided,
    DeliverableKept,
    DeploymentClosed,
    Event,
    FellBack,
    Hedged,
    Redactor,
    Rerouted,
    Retrying,
    RouteClosed,
    RouteOpened,
    RunEnded,
    RunStarted,
    Settings,
    StepReused,
    ToolEnded,
    Usage,
    WorkspaceVerified,
    WorkTouched,
    echo,
)

from ..progress import describe_arguments, describe_verified, shorten

SHORTEST = 1.5  # seconds of waiting that are worth a line
PACING = "interval"  # the built-in limiter's reason for a wait that every run has, by design
LONGEST = 200  # characters of a value in a debug line
# Fields that are too long for a debug line, or tell a person nothing.
HIDDEN = (
    *("at", "text", "step", "request", "agents", "first_choices", "needs", "past", "forecast"),
    *("acted", "verified", "parts", "checks"),
)


class HeldLines:
    """Writes lines to a stream; while the operator is asked they wait for the answer."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held: list[str] | None = None

    def hear(self, event: Event) -> None:
        """Hold lines back, or write those that were held back."""
        match event:
            case ConsentAsked():
                self._held = []
            case ConsentDecided() | RunEnded():
                held, self._held = self._held or [], None
                for line in held:
                    self.write(line)
            case _:
                pass

    def write(self, text: str) -> None:
        if self._held is None:
            echo(text, file=self._stream)
        else:
            self._held.append(text)


class ProgressLines:
    """An observer that writes a line for every finished agent, for each change that an agent made,
    and for what was not planned.
    """

    def __init__(self, stream: TextIO, settings: Settings) -> None:
        self._lines = HeldLines(stream)
        self._redact = Redactor.of(settings)
        self._total = 0
        self._finished = 0
        self._reused: set[str] = set()

    def notify(self, event: Event) -> None:
        self._lines.hear(event)
        match event:
            case RunStarted():
                self._total = len(event.agents)
                agents = "agent" if self._total == 1 else "agents"
                self._write(f"{self._total} {agents} at work in {event.folder}")
                if event.forecast is not None:
                    kind = "expected" if event.forecast.known else "a first guess"
                    self._note(f"{kind}: {event.forecast.words}")
            case StepReused():
                self._reused.add(event.agent)
            case CallEnded():
                self._reused.discard(event.agent)
            case AgentDone():
                provider = event.route.partition("/")[0]
                kept = ", kept" if event.agent in self._reused else ""
                cut = ", cut off by the output limit" if event.cut else ""
                self._count(event, f"{event.agent}: {provider}{kept}{cut}")
            case DeliverableKept():
                self._count(event, f"{event.agent}: kept as it is in {event.file}")
            case AgentFailed():
                ended = "stopped by the budget" if event.by_budget else "failed"
                self._count(event, f"{event.agent}: {ended}")
            case AgentBlocked():
                self._count(event, f"{event.agent}: blocked by {event.by}")
            case _:
                self._note(self._describe(event) or self._describe_act(event))

    def _describe(self, event: Event) -> str:
        """Describe what was not planned; return nothing for any other event."""
        match event:
            case WorkTouched():
                touched = ", ".join(name for name, _ in event.touched) or "nobody's work"
                revise = f"{len(event.revise)} of {self._total} agents revise"
                return f"the change touches {touched}: {revise}"
            case CallHeld() if event.seconds >= SHORTEST and event.reason != PACING:
                wait = f" {event.seconds:.1f} s" if isfinite(event.seconds) else ""
                return f"{event.agent}: waiting{wait} for {event.provider}: {event.reason}"
            case Retrying():
                when = f" in {event.delay:.1f} s" if event.delay else ""
                return f"{event.agent}: {event.cause}, asking {event.route} again{when}"
            case FellBack():
                routes = f"{event.route} to {event.to}"
                return f"{event.agent}: falls back from {routes}: {event.cause}"
            case Hedged():
                late = f"{event.route} is late after {event.after:.1f} s"
                return f"{event.agent}: {late}, {event.to} is asked as well"
            case Rerouted():
                return f"{event.agent}: asked at {event.to} instead of {event.route}: {event.why}"
            case RouteOpened():
                return f"{event.route}: {event.cause}, circuit open for {event.seconds:g} s"
            case DeploymentClosed():
                return f"{event.provider}: {event.cause}, {event.deployment} is not asked any more"
            case RouteClosed():
                return f"{event.route}: answers again"
            case _:
                return ""

    def _describe_act(self, event: Event) -> str:
        """Describe what an agent changed or was to change, and what was verified."""
        match event:
            case ToolEnded() if event.tree:
                failed = ", failed" if event.is_error else ""
                took = f", {event.took:.1f} s" if event.took >= SHORTEST else ""
                call = f"{event.tool} {describe_arguments(event.arguments)}"
                return f"{event.agent}: {shorten(self._redact(call), LONGEST)}{failed}{took}"
            case ConsentDecided():
                fate = "refused" if event.consent is Consent.REFUSED else "allowed"
                always = ", as is every later call of it" if event.consent is Consent.ALWAYS else ""
                return f"{event.agent}: {event.tool} is {fate}{always}"
            case WorkspaceVerified():
                return f"{event.agent}: {describe_verified(event)}"
            case _:
                return ""

    def _count(self, event: Event, text: str) -> None:
        self._finished += 1
        self._write(f"[{self._finished:2}/{self._total}] {event.at:6.1f} s  {text}")

    def _note(self, text: str) -> None:
        if text:
            self._write(f"        {text}")

    def _write(self, text: str) -> None:
        self._lines.write(text)


class DebugLines:
    """An observer that writes a line for every event, with all fields that are short enough."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = HeldLines(stream)

    def notify(self, event: Event) -> None:
        self._lines.hear(event)
        if isinstance(event, CallText):
            return
        values = {
            field.name: getattr(event, field.name)
            for field in fields(type(event))
            if field.name not in HIDDEN
        }
        if isinstance(event, CallEnded):
            values["characters"] = len(event.text)
        if isinstance(event, WorkspaceVerified):
            values["result"] = describe_verified(event)
        shown = " ".join(
            f"{name}={_shorten(value)}" for name, value in values.items() if value not in ("", None)
        )
        self._lines.write(f"{event.at:8.3f} {type(event).__name__} {shown}")


def _shorten(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Usage):
        return f"{value.input}+{value.output}"
    text = repr(value) if isinstance(value, str) and (not value or " " in value) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
