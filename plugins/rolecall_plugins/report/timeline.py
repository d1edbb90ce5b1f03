"""The calls of a run, of models and of tools, along a line of time, in percent of its length."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import floor, log10

from attrs import frozen

from rolecall import Stop

from ..progress import shorten
from .record import CallRecord, ToolRecord, VerificationRecord

NAME = 64  # characters of a tool's name: a model may have made it up
TICKS = 10  # at most, beside that of 0
LAST = 96  # percent of the line, beyond which a label would not fit
SLIVER = 0.2  # percent of the line that a span takes at least
NOTHING = 0.001  # seconds
UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
BARS = 3000  # of calls and of tools that are drawn one by one
IN_A_UNIT = 3  # of a unit must fit into the line for ticks to be in it


@frozen
class Span:
    """A part of a call; `stage` is waiting, sent, answering or failed, acting or checking."""

    stage: str
    provider: str
    left: float
    width: float


@frozen
class Bar:
    """One call, or what was done between two, and what it was in words."""

    words: str
    spans: tuple[Span, ...]


@frozen
class Tick:
    """A round time on the line."""

    left: float
    label: str


def draw_calls(calls: Iterable[CallRecord], seconds: float) -> Mapping[str, Sequence[Bar]]:
    """Map agents to their calls, on a line of that many seconds.

    Where they are too many, the first ones are drawn in one bar.
    """
    bars: dict[str, list[Bar]] = {}
    calls = list(calls)
    together, calls = calls[:-BARS], calls[-BARS:]
    by_agent: dict[str, list[CallRecord]] = {}
    for call in together:
        by_agent.setdefault(call.event.agent, []).append(call)
    for agent, early in by_agent.items():
        start, end = early[0].queued, early[-1].ended
        span = _span("sent", start, end, seconds, early[-1].event.provider)
        words = f"{agent}: {len(early)} calls, {start:.1f} s to {end:.1f} s"
        bars[agent] = [Bar(words, (span,))]
    for call in calls:
        spans = tuple(
            _span(stage, start, end, seconds, call.event.provider)
            for stage, start, end in _stages(call)
        )
        bars.setdefault(call.event.agent, []).append(Bar(describe_call(call), spans))
    return bars


def draw_acts(
    tools: Iterable[ToolRecord], verified: Iterable[VerificationRecord], seconds: float
) -> Mapping[str, Sequence[Bar]]:
    """Map agents to what they did by tools, a bar for each round, and to the checks of it.

    Where that would be too many, an agent has one bar.
    """
    rounds: dict[tuple[str, str], list[ToolRecord]] = {}
    tools = list(tools)
    is_much = len(tools) > BARS
    for tool in tools:
        rounds.setdefault((tool.event.agent, "" if is_much else tool.event.step), []).append(tool)
    bars: dict[str, list[Bar]] = {}
    for (agent, _), calls in rounds.items():
        start, end = min(call.began for call in calls), max(call.ended for call in calls)
        bars.setdefault(agent, []).append(
            Bar(_describe_round(agent, calls), (_span("acting", start, end, seconds),))
        )
    for each in verified:
        words = f"checks for {each.event.agent}, {each.began:.1f} s to {each.ended:.1f} s"
        bars.setdefault(each.event.agent, []).append(
            Bar(words, (_span("checking", each.began, each.ended, seconds),))
        )
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
    wants = ", wants tools" if event.stop is Stop.TOOL_USE else ""
    result = f"failed: {event.cause}" if event.cause else f"{event.usage.output:,} tokens{wants}"
    when = f"{call.permitted:.1f} s to {call.ended:.1f} s"
    return f"{event.agent} on {event.provider}/{event.model}: {waited}{first}{result}, {when}"


def _span(stage: str, start: float, end: float, seconds: float, provider: str = "") -> Span:
    return Span(
        stage=stage,
        provider=provider,
        left=round(100 * start / seconds, 2),
        width=max(SLIVER, round(100 * (end - start) / seconds, 2)),
    )


def _describe_round(agent: str, calls: Sequence[ToolRecord]) -> str:
    names = Counter(shorten(call.event.tool, NAME) for call in calls)
    tools = ", ".join(f"{count} × {name}" if count > 1 else name for name, count in names.items())
    start, end = min(call.began for call in calls), max(call.ended for call in calls)
    return f"{agent} calls {tools}, {start:.1f} s to {end:.1f} s"


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
