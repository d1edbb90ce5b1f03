"""Draws a run on a terminal while it goes on: the team as rows, the providers below."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import isfinite

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rolecall import (
    AgentFailed,
    Event,
    FellBack,
    RouteClosed,
    RouteOpened,
    RunEnded,
    RunStarted,
    Settings,
    WorkTouched,
)

from ..progress import THROUGH, Board, Row, State

PER_SECOND = 8  # drawings
WIDE = 110  # columns, from which on growing texts and needs are shown
FRAME = 5  # lines that are not an agent's
LEVELS = 8  # that are shown by indenting
MARKS = {
    State.NEEDS: ("·", "dim"),
    State.READY: ("○", "cyan"),
    State.PERMIT: ("◔", "yellow"),
    State.CALLING: ("●", "bold cyan"),
    State.RETRYING: ("↻", "yellow"),
    State.DONE: ("✓", "green"),
    State.KEPT: ("=", "green"),
    State.CUT: ("✂", "yellow"),
    State.FAILED: ("✗", "bold red"),
    State.BLOCKED: ("–", "red"),
}
# Who is shown first where there is not room for all.
URGENT = (
    State.FAILED,
    State.CALLING,
    State.RETRYING,
    State.PERMIT,
    State.READY,
    State.BLOCKED,
    State.CUT,
    State.NEEDS,
    State.DONE,
    State.KEPT,
)


class LiveView:
    """An observer that draws the run; what went otherwise than planned stays above as a line."""

    def __init__(
        self, console: Console, settings: Settings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._settings = settings
        self._now = now
        self._board = Board()
        self._lock = threading.RLock()  # rich draws in a thread of its own
        self._origin = now()
        self._ended: float | None = None
        self._live = Live(
            self, console=console, refresh_per_second=PER_SECOND, redirect_stdout=False
        )

    def notify(self, event: Event) -> None:
        with self._lock:
            self._origin = min(self._origin, self._now() - event.at)
            self._board.notify(event)
        match event:
            case RunStarted():
                self._origin = self._now() - event.at
                self._console.print(f"{len(event.agents)} agents at work in {event.folder}")
                self._live.start()
            case RunEnded():
                self._ended = event.at
                self._live.vertical_overflow = "visible"
                self._live.stop()
            case FellBack():
                hop = f"{event.agent} falls back from {event.route} to {event.to}: {event.cause}"
                self._say(hop, "yellow")
            case AgentFailed():
                self._say(f"{event.agent} failed: {event.error}", "red")
            case RouteOpened():
                rest = f"{event.route}: {event.cause}, left alone for {event.seconds:.0f} s"
                self._say(rest, "yellow")
            case RouteClosed():
                self._say(f"{event.route} answers again", "green")
            case WorkTouched():
                touched = ", ".join(name for name, _ in event.touched) or "nobody's work"
                self._say(f"the change touches {touched}", "cyan")
            case _:
                pass

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            room = None if self._ended is not None else max(3, options.size.height - FRAME)
            yield from self._frame(options.max_width, room)

    def _say(self, text: str, style: str) -> None:
        self._console.print(Text(plain(text), style))

    def _frame(self, width: int, room: int | None) -> Iterator[RenderableType]:
        at = self._now() - self._origin if self._ended is None else self._ended
        rows = list(self._board.rows.values())
        providers = list(_providers(self._board, self._settings, at))
        shown = _chosen(rows, None if room is None else max(3, room - len(providers)))
        yield Text(_head(self._board, at), "bold", no_wrap=True, overflow="ellipsis")
        yield _agents(self._board, shown, at, width)
        if len(shown) < len(rows):
            yield Text(f"  … {_rest(rows, shown)}", "dim", no_wrap=True, overflow="ellipsis")
        for line in providers:
            yield Text(line, no_wrap=True, overflow="ellipsis")


def plain(text: str) -> str:
    """Keep what can be shown of a text that a model or a vendor wrote."""
    return "".join(each if each.isprintable() else " " for each in text)


def _head(board: Board, at: float) -> str:
    forecast, total = board.forecast, board.ledger.total
    expected = f" of about {_clock(forecast.seconds)}" if forecast else ""
    money = total.money
    if forecast is not None and forecast.cost is not None:
        money += f" of about ${forecast.cost:.2f}"
    usage = total.usage
    return (
        f"{board.through} of {len(board.rows)} agents · {_clock(at)}{expected} · {money} · "
        f"{usage.input / 1000:.0f}k + {usage.output / 1000:.0f}k tokens"
    )


def _agents(board: Board, rows: Sequence[Row], at: float, width: int) -> Table:
    wide = width >= WIDE
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for row in rows:
        mark, style = MARKS[row.state]
        indent = " " * min(row.level, LEVELS)
        quiet = "dim" if row.state is State.NEEDS else ""
        table.add_row(
            Text(f"{mark} {indent}{row.agent}", style if row.state in THROUGH else quiet or style),
            Text(row.provider, quiet),
            Text(_said(board, row, at, wide), quiet, overflow="ellipsis"),
            Text(_numbers(board, row, at, wide), quiet),
        )
    return table


def _said(board: Board, row: Row, at: float, wide: bool) -> str:
    """Say in words where an agent stands."""
    hops = "".join(f", fell back ({hop})" for hop in row.hops)
    match row.state:
        case State.NEEDS:
            names = board.waits_for(row)
            few = 4 if wide else 1
            more = f" and {len(names) - few} more" if len(names) > few else ""
            return f"waits for {', '.join(names[:few])}{more}"
        case State.READY:
            return f"begins{hops}"
        case State.PERMIT:
            return f"waits for a permit{': ' if row.detail else ''}{row.detail}{hops}"
        case State.RETRYING:
            return f"{row.detail}, again in {max(0.0, row.since - at):.0f} s{hops}"
        case State.CALLING if row.characters:
            tail = f"  …{plain(row.tail)[-60:]}" if wide else ""
            return f"writing, {row.characters:,} characters{hops}{tail}"
        case State.CALLING:
            return f"asked{hops}"
        case State.DONE:
            return f"done{hops}"
        case State.KEPT:
            return f"kept{', ' if row.detail else ''}{row.detail}"
        case State.CUT:
            return f"cut off by the output limit{hops}"
        case State.BLOCKED:
            return f"blocked, {row.detail} failed"
        case State.FAILED:
            return f"failed: {plain(row.detail)}"


def _numbers(board: Board, row: Row, at: float, wide: bool) -> str:
    if row.started is None or not isfinite(at):
        return ""
    until = row.since if row.state in THROUGH else at
    time = f"{max(0.0, until - row.started):.1f} s"
    sums = board.sums(row.agent)
    if not sums.calls:
        return time
    return f"{sums.usage.output:,} tok  {sums.money}  {time}" if wide else time


def _providers(board: Board, settings: Settings, at: float) -> Iterator[str]:
    for name, line in board.lines.items():
        own = settings.provider(name).requests_per_minute
        gap = int(60 / settings.interval) if settings.interval else None
        limit = min((each for each in (own, gap) if each is not None), default=None)
        rate = f"{line.rate(at)}/min" + ("" if limit is None else f" of {limit}")
        alone = "".join(f" · {why}: {route} left alone" for route, why in line.open.items())
        answered = board.ledger.distribution.get(name, 0)
        yield f"{name}: {line.under_way} calls · {rate} · {answered} answered{alone}"


def _chosen(rows: Sequence[Row], room: int | None) -> list[Row]:
    """Choose whom to show where there is not room for all; their order stays the team's."""
    if room is None or len(rows) <= room:
        return list(rows)
    by_urgency = sorted(rows, key=lambda row: (URGENT.index(row.state), -row.since))
    chosen = {row.agent for row in by_urgency[: room - 1]}
    return [row for row in rows if row.agent in chosen]


def _rest(rows: Sequence[Row], shown: Sequence[Row]) -> str:
    kinds = {State.DONE: "done", State.KEPT: "done", State.NEEDS: "waiting"}
    counts = Counter(kinds.get(row.state, str(row.state)) for row in rows if row not in shown)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return f"{len(rows) - len(shown)} more: {told}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    return f"{minutes}:{rest:02}"
