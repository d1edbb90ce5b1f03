"""What the command line shows, as rich tables and as JSON values; nothing here prints."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict
from rich.box import SIMPLE_HEAD
from rich.table import Table

from .agents import Route, Team
from .host import Plugin
from .ledger import Ledger, Totals
from .messages import Provider, lacking
from .routing import Assigned, model_of
from .runner import Outcome
from .runs import State

WIDE = 120  # columns
WORTH_SAYING = 1.0  # seconds of waiting


def grid(title: str, columns: str, rows: Iterable[Iterable[str]]) -> Table:
    """Make a table; a column's name that ends in `>` is aligned to the right, in `~` may wrap."""
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.title_justify = "left"
    table.title_style = "bold"
    for column in columns.split():
        name = column.rstrip(">~").replace("_", " ")
        right, wraps = column.endswith(">"), column.endswith("~")
        table.add_column(name, justify="right" if right else "left", no_wrap=not wraps)
    for row in rows:
        table.add_row(*row)
    return table


def agents_json(assigned: Mapping[str, Assigned], team: Team) -> list[dict[str, Any]]:
    return [
        {
            "agent": name,
            "title": each.agent.title,
            "goal": each.agent.goal,
            "routes": [str(route) for route in each.agent.routes],
            "needs": [] if each.off else list(team.needs(name)),
            "plugin": each.plugin,
            "decided_by": each.decided_by,
            "off": each.off,
        }
        for name, each in assigned.items()
    ]


def agents_table(rows: list[dict[str, Any]], width: int) -> Table:
    """Show the agents; what they need only where there is room for it."""
    everyone = len(rows) - 1
    wide = width >= WIDE
    return grid(
        f"{len(rows)} agents",
        f"agent runs_on {'needs~ ' if wide else ''}decided_by~",
        (
            (
                row["agent"],
                "off" if row["off"] else " → ".join(row["routes"]),
                *([_needs(row["needs"], everyone)] if wide else []),
                row["decided_by"],
            )
            for row in rows
        ),
    )


def _needs(names: list[str], everyone: int) -> str:
    return "everyone" if len(names) == everyone > 1 else ", ".join(names)


def providers_json(providers: Mapping[str, tuple[Provider, str]]) -> list[dict[str, Any]]:
    return [
        {
            "provider": name,
            "model": model_of(Route(name), provider),
            "plugin": plugin,
            "missing": lacking(provider),
        }
        for name, (provider, plugin) in providers.items()
    ]


def providers_table(rows: list[dict[str, Any]], width: int) -> Table:
    return grid(
        f"{len(rows)} providers",
        "provider default_model plugin state~",
        (
            (row["provider"], row["model"] or "–", row["plugin"], row["missing"] or "ready")
            for row in rows
        ),
    )


def plugins_json(plugins: Iterable[Plugin], timings: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "plugin": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "module": plugin.module,
            "hooks": list(plugin.hooks),
            "state": "blocked" if plugin.blocked else "failed" if plugin.failure else "loaded",
            "failure": plugin.failure or None,
            **({"import_ms": round(1000 * plugin.seconds, 1)} if timings else {}),
        }
        for plugin in plugins
    ]


def plugins_table(rows: list[dict[str, Any]], width: int) -> Table:
    timings = any("import_ms" in row for row in rows)
    return grid(
        f"{len(rows)} plugins",
        f"plugin from hooks~ state~{' import_ms>' if timings else ''}",
        (
            (
                row["plugin"],
                f"{row['distribution']} {row['version']}".strip() or row["module"],
                ", ".join(hook.removeprefix("rolecall_") for hook in row["hooks"]),
                row["failure"] or row["state"],
                *([f"{row['import_ms']:.1f}"] if timings else ()),
            )
            for row in rows
        ),
    )


def run_json(folder: str, team: Team, outcome: Outcome, ledger: Ledger) -> dict[str, Any]:
    return {
        "run": folder,
        "exit_code": outcome.exit_code,
        "agents": [
            {
                "agent": agent.name,
                "state": _state(agent.name, outcome, ledger),
                "blocked_by": outcome.blocked.get(agent.name),
                "planned": str(agent.routes[0]),
                "route": ledger.answered.get(agent.name),
                "error": str(outcome.failed[agent.name]) if agent.name in outcome.failed else None,
                **sums_json(ledger.agents.get(agent.name, Totals())),
            }
            for agent in team
        ],
        "providers": {name: sums_json(totals) for name, totals in ledger.providers.items()},
        "models": {name: sums_json(totals) for name, totals in ledger.models.items()},
        "distribution": dict(ledger.distribution),
        "total": sums_json(ledger.total),
        **comparison_json(ledger),
    }


def run_tables(team: Team, outcome: Outcome, ledger: Ledger) -> list[Table]:
    sums = "in> out> cost_$> time_s> wait_s>"
    by_agent = grid(
        "By agent",
        f"agent~ by calls> {sums}",
        (
            (
                agent.name,
                _by(agent.name, outcome, ledger),
                str(ledger.agents.get(agent.name, Totals()).calls),
                *_cells(ledger.agents.get(agent.name, Totals())),
            )
            for agent in team
        ),
    )
    by_model = grid(
        "By model",
        f"model~ agents> calls> failed> {sums}",
        (
            _model_row(name, list(ledger.answered.values()).count(name), totals)
            for name, totals in sorted(ledger.models.items())
        ),
    )
    by_model.add_section()
    by_model.add_row(*_model_row("all", len(ledger.answered), ledger.total))
    return [by_agent, by_model]


def _model_row(name: str, agents: int, totals: Totals) -> tuple[str, ...]:
    failed = str(totals.failed or "–")
    model = name.partition("/")[2] or name
    return (model, str(agents), str(totals.calls), failed, *_cells(totals))


def _by(name: str, outcome: Outcome, ledger: Ledger) -> str:
    provider = ledger.answered.get(name, "").partition("/")[0]
    state = _state(name, outcome, ledger)
    return provider if state == "done" else f"{provider} {state}".strip()


def distribution(team: Team, ledger: Ledger) -> str:
    """Say how the agents were shared out, and how that was meant."""
    planned: dict[str, int] = {}
    for agent in team:
        name = agent.routes[0].provider
        planned[name] = planned.get(name, 0) + 1
    return f"Distribution: {_shares(ledger.distribution, len(team))}" + (
        "" if planned == ledger.distribution else f" (planned: {_shares(planned, len(team))})"
    )


def waiting(ledger: Ledger) -> str:
    """Say what was waited for, the longest first; nothing where it was short."""
    reasons = sorted(ledger.total.held.items(), key=lambda item: -item[1])
    told = [f"{reason} {seconds:.1f} s" for reason, seconds in reasons if seconds >= WORTH_SAYING]
    return f"Waited for: {', '.join(told)}" if told else ""


def comparison(ledger: Ledger) -> str:
    """Say what the same calls would have cost elsewhere, and what prompt caches saved."""
    compared = ledger.compared
    if compared is None:
        return ""
    told = [
        f"{'unknown' if cost is None else f'${cost:.4f}'} all on {route}"
        for route, cost in compared.elsewhere
        if list(ledger.models) != [route]
    ]
    if compared.cached:
        told.append(f"${compared.cached:.4f} saved by prompt caches")
    return f"The same calls: {', '.join(told)}" if ledger.models and told else ""


def comparison_json(ledger: Ledger) -> dict[str, Any]:
    """Give the same for programs; what is not known is null."""
    compared = ledger.compared
    return {
        "same_calls_usd": {} if compared is None else dict(compared.elsewhere),
        "saved_by_caches_usd": None if compared is None else compared.cached,
        "saved_by_reuse_usd": ledger.saved,
    }


def _shares(counts: Mapping[str, int], total: int) -> str:
    if not counts:
        return "no agent answered"
    return ", ".join(f"{n} of {total} on {name}" for name, n in sorted(counts.items()))


def _state(name: str, outcome: Outcome, ledger: Ledger) -> str:
    if name in outcome.failed:
        return "failed"
    if name in outcome.blocked:
        return "blocked"
    if name in outcome.cut:
        return "cut off"
    if name not in outcome.done:
        return "not run"
    if name in ledger.edited:
        return "as it stands"
    return "reused" if name in ledger.reused and name not in ledger.agents else "done"


def sums_json(totals: Totals) -> dict[str, Any]:
    """Give sums for programs; a cost that is not wholly known is null."""
    return {
        "calls": totals.calls,
        "failed_calls": totals.failed,
        "input_tokens": totals.usage.input,
        "output_tokens": totals.usage.output,
        "thinking_tokens": totals.usage.thinking,
        "cache_read_tokens": totals.usage.cache_read,
        "cache_write_tokens": totals.usage.cache_write,
        "cost_usd": None if totals.unpriced else totals.cost,
        "unpriced_calls": totals.unpriced,
        "seconds": round(totals.took, 3),
        "first_token_seconds": None if totals.first is None else round(totals.first, 3),
        "waiting_seconds": round(totals.waited, 3),
        "waiting_for": {reason: round(seconds, 3) for reason, seconds in totals.held.items()},
    }


def _cells(totals: Totals) -> tuple[str, ...]:
    return (
        f"{totals.usage.input:,}",
        f"{totals.usage.output:,}",
        totals.money.replace("$", ""),
        f"{totals.took:.1f}",
        f"{totals.waited:.1f}",
    )


def runs_json(listed: Iterable[tuple[Path, State]]) -> list[dict[str, Any]]:
    return [{"run": path.name, **asdict(state)} for path, state in listed]


def runs_table(rows: list[dict[str, Any]], width: int) -> Table:
    return grid(
        f"{len(rows)} runs",
        "run~ state done> cost_$> age>",
        (
            (
                row["run"],
                row["state"],
                f"{row['done']}/{row['agents']}",
                f"{row['cost']:.4f}",
                _age(time.time() - row["updated"]) if row["updated"] else "",
            )
            for row in rows
        ),
    )


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
