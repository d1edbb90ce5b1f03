"""The calls of a run along a line of time, in percent of its length."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import floor, log10

from attrs import frozen

from .record import CallRecord

TICKS = 10  # at most, beside that of 0
LAST = 96  # percent of the line, beyond which a label would not fit
SLIVER = 0.2  # percent of the line that a span takes at least
NOTHING = 0.001  # seconds
UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
IN_A_UNIT = 3  # of a unit must fit into the line for ticks to be in it


@frozen
class Span:
    """A part of a call; `stage` is waiting, sent, answering or failed."""

    stage: str
    provider: str
    left: float
    width: float


@frozen
class Bar:
    """One call, and what it was in words."""

    words: str
    spans: tuple[Span, ...]


@frozen
class Tick:
    """A round time on the line."""

    left: float
    label: str


def draw_calls(calls: Iterable[CallRecord], seconds: float) -> Mapping[str, Sequence[Bar]]:
    """Map agents to their calls, on a line of that many seconds."""
    bars: dict[str, list[Bar]] = {}
    for call in calls:
        spans = tuple(
            Span(
                stage=stage,
                provider=call.event.provider,
                left=round(100 * start / seconds, 2),
                width=max(SLIVER, round(100 * (end - start) / seconds, 2)),
            )
            for stage, start, end in _stages(call)
        )
        bars.setdefault(call.event.agent, []).append(Bar(describe_call(call), spans))
    return bars


def draw_ticks(seconds: float) -> list[Tick]:
    """Choose round times on a line of that many seconds, at most TICKS beside 0."""
    unit, name = next((row for row in UNITS if seconds >= IN_A_UNIT * row[0]), UNITS[-1])
    length = seconds / unit
    step = _round_up(length / TICKS)
    digits = max(0, -floor(log10(step)))
    times = (number * step for number in range(TICKS + 1))
    return [
        Tick(round(100 * time / length, 3), f"{time:.{digits}f} {name}" if time else "0")
        for time in times
        if 100 * time <= LAST * length
    ]


def describe_call(call: CallRecord) -> str:
    """Describe a call in words."""
    event = call.event
    waited = f"waited {event.waited:.1f} s, " if event.waited >= NOTHING else ""
    first = "" if event.first_text is None else f"first text after {event.first_text:.1f} s, "
    result = f"failed: {event.cause}" if event.cause else f"{event.usage.output:,} tokens"
    when = f"{call.permitted:.1f} s to {call.ended:.1f} s"
    return f"{event.agent} on {event.provider}/{event.model}: {waited}{first}{result}, {when}"


def _stages(call: CallRecord) -> Iterator[tuple[str, float, float]]:
    if call.permitted - call.queued >= NOTHING:
        yield "waiting", call.queued, call.permitted
    if call.event.cause:
        yield "failed", call.permitted, call.ended
        return
    answering = call.permitted if call.first is None else call.first
    if answering - call.permitted >= NOTHING:
        yield "sent", call.permitted, answering
    yield "answering", answering, call.ended


def _round_up(value: float) -> float:
    """Return the next number of the form 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(value))
    return next(power * round_ for round_ in (1, 2, 5, 10) if power * round_ >= value * 0.999)
