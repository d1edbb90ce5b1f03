"""What the command line shows, as rich tables and as JSON values; nothing here prints."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from .agents import Team
from .host import Plugin
from .ledger import Ledger, Totals
from .messages import NeedsSetup, Provider
from .routing import Assigned, model_of
from .runner import Outcome


def grid(title: str, columns: str, rows: Iterable[Iterable[str]]) -> Table:
    """Make a table; a column's name that ends in `>` is aligned to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns.split():
        name = column.removesuffix(">").replace("_", " ")
        table.add_column(name, justify="right" if column.endswith(">") else "left")
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
            "needs": list(team.needs(name)),
            "plugin": each.plugin,
            "decided_by": each.decided_by,
        }
        for name, each in assigned.items()
    ]


def agents_table(rows: list[dict[str, Any]]) -> Table:
    everyone = len(rows) - 1
    return grid(
        f"{len(rows)} agents",
        "agent routes needs decided_by",
        (
            (
                row["agent"],
                " → ".join(row["routes"]),
                "everyone" if len(row["needs"]) == everyone > 1 else ", ".join(row["needs"]),
                row["decided_by"],
            )
            for row in rows
        ),
    )


def providers_json(providers: Mapping[str, tuple[Provider, str]]) -> list[dict[str, Any]]:
    from .agents import Route

    return [
        {
            "provider": name,
            "model": model_of(Route(name), provider),
            "plugin": plugin,
            "missing": provider.missing() if isinstance(provider, NeedsSetup) else None,
        }
        for name, (provider, plugin) in providers.items()
    ]


def providers_table(rows: list[dict[str, Any]]) -> Table:
    return grid(
        f"{len(rows)} providers",
        "provider default_model plugin state",
        (
            (row["provider"], row["model"] or "–", row["plugin"], row["missing"] or "ready")
            for row in rows
        ),
    )


def plugins_json(plugins: Iterable[Plugin]) -> list[dict[str, Any]]:
    return [
        {
            "plugin": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "module": plugin.module,
            "hooks": list(plugin.hooks),
            "state": "blocked" if plugin.blocked else "failed" if plugin.failure else "loaded",
            "failure": plugin.failure or None,
        }
        for plugin in plugins
    ]


def plugins_table(rows: list[dict[str, Any]]) -> Table:
    return grid(
        f"{len(rows)} plugins",
        "plugin from hooks state",
        (
            (
                row["plugin"],
                f"{row['distribution']} {row['version']}".strip() or row["module"],
                ", ".join(hook.removeprefix("rolecall_") for hook in row["hooks"]),
                row["failure"] or row["state"],
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
                "planned": str(agent.routes[0]),
                "route": ledger.answered.get(agent.name),
                "error": str(outcome.failed[agent.name]) if agent.name in outcome.failed else None,
                **_sums(ledger.agents.get(agent.name, Totals())),
            }
            for agent in team
        ],
        "providers": {name: _sums(totals) for name, totals in ledger.providers.items()},
        "models": {name: _sums(totals) for name, totals in ledger.models.items()},
        "distribution": dict(ledger.distribution),
        "total": _sums(ledger.total),
    }


def run_tables(team: Team, outcome: Outcome, ledger: Ledger) -> list[Table]:
    sums = "calls> failed> tokens_in> out> cost> time> waiting>"
    by_agent = grid(
        "By agent",
        f"agent state answered_by {sums}",
        (
            (
                agent.name,
                _state(agent.name, outcome, ledger),
                ledger.answered.get(agent.name, "–"),
                *_cells(ledger.agents.get(agent.name, Totals())),
            )
            for agent in team
        ),
    )
    by_provider = grid(
        "By provider",
        f"provider agents> {sums}",
        (
            (name, str(ledger.distribution.get(name, 0)), *_cells(totals))
            for name, totals in sorted(ledger.providers.items())
        ),
    )
    by_provider.add_section()
    by_provider.add_row("all", str(len(ledger.answered)), *_cells(ledger.total))
    return [by_agent, by_provider]


def distribution(team: Team, ledger: Ledger) -> str:
    """Say how the agents were shared out, and how that was meant."""
    planned: dict[str, int] = {}
    for agent in team:
        name = agent.routes[0].provider
        planned[name] = planned.get(name, 0) + 1
    return f"Distribution: {_shares(ledger.distribution, len(team))}" + (
        "" if planned == ledger.distribution else f" (planned: {_shares(planned, len(team))})"
    )


def _shares(counts: Mapping[str, int], total: int) -> str:
    if not counts:
        return "no agent answered"
    return ", ".join(f"{n} of {total} on {name}" for name, n in sorted(counts.items()))


def _state(name: str, outcome: Outcome, ledger: Ledger) -> str:
    if name in outcome.failed:
        return "failed"
    if name in outcome.blocked:
        return f"waits for {outcome.blocked[name]}"
    if name in outcome.cut:
        return "cut off"
    if name not in outcome.done:
        return "not run"
    return "reused" if name in ledger.reused and name not in ledger.agents else "done"


def _sums(totals: Totals) -> dict[str, Any]:
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
        "waiting_seconds": round(totals.waited, 3),
    }


def _cells(totals: Totals) -> tuple[str, ...]:
    return (
        str(totals.calls),
        str(totals.failed or "–"),
        f"{totals.usage.input:,}",
        f"{totals.usage.output:,}",
        totals.money,
        f"{totals.took:.1f} s",
        f"{totals.waited:.1f} s",
    )
