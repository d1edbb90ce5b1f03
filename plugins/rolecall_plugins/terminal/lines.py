"""How a run gets on, line by line: one per finished agent, or one per event."""

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
    DeliverableKept,
    Event,
    FellBack,
    Retrying,
    RouteClosed,
    RouteOpened,
    RunStarted,
    StepReused,
    Usage,
    WorkTouched,
    echo,
)

# What is too long for a line, or says nothing to a person.
WORTH_SAYING = 1.5  # seconds of waiting
HIDDEN = ("at", "text", "step", "request", "agents", "first_choices", "needs", "past", "forecast")


class ProgressLines:
    """A line for every agent that is through, and for what went otherwise than planned."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = 0
        self._through = 0
        self._reused: set[str] = set()

    def notify(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._total = len(event.agents)
                agents = "agent" if self._total == 1 else "agents"
                self._say(f"{self._total} {agents} at work in {event.folder}")
                if event.forecast is not None:
                    how = "expected" if event.forecast.known else "a first guess"
                    self._say(f"        {how}: {event.forecast.words}")
            case StepReused():
                self._reused.add(event.agent)
            case CallEnded():
                self._reused.discard(event.agent)
            case WorkTouched():
                touched = ", ".join(name for name, _ in event.touched) or "nobody's work"
                revise = f"{len(event.revise)} of {self._total} agents revise"
                self._say(f"        the change touches {touched}: {revise}")
            case AgentDone():
                provider = event.route.partition("/")[0]
                kept = ", kept" if event.agent in self._reused else ""
                cut = ", cut off by the output limit" if event.cut else ""
                self._count(event, f"{event.agent}: {provider}{kept}{cut}")
            case DeliverableKept():
                self._count(event, f"{event.agent}: stands as in {event.file}")
            case AgentFailed():
                self._count(event, f"{event.agent}: failed")
            case AgentBlocked():
                self._count(event, f"{event.agent}: blocked, {event.by} failed")
            case CallHeld() if event.seconds >= WORTH_SAYING:
                wait = f" {event.seconds:.1f} s" if isfinite(event.seconds) else ""
                self._say(
                    f"        {event.agent}: waiting{wait} for {event.provider}: {event.reason}"
                )
            case Retrying():
                when = f" in {event.delay:.1f} s" if event.delay else ""
                again = f"asking {event.route} again{when}"
                self._say(f"        {event.agent}: {event.cause}, {again}")
            case RouteOpened():
                rest = f"left alone for {event.seconds:g} s"
                self._say(f"        {event.route}: {event.cause}, {rest}")
            case RouteClosed():
                self._say(f"        {event.route}: answers again")
            case FellBack():
                hop = f"{event.route} to {event.to}"
                self._say(f"        {event.agent}: falls back from {hop}: {event.cause}")
            case _:
                pass

    def _count(self, event: Event, text: str) -> None:
        self._through += 1
        self._say(f"[{self._through:2}/{self._total}] {event.at:6.1f} s  {text}")

    def _say(self, text: str) -> None:
        echo(text, file=self._stream)


class DebugLines:
    """A line for every event, with all that is short enough to read."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def notify(self, event: Event) -> None:
        if isinstance(event, CallText):
            return
        values = {
            field.name: getattr(event, field.name)
            for field in fields(type(event))
            if field.name not in HIDDEN
        }
        if isinstance(event, CallEnded):
            values["characters"] = len(event.text)
        said = " ".join(
            f"{name}={_short(value)}" for name, value in values.items() if value not in ("", None)
        )
        echo(f"{event.at:8.3f} {type(event).__name__} {said}", file=self._stream)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Usage):
        return f"{value.input}+{value.output}"
    text = repr(value) if isinstance(value, str) and (not value or " " in value) else str(value)
    return text if len(text) <= 200 else f"{text[:199]}…"
