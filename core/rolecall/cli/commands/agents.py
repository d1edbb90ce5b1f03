"""The command that lists the agents, where they run, and who decided that."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..assigned import assigned_team
from ..command_line import Group
from ..console import show
from ..options import ASSIGN, JSON
from ..render import Grid, counted, grid
from .agents_show import show_agent

if TYPE_CHECKING:
    from ...plugin.assignment import Assigned
    from ...types.agents import TeamGraph

WIDE = 120  # columns


@click.group(cls=Group, invoke_without_command=True)
@ASSIGN
@JSON
@click.pass_context
def agents(ctx: click.Context, assign: Mapping[str, Sequence[str]], as_json: bool) -> None:
    """List the agents, where they run, and who decided that."""
    if ctx.invoked_subcommand is None:
        current = assigned_team(ctx.obj, assign)
        show(agents_json(current.agents, current.team), agents_table, as_json)


agents.add_command(show_agent)


def agents_json(assigned: "Mapping[str, Assigned]", team: "TeamGraph") -> list[dict[str, Any]]:
    return [
        {
            "agent": name,
            "title": own.agent.title,
            "goal": own.agent.goal,
            "routes": [str(route) for route in own.agent.routes],
            "needs": [] if own.off else list(team.needs(name)),
            "plugin": own.plugin,
            "decided_by": own.decided_by,
            "off": own.off,
        }
        for name, own in assigned.items()
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
