"""Draws a run on a terminal while it goes on: a row for each agent, the providers below."""

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
    Consent,
    ConsentAsked,
    ConsentDecided,
    DeploymentClosed,
    Event,
    FellBack,
    Hedged,
    Redactor,
    Rerouted,
    RouteClosed,
    RouteOpened,
    RunEnded,
    RunStarted,
    Settings,
    WorkspaceVerified,
    WorkTouched,
)

from ..progress import (
    FINISHED,
    AgentProgress,
    RunProgress,
    State,
    describe_verified,
    printable,
)

PER_SECOND = 8  # drawings
WIDE = 110  # columns, from which on growing texts and all needs are shown
FRAME = 5  # lines that are not an agent's
LEVELS = 8  # deepest indentation
LONG = 2.0  # seconds that a tool takes before they are shown
MARKS = {
    State.NEEDS: ("·", "dim"),
    State.READY: ("○", "cyan"),
    State.PERMIT: ("◔", "yellow"),
    State.CALLING: ("●", "bold cyan"),
    State.RETRYING: ("↻", "yellow"),
    State.ACTING: ("◆", "bold magenta"),
    State.CONSENT: ("?", "bold yellow"),
    State.CHECKING: ("◎", "bold magenta"),
    State.DONE: ("✓", "green"),
    State.KEPT: ("=", "green"),
    State.CUT: ("✂", "yellow"),
    State.FAILED: ("✗", "bold red"),
    State.BLOCKED: ("–", "red"),
}
# Agents in these states are shown first where there is no room for all.
URGENT = (
    State.CONSENT,
    State.FAILED,
    State.CHECKING,
    State.ACTING,
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
    """An observer that draws the run; what was not planned stays above the drawing as a line.

    So does what anything else prints meanwhile. While the operator is asked nothing is drawn, and
    lines wait for the answer.
    """

    def __init__(
        self, console: Console, settings: Settings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._settings = settings
        self._now = now
        self._progress = RunProgress()
        self._redact = Redactor.of(settings)
        self._held: list[Text] | None = None  # lines that wait while the operator is asked
        self._lock = threading.RLock()  # rich draws in a thread of its own
        self._origin = now()
        self._ended: float | None = None
        self._live = self._drawing()

    def notify(self, event: Event) -> None:
        with self._lock:
            self._origin = min(self._origin, self._now() - event.at)
            self._progress.notify(event)
        match event:
            case RunStarted():
                self._origin = self._now() - event.at
                agents = "agent" if len(event.agents) == 1 else "agents"
                self._note(f"{len(event.agents)} {agents} at work in {event.folder}")
                self._live.start()
            case RunEnded():
                self._resume()
                self._ended = event.at
                self._live.vertical_overflow = "visible"
                self._live.stop()
            case FellBack():
                routes = f"{event.route} to {event.to}"
                self._note(f"{event.agent} falls back from {routes}: {event.cause}", "yellow")
            case Hedged():
                self._note(
                    f"{event.agent}: {event.route} is late, {event.to} is asked as well", "cyan"
                )
            case Rerouted():
                self._note(f"{event.agent} is asked at {event.to}: {event.why}", "cyan")
            case AgentFailed():
                ended = "stopped" if event.by_budget else "failed"
                self._note(f"{event.agent} {ended}: {event.error}", "red")
            case RouteOpened():
                circuit = f"circuit open for {event.seconds:.0f} s"
                self._note(f"{event.route}: {event.cause}, {circuit}", "yellow")
            case DeploymentClosed():
                refused = f"{event.deployment} is not asked any more"
                self._note(f"{event.provider}: {event.cause}, {refused}", "yellow")
            case RouteClosed():
                self._note(f"{event.route} answers again", "green")
            case ConsentAsked():
                self._pause()
            case ConsentDecided():
                self._resume()
                fate = "refused" if event.consent is Consent.REFUSED else "allowed"
                always = ", as is every later call of it" if event.consent is Consent.ALWAYS else ""
                self._note(f"{event.tool} by {event.agent} is {fate}{always}", "cyan")
            case WorkspaceVerified():
                style = "green" if event.has_passed else "red"
                self._note(f"{event.agent}: {describe_verified(event)}", style)
            case WorkTouched():
                touched = ", ".join(name for name, _ in event.touched) or "nobody's work"
                self._note(f"the change touches {touched}", "cyan")
            case _:
                pass

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            room = None if self._ended is not None else max(3, options.size.height - FRAME)
            yield from self._frame(options.max_width, room)

    def _drawing(self) -> Live:
        return Live(self, console=self._console, refresh_per_second=PER_SECOND)

    def _pause(self) -> None:
        """Take the drawing off the screen."""
        self._held = []
        self._live.transient = True
        self._live.stop()

    def _resume(self) -> None:
        """Draw again, below what was printed meanwhile."""
        if self._held is not None:
            held, self._held = self._held, None
            for line in held:
                self._console.print(line)
            # A drawing that is started again would go up to where it was.
            self._live = self._drawing()
            self._live.start()

    def _note(self, text: str, style: str = "") -> None:
        line = Text(printable(self._redact(text)), style)
        if self._held is None:
            self._console.print(line)
        else:
            self._held.append(line)

    def _frame(self, width: int, room: int | None) -> Iterator[RenderableType]:
        at = self._now() - self._origin if self._ended is None else self._ended
        agents = list(self._progress.agents.values())
        providers = list(_providers(self._progress, self._settings, at))
        shown = _visible(agents, None if room is None else max(3, room - len(providers)))
        yield Text(_head(self._progress, at), "bold", no_wrap=True, overflow="ellipsis")
        yield _table(self._progress, shown, at, width, self._redact)
        if len(shown) < len(agents):
            yield Text(f"  … {_hidden(agents, shown)}", "dim", no_wrap=True, overflow="ellipsis")
        for line in providers:
            yield Text(line, no_wrap=True, overflow="ellipsis")


def _head(progress: RunProgress, at: float) -> str:
    forecast, total = progress.forecast, progress.ledger.total
    expected = f" of about {_clock(forecast.seconds)}" if forecast else ""
    money = total.money
    if forecast is not None and forecast.cost is not None:
        money += f" of about ${forecast.cost:.2f}"
    agents = f"{progress.finished} of {len(progress.agents)} agents"
    tokens = f"{total.usage.input / 1000:.0f}k + {total.usage.output / 1000:.0f}k tokens"
    return f"{agents} · {_clock(at)}{expected} · {money} · {tokens}"


def _table(
    progress: RunProgress,
    agents: Sequence[AgentProgress],
    at: float,
    width: int,
    redact: Redactor,
) -> Table:
    wide = width >= WIDE
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for agent in agents:
        mark, style = MARKS[agent.state]
        indent = " " * min(agent.level, LEVELS)
        quiet = "dim" if agent.state is State.NEEDS else ""
        table.add_row(
            Text(f"{mark} {indent}{agent.name}", quiet or style),
            Text(agent.provider, quiet),
            Text(
                printable(redact(_describe(progress, agent, at, wide))), quiet, overflow="ellipsis"
            ),
            Text(_numbers(progress, agent, at, wide), quiet),
        )
    return table


def _describe(progress: RunProgress, agent: AgentProgress, at: float, wide: bool) -> str:
    """Describe what an agent is doing."""
    round = _round(agent, wide)
    before = f"{round}: " if round else ""
    hops = "".join(f", {hop}" for hop in agent.hops)
    match agent.state:
        case State.NEEDS:
            names = progress.unmet_needs(agent)
            few = 4 if wide else 1
            more = f" and {len(names) - few} more" if len(names) > few else ""
            return f"waits for {', '.join(names[:few])}{more}"
        case State.READY:
            return f"{before}{agent.detail or 'begins'}{hops}"
        case State.PERMIT:
            permit = f"waits for a permit{': ' if agent.detail else ''}{agent.detail}"
            return f"{before}{permit}{hops}"
        case State.RETRYING:
            return f"{agent.detail}, again in {max(0.0, agent.since - at):.0f} s{hops}"
        case State.CALLING if agent.characters:
            tail = f"  …{agent.tail[-60:]}" if wide else ""
            return f"{before}writing, {agent.characters:,} characters{hops}{tail}"
        case State.CALLING:
            return f"{before}asked{hops}"
        case State.ACTING:
            return f"{before}{_tools(agent, at, wide)}{hops}"
        case State.CONSENT:
            return f"waits for your consent: {agent.detail}"
        case State.CHECKING:
            return f"verified{_for(at - agent.since)}: {agent.detail}"
        case State.DONE:
            return f"done{hops}"
        case State.KEPT:
            return f"kept{', ' if agent.detail else ''}{agent.detail}"
        case State.CUT:
            return f"cut off by the output limit{hops}"
        case State.BLOCKED:
            return f"blocked by {agent.detail}"
        case State.FAILED:
            return f"failed: {agent.detail}"


def _round(agent: AgentProgress, wide: bool) -> str:
    """Describe how far an agent's conversation with tools has come; nothing before it begins."""
    if not agent.round:
        return ""
    of = f" of {agent.rounds}" if wide else ""
    repair = f"repair {agent.repair}/{agent.repairs}, " if agent.repair else ""
    return f"{repair}round {agent.round}{of}"


def _tools(agent: AgentProgress, at: float, wide: bool) -> str:
    """Describe the tools that run: the first of them by name, with its arguments."""
    first = next(iter(agent.tools.values()))
    name = first.tool if wide else first.tool.rpartition(".")[2]
    more = f" and {len(agent.tools) - 1} more" if len(agent.tools) > 1 else ""
    return f"{name}{more}{_for(at - first.since)} {first.arguments}".rstrip()


def _for(seconds: float) -> str:
    """Write how long something takes, once that is worth it; before what may be cut off."""
    return f" ({seconds:.0f} s)" if seconds >= LONG else ""


def _numbers(progress: RunProgress, agent: AgentProgress, at: float, wide: bool) -> str:
    if agent.started is None or not isfinite(at):
        return ""
    until = agent.since if agent.state in FINISHED else at
    time = f"{max(0.0, until - agent.started):.1f} s"
    totals = progress.totals(agent.name)
    if not totals.calls:
        return time
    return f"{totals.usage.output:,} tok  {totals.money}  {time}" if wide else time


def _providers(progress: RunProgress, settings: Settings, at: float) -> Iterator[str]:
    for name, provider in progress.providers.items():
        own = settings.provider(name).requests_per_minute
        gap = int(60 / settings.interval) if settings.interval else None
        limit = min((rate for rate in (own, gap) if rate is not None), default=None)
        rate = f"{provider.rate(at)}/min" + ("" if limit is None else f" of {limit}")
        circuits = "".join(
            f" · circuit open: {route}, {why}" for route, why in provider.open.items()
        )
        answered = progress.ledger.distribution.get(name, 0)
        calls = "call" if provider.under_way == 1 else "calls"
        yield f"{name}: {provider.under_way} {calls} · {rate} · {answered} answered{circuits}"


def _visible(agents: Sequence[AgentProgress], room: int | None) -> list[AgentProgress]:
    """Select whom to show where there is not room for all; their order stays the team's."""
    if room is None or len(agents) <= room:
        return list(agents)
    by_urgency = sorted(agents, key=lambda agent: (URGENT.index(agent.state), -agent.since))
    visible = {agent.name for agent in by_urgency[: room - 1]}
    return [agent for agent in agents if agent.name in visible]


def _hidden(agents: Sequence[AgentProgress], shown: Sequence[AgentProgress]) -> str:
    kinds = {State.DONE: "done", State.KEPT: "done", State.NEEDS: "waiting"}
    hidden = [agent for agent in agents if agent not in shown]
    counts = Counter(kinds.get(agent.state, str(agent.state)) for agent in hidden)
    words = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return f"{len(hidden)} more: {words}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    return f"{minutes}:{rest:02}"
