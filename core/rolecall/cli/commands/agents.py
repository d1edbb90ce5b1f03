"""The command that lists the agents, where they run, and who decided that."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..console import show
from ..options import ASSIGN, JSON, Command
from ..render import Grid, counted, grid

if TYPE_CHECKING:
    from ...plugin.assignment import Assigned
    from ...types.agents import Team

WIDE = 120  # columns


@click.command(cls=Command)
@ASSIGN
@JSON
@click.pass_obj
def agents(app: App, assign: Mapping[str, Sequence[str]], as_json: bool) -> None:
    """List the agents, where they run, and who decided that."""
    from ...plugin.assignment import assemble, switched_off
    from ...plugin.assignment import assign as decide

    app.host.check()
    found = app.host.providers(app.settings)
    assigned = decide(app.host, app.settings, found, assign)
    team, _ = assemble((each.agent for each in assigned.values()), skip=switched_off(assigned))
    show(agents_json(assigned, team), agents_table, as_json)


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
        counted(len(rows), "agent")
        + ("" if wide else f"; what they need shows from {WIDE} columns"),
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
