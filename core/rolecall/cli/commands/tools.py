"""The command that lists the tools, and which agents may use them."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..console import show, warn
from ..options import JSON, Command
from ..render import Grid, counted, grid

if TYPE_CHECKING:
    from ...scheduling.toolbox import Toolbox
    from ...types.agents import Agent
    from ...types.tools import Tool


@click.command(cls=Command)
@JSON
@click.pass_obj
def tools(app: App, as_json: bool) -> None:
    """List the tools, and which agents may use them."""
    from ...plugin.assignment import assign
    from ...plugin.sandboxes import pick_sandbox

    app.host.check()
    assigned = assign(app.host, app.settings, app.host.providers(app.settings))
    agents = [each.agent for each in assigned.values()]
    registers = not app.settings.verify
    listed = tools_json(app.host.tools(app.settings), agents, registers, app.settings.allow)
    show(listed, tools_table, as_json)
    sandbox = pick_sandbox(app.host, app.settings)
    if sandbox.sandbox is None:
        warn(f"no command can be run on this machine: {sandbox.why}")


def tools_json(
    tools: "Mapping[str, tuple[Tool, str]]",
    agents: "Sequence[Agent]",
    registers: bool = True,
    allow: "Sequence[str]" = (),
) -> list[dict[str, Any]]:
    """List tools with who may use them.

    registers: whether agents name the checks of their work themselves. allow: the setting, which
    lets tools change something outside of the workspace without asking.
    """
    from ...scheduling.checks.registration import RegisterChecks
    from ...scheduling.toolbox import choose
    from ...types.tools import ChangesOutside

    known = {name: tool for name, (tool, _) in tools.items()}
    boxes = {agent.name: choose(agent, known, True, registers=registers) for agent in agents}
    own: dict[str, tuple[Tool, str]] = {RegisterChecks.name: (RegisterChecks(), "rolecall")}
    return [
        {
            "tool": name,
            "plugin": plugin,
            "read_only": tool.read_only,
            "outside": isinstance(tool, ChangesOutside) and tool.outside,
            "allowed": any(fnmatchcase(name, pattern) for pattern in allow),
            "description": tool.description,
            "agents": [agent for agent, box in boxes.items() if name in _names(box)],
        }
        for name, (tool, plugin) in {**tools, **own}.items()
    ]


def _changes(row: Mapping[str, Any]) -> str:
    """Describe what a tool changes, and whether it asks the operator first."""
    if row["outside"]:
        return "outside, allowed" if row["allowed"] else "outside, asks"
    return "" if row["read_only"] else "yes"


def _names(box: "Toolbox") -> list[str]:
    return [tool.name for tool in box.tools]


def tools_table(rows: list[dict[str, Any]], width: int) -> Grid:
    return grid(
        counted(len(rows), "tool"),
        "tool does~ changes agents~ plugin",
        (
            (
                row["tool"],
                row["description"].partition(". ")[0].rstrip("."),
                _changes(row),
                ", ".join(row["agents"]),
                row["plugin"],
            )
            for row in rows
        ),
    )
