"""Draws report.html: one page that runs no script and loads nothing.

What models wrote is escaped, or is Markdown without HTML.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from attrs import frozen

from .acts import describe_verified, list_changes, list_files, list_tools
from .graph import draw_graph
from .markdown import to_html
from .record import AgentRecord, ProviderRecord, RunRecord
from .tables import by_agent, by_call, by_provider, by_tool
from .timeline import NOTHING, draw_acts, draw_calls, draw_ticks

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

TITLE = 90  # characters of the request that are the page's title
BEGINNING = 1500  # characters of the request that stand ahead of the plan
ROOM = 1_500_000  # characters that all deliverables and tool calls may take in the page
LARGE = 100  # agents, beyond which a drawing of their needs shows nothing
COLORS = 6  # of providers, in page.css


@frozen
class Share:
    """A provider's part of something, in percent of a line."""

    provider: str
    left: float
    width: float
    words: str


STAGES = (
    ("waiting", "waits for a permit"),
    ("sent", "sent, no text yet"),
    ("failed", "failed"),
    ("acting", "its tools run"),
    ("checking", "its work is verified"),
)
MEASURES: Mapping[str, Callable[[ProviderRecord], float]] = {
    "agents": lambda provider: provider.answered,
    "calls": lambda provider: provider.totals.calls,
    "tokens in": lambda provider: provider.totals.usage.input,
    "tokens out": lambda provider: provider.totals.usage.output,
    "US dollars": lambda provider: provider.totals.cost,
}


def render_page(run: RunRecord) -> str:
    """Render the page of a run."""
    from markupsafe import Markup

    request = run.started.request.strip()
    acted = (*(tool.ended for tool in run.tools), *(each.ended for each in run.verified))
    length = max([NOTHING, *(call.ended for call in run.calls), *acted])
    bars = draw_calls(run.calls, length)
    acts = draw_acts(run.tools, run.verified, length)
    tools = list_tools(run.tools)
    drawn = [*bars.values(), *acts.values()]
    needs = {agent.name: agent.needs for agent in run.agents}
    levels = {agent.name: agent.level for agent in run.agents}
    is_large = len(levels) > LARGE
    return _template().render(
        run=run,
        style=Markup(_file("page.css")),
        title=make_title(request),
        request=request,
        beginning=request[:BEGINNING],
        when=datetime.fromtimestamp(run.started.when, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        plan=Markup(to_html(run.plan_text, deeper=2)),
        texts=_texts(run, ROOM - sum(each.size for each in tools.values())),
        dependants=_reverse(needs),
        color={provider.name: number % COLORS for number, provider in enumerate(run.providers)},
        bars=bars,
        acts=acts,
        tools=tools,
        verified=describe_verified(run.verified),
        files=list_files(run),
        changes=[(change, Markup(change.patch)) for change in list_changes(run)],
        stages=STAGES,
        used={span.stage for row in drawn for bar in row for span in bar.spans},
        ticks=draw_ticks(length),
        resumed=round(100 * run.resumed / length, 2),
        graph=None if is_large else draw_graph(needs, levels, run.critical_path),
        by_level=_by_level(run.agents) if is_large else [],
        agents={agent.name: agent for agent in run.agents},
        by_provider=by_provider(run),
        by_agent=by_agent(run),
        by_tool=by_tool(run),
        by_call=by_call(run),
        shares=[share_out(name, measure, run.providers) for name, measure in MEASURES.items()],
        clock=show_seconds,
        quote=quote,
    )


def make_title(request: str) -> str:
    """Shorten a request to its first sentence, and that to the length of a title."""
    line = next(filter(None, map(str.strip, request.splitlines())), "")
    title = line.partition(". ")[0]
    if len(title) <= TITLE:
        return title
    return f"{title[:TITLE].rpartition(' ')[0] or title[:TITLE]} …"


def share_out(
    name: str, measure: Callable[[ProviderRecord], float], providers: Sequence[ProviderRecord]
) -> tuple[str, Sequence[Share]]:
    """Divide a line among providers as a measure is divided among them."""
    values = [measure(provider) for provider in providers]
    total = sum(values)
    if not total:
        return name, ()
    return name, [
        Share(
            provider=provider.name,
            left=round(100 * sum(values[:number]) / total, 2),
            width=round(100 * value / total, 2),
            words=f"{provider.name}: {value:,.4g} of {total:,.4g} {name}",
        )
        for number, (provider, value) in enumerate(zip(providers, values, strict=True))
        if value
    ]


def show_seconds(seconds: float) -> str:
    """Show a time in minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_file("page.html.j2"))


def _texts(run: RunRecord, room: int) -> "dict[str, Markup]":
    """Render the deliverables but the plan's, as many in the team's order as there is room for."""
    from markupsafe import Markup

    texts: dict[str, Markup] = {}
    for agent in run.agents:
        if agent.text and agent.name != run.planner:
            text = to_html(agent.text, deeper=3)
            room -= len(text)
            if room < 0:
                break
            texts[agent.name] = Markup(text)
    return texts


def _reverse(needs: Mapping[str, Iterable[str]]) -> Mapping[str, Sequence[str]]:
    dependants: dict[str, list[str]] = {}
    for name, needed in needs.items():
        for need in needed:
            dependants.setdefault(need, []).append(name)
    return dependants


def _by_level(agents: Iterable[AgentRecord]) -> Sequence[Sequence[AgentRecord]]:
    levels: dict[int, list[AgentRecord]] = {}
    for agent in agents:
        levels.setdefault(agent.level, []).append(agent)
    return [levels[level] for level in sorted(levels)]


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
