"""The tables of a report: sums by provider and model, by agent, and each call."""

from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from rolecall import Totals

from ..progress import State, shorten
from .record import RunRecord
from .timeline import NAME

NOTHING = 0.05  # seconds, less of which is not shown
CALLS = 3000  # rows of a table


@frozen
class Row:
    """A row: of whom or of what it is, its cells, and the state that colours it."""

    name: str
    cells: Sequence[str]
    state: str = ""


@frozen
class Table:
    """A table of numbers; where `has_words`, its last column is text."""

    columns: Sequence[str]
    rows: Sequence[Row]
    has_words: bool = False


@frozen
class SumsColumn:
    """A column of sums, which a table goes without where it is empty in every row."""

    name: str
    cell: Callable[[Totals], str]


SUMS = (
    SumsColumn("cost", lambda sums: sums.money),
    SumsColumn("time", lambda sums: f"{sums.took:.1f} s"),
    SumsColumn("calls", lambda sums: f"{sums.calls}"),
    SumsColumn("failed", lambda sums: _number(sums.failed)),
    SumsColumn("tokens in", lambda sums: f"{sums.usage.input:,}"),
    SumsColumn("cached", lambda sums: _number(sums.usage.cache_read)),
    SumsColumn("tokens out", lambda sums: f"{sums.usage.output:,}"),
    SumsColumn("thought", lambda sums: _number(sums.usage.thinking)),
    SumsColumn("first text", lambda sums: "" if sums.first is None else f"{sums.first:.1f} s"),
    SumsColumn("waited", lambda sums: f"{sums.waited:.1f} s" if sums.waited >= NOTHING else ""),
)


def by_provider(run: RunRecord) -> Table:
    """Sum up the calls by provider, by model, by quota where there are several, and in all."""
    rows = [
        (provider.name, (f"{provider.answered}", f"{provider.planned}"), provider.totals)
        for provider in run.providers
    ]
    parts = (*sorted(run.ledger.models.items()), *sorted(run.ledger.quotas.items()))
    rows += [(name, ("", ""), totals) for name, totals in parts]
    agents = (f"{len(run.ledger.answered)}", f"{len(run.agents)}")
    rows.append(("all", agents, run.ledger.total))
    names, sums = sum_up([totals for *_, totals in rows])
    return Table(
        ("provider, model", "agents", "planned", *names),
        [Row(name, (*own, *cells)) for (name, own, _), cells in zip(rows, sums, strict=True)],
    )


def by_agent(run: RunRecord) -> Table:
    """Sum up the calls by agent."""
    names, sums = sum_up([agent.totals for agent in run.agents])
    rows = []
    for agent, cells in zip(run.agents, sums, strict=True):
        state = "" if agent.state == State.DONE else agent.state
        words = ", ".join(filter(None, (state, agent.route)))
        rows.append(Row(agent.name, (*cells, words), agent.state))
    return Table(("agent", *names, "answered by"), rows, has_words=True)


def by_tool(run: RunRecord) -> Table:
    """Sum up the tool calls."""
    rows = [
        Row(
            shorten(name, NAME),
            (
                f"{sums.calls:,}",
                _number(sums.failed),
                _number(sums.changed),
                f"{sums.took:.1f} s",
            ),
        )
        for name, sums in sorted(run.ledger.tools.items())
    ]
    return Table(("tool", "calls", "failed", "changed files", "time"), rows)


def by_call(run: RunRecord) -> Table:
    """List the calls, the last ones where there are many."""
    rows = []
    for call in run.calls[-CALLS:]:
        event = call.event
        failure = ": ".join(filter(None, (event.cause, event.detail)))
        rows.append(
            Row(
                event.agent,
                (
                    "–" if event.cost is None else f"${event.cost:.4f}",
                    f"{call.permitted:.1f} s",
                    f"{call.ended:.1f} s",
                    f"{event.usage.input:,}",
                    f"{event.usage.output:,}",
                    ", ".join(filter(None, (f"{event.provider}/{event.model}", failure))),
                ),
                "failed" if event.cause else "",
            )
        )
    columns = ("agent", "cost", "from", "to", "tokens in", "tokens out", "route, result")
    return Table(columns, rows, has_words=True)


def sum_up(rows: Iterable[Totals]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the names of the columns that are not empty, and their cells row by row."""
    rows = list(rows)
    columns = [(column.name, [column.cell(totals) for totals in rows]) for column in SUMS]
    filled = [(name, cells) for name, cells in columns if any(cells)]
    return (
        [name for name, _ in filled],
        [[cells[number] for _, cells in filled] for number in range(len(rows))],
    )


def _number(count: int) -> str:
    return f"{count:,}" if count else ""
