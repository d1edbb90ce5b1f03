"""The command that says what a run's calls came to, from its journal alone."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import RunError
from ..app import App
from ..console import echo, show_tables
from ..options import JSON, RUN, Command
from ..render import Grid, grid
from ..trust import remark

if TYPE_CHECKING:
    from ...observers.ledger import Ledger, ToolTotals, Totals
    from ...types.events import CallEnded


@click.command(cls=Command)
@RUN
@JSON
@click.option("--csv", "as_csv", is_flag=True, help="Print a line per call.")
@click.pass_obj
def report(app: App, name: str | None, as_json: bool, as_csv: bool) -> None:
    """Show what a run's calls came to: by agent, by model and in all."""
    from ...execution.pricing import Pricing
    from ...observers.cost_comparison import CostComparison
    from ...observers.ledger import Ledger
    from ...plugin.manager import supplied
    from ...storage.call_log import past_acts, past_calls, past_moves
    from ...storage.run_paths import find_run
    from ...types.agents import Route
    from ..summary import comparison, distribution, moves, verification, waiting

    path = find_run(Path(app.settings.runs), name)
    calls = past_calls(path)
    remark(app, path)
    if as_csv:
        echo(_csv(calls))
        return
    ledger = Ledger()
    providers = supplied(app.host.providers(app.settings))
    called = [Route(call.provider) for call in calls if call.provider in providers]
    savings = CostComparison(Pricing(app.settings, providers), called, ledger.notify)
    for call in calls:
        ledger.notify(call)
        savings.notify(call)
    if all(call.provider in providers for call in calls):
        ledger.notify(savings.compared())
    for event in (*past_moves(path), *past_acts(path)):
        ledger.notify(event)
    answered = {call.agent: call.provider for call in calls if call.cause is None}
    if as_json:
        shares = {"distribution": dict(Counter(answered.values()))}
        echo(json.dumps({"run": str(path), **report_json(ledger, calls), **shares}, indent=2))
        return
    planned = _planned(path) or answered
    show_tables(report_tables(ledger))
    lines = (
        verification(ledger.verified),
        waiting(ledger),
        distribution(planned, Counter(answered.values())),
        moves(ledger),
        comparison(ledger),
    )
    echo("\n".join(filter(None, lines)))


def _planned(path: Path) -> dict[str, str]:
    """Map agents to the providers that they were to run on, as far as the run's folder tells."""
    from ...storage.run_toml import RunToml

    try:
        routes = RunToml.read(path).routes
    except RunError:
        return {}
    return {agent: choices[0].partition("/")[0] for agent, choices in routes.items() if choices}


def report_json(ledger: "Ledger", calls: "Sequence[CallEnded]") -> dict[str, Any]:
    """Return the sums for programs, and each call without its text."""
    from ..summary import acts_json, comparison_json, moves_json, sums_json

    def by_name(totals: "Mapping[str, Totals]") -> dict[str, Any]:
        return {name: sums_json(sums) for name, sums in totals.items()}

    return {
        "total": sums_json(ledger.total),
        "agents": by_name(ledger.agents),
        "providers": by_name(ledger.providers),
        "models": by_name(ledger.models),
        **({"quotas": by_name(ledger.quotas)} if ledger.quotas else {}),
        "calls": [_row(call) for call in calls],
        "moves": moves_json(ledger),
        **acts_json(ledger),
        **comparison_json(ledger),
    }


def report_tables(ledger: "Ledger") -> list[Grid]:
    """Show the sums by agent and by model; by quota and by tool where there are several."""
    columns = "calls> failed> in> cached> out> thought> cost_$> time_s> first_s> wait_s>"
    total = ("all", *_cells(ledger.total))
    tables = [
        grid("By agent", f"agent~ {columns}", _rows(ledger.agents.items())),
        grid("By model", f"model~ {columns}", _rows(ledger.models.items()), total),
    ]
    if ledger.quotas:
        tables.append(grid("By quota", f"quota~ {columns}", _rows(ledger.quotas.items())))
    return [*tables, *_tool_tables(ledger)] if ledger.tools else tables


def _tool_tables(ledger: "Ledger") -> list[Grid]:
    """Show what each agent's conversation with tools took, and the sums of each tool."""
    from ...observers.ledger import Totals
    from ..summary import rounds

    columns = "calls> failed> changed> time_s>"
    loops = (
        (
            agent,
            f"{rounds(ledger, agent)}",
            *_tool_cells(sums),
            ledger.agents.get(agent, Totals()).money.replace("$", ""),
        )
        for agent, sums in ledger.acting.items()
    )
    tools = ((name, *_tool_cells(sums)) for name, sums in sorted(ledger.tools.items()))
    return [
        grid("Agents with tools", f"agent~ rounds> {columns} cost_$>", loops),
        grid("By tool", f"tool~ {columns}", tools),
    ]


def _tool_cells(sums: "ToolTotals") -> tuple[str, ...]:
    return (
        f"{sums.calls}",
        f"{sums.failed or '–'}",
        f"{sums.changed or '–'}",
        f"{sums.took:.1f}",
    )


def _rows(totals: "Iterable[tuple[str, Totals]]") -> Iterable[tuple[str, ...]]:
    return ((name, *_cells(one)) for name, one in totals)


def _cells(totals: "Totals") -> tuple[str, ...]:
    usage = totals.usage
    return (
        f"{totals.calls}",
        f"{totals.failed or '–'}",
        f"{usage.input:,}",
        f"{usage.cache_read:,}" if usage.cache_read else "–",
        f"{usage.output:,}",
        f"{usage.thinking:,}" if usage.thinking else "–",
        totals.money.replace("$", ""),
        f"{totals.took:.1f}",
        "–" if totals.first is None else f"{totals.first:.1f}",
        f"{totals.waited:.1f}",
    )


def _csv(calls: "Sequence[CallEnded]") -> str:
    """Write a line per call; what is not known stays empty."""
    text = io.StringIO()
    rows = [_row(call) for call in calls]
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["call"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _row(call: "CallEnded") -> dict[str, Any]:
    return {
        "call": call.call,
        "agent": call.agent,
        "provider": call.provider,
        "model": call.model,
        "cause": None if call.cause is None else str(call.cause),
        "stop": str(call.stop),
        "input_tokens": call.usage.input,
        "cache_read_tokens": call.usage.cache_read,
        "cache_write_tokens": call.usage.cache_write,
        "output_tokens": call.usage.output,
        "thinking_tokens": call.usage.thinking,
        "cost_usd": call.cost,
        "seconds": round(call.took, 3),
        "first_token_seconds": None if call.first_text is None else round(call.first_text, 3),
        "waiting_seconds": round(call.waited, 3),
        "request_id": call.request_id,
    }
