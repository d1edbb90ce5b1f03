"""What the command line lists, as tables and as JSON values; nothing here prints."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict

from ..types.agents import Route
from ..types.messages import lacking, resolve
from .render import Grid, grid

if TYPE_CHECKING:
    from ..plugin.assignment import Assigned
    from ..plugin.manager import Plugin
    from ..storage.run_index import State
    from ..types.agents import Team
    from ..types.messages import Provider

WIDE = 120  # columns


def agents_json(assigned: "Mapping[str, Assigned]", team: "Team") -> list[dict[str, Any]]:
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


def agents_table(rows: list[dict[str, Any]], width: int) -> Grid:
    """Show the agents; what they need only where there is room for it."""
    everyone = len(rows) - 1
    wide = width >= WIDE
    return grid(
        f"{len(rows)} agents{'' if wide else f'; what they need shows from {WIDE} columns'}",
        f"agent runs_on decided_by~{' needs~' if wide else ''}",
        (
            (
                row["agent"],
                "off" if row["off"] else " → ".join(row["routes"]),
                row["decided_by"],
                *([_needs(row["needs"], everyone)] if wide else []),
            )
            for row in rows
        ),
    )


def _needs(names: list[str], everyone: int) -> str:
    return "everyone" if len(names) == everyone > 1 else ", ".join(names)


def providers_json(providers: "Mapping[str, tuple[Provider, str]]") -> list[dict[str, Any]]:
    return [
        {
            "provider": name,
            "model": resolve(Route(name), provider).model,
            "plugin": plugin,
            "missing": lacking(provider),
        }
        for name, (provider, plugin) in providers.items()
    ]


def providers_table(rows: list[dict[str, Any]], width: int) -> Grid:
    return grid(
        f"{len(rows)} providers",
        "provider default_model plugin state~",
        (
            (row["provider"], row["model"] or "–", row["plugin"], row["missing"] or "ready")
            for row in rows
        ),
    )


def plugins_json(plugins: "Iterable[Plugin]", timings: bool = False) -> list[dict[str, Any]]:
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


def plugins_table(rows: list[dict[str, Any]], width: int) -> Grid:
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


def runs_json(listed: "Iterable[tuple[Path, State]]") -> list[dict[str, Any]]:
    return [{"run": path.name, **asdict(state)} for path, state in listed]


def runs_table(rows: list[dict[str, Any]], width: int) -> Grid:
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
