"""The command that shows one agent with its prompt, and writes the prompt out to be changed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError, nearest
from .. import completion
from ..app import App
from ..assigned import AssignedTeam, assigned_team
from ..console import echo, warn
from ..options import ASSIGN, JSON, Command

if TYPE_CHECKING:
    from ...config.settings import Settings
    from ...types.tools import Tool

FOLDER = "prompts"  # of prompts that are written out, beside pyproject.toml


@click.command("show", cls=Command)
@click.argument("role", shell_complete=completion.agents)
@click.option("--eject", is_flag=True, help="Write its prompt to a file, for you to change.")
@ASSIGN
@JSON
@click.pass_obj
def show_agent(
    app: App, role: str, eject: bool, assign: Mapping[str, Sequence[str]], as_json: bool
) -> None:
    """Show an agent: where it runs and why, whom it needs, its prompt and what that takes."""
    current = assigned_team(app, assign)
    if role not in current.agents:
        raise UsageError(f"no agent is called {role!r}{nearest(role, current.agents)}")
    if eject:
        _eject(role, current.agents[role].agent.prompt, app.settings)
        return
    row = agent_json(role, current, app.settings, app.host.tools(app.settings))
    if as_json:
        echo(json.dumps(row, indent=2))
    else:
        echo(_text(row))


def agent_json(
    role: str,
    current: AssignedTeam,
    settings: "Settings",
    tools: "Mapping[str, tuple[Tool, str]]",
) -> dict[str, Any]:
    """Return all that is known of an agent; a cost that nobody knows is null."""
    from ...execution.attempt import estimate
    from ...execution.pricing import Pricing
    from ...plugin.manager import supplied
    from ...scheduling.toolbox import choose
    from ...types.messages import Request
    from ...usage import Usage

    assigned = current.agents[role]
    agent = assigned.agent
    prices = Pricing(settings, supplied(current.providers))
    routes = [prices.resolve(route) for route in agent.routes]
    known = supplied(tools) if agent.tools else {}
    box = choose(agent, known, has_sandbox=True, registers=not settings.verify)
    tokens = round(estimate(Request(f"{agent.shared}{agent.prompt}", (), tools=box.specs)))
    alike = [other for other in current.team if other.shared and other.shared == agent.shared]
    return {
        "agent": role,
        "title": agent.title,
        "goal": agent.goal,
        "plugin": assigned.plugin,
        "off": assigned.off,
        "routes": [str(route) for route in routes],
        "decided_by": assigned.decided_by,
        "needs": [] if assigned.off else list(current.team.needs(role)),
        "needed_by": [] if assigned.off else list(current.team.dependants[role]),
        "tools": [tool.name for tool in box.tools],
        "plan": agent.plan,
        "characters": len(agent.prompt) + len(agent.shared),
        "shared_characters": len(agent.shared),
        "shared_with": [other.name for other in alike if other.name != role],
        "tokens": tokens,
        "cost_usd": routes[0].cost(Usage(input=tokens)) if routes else None,
        "shared": agent.shared,
        "prompt": agent.prompt,
    }


def _text(row: Mapping[str, Any]) -> str:
    cost = row["cost_usd"]
    money = "at an unknown price" if cost is None else f"${cost:.4f} a call"
    shared, others = row["shared_characters"], len(row["shared_with"])
    alike = f"; {shared:,} of them shared with {others} others" if shared and others else ""
    lines = {
        "goal": row["goal"],
        "runs on": "off" if row["off"] else " → ".join(row["routes"]),
        "decided by": row["decided_by"],
        "from": row["plugin"],
        "needs": ", ".join(row["needs"]),
        "needed by": ", ".join(row["needed_by"]),
        "tools": ", ".join(row["tools"]),
        "prompt": f"{row['characters']:,} characters{alike}",
        "costs": f"about {row['tokens']:,} tokens with its tools, {money}",
    }
    head = [f"{name:12}{value}" for name, value in lines.items() if value]
    parts = [f"{row['agent']}: {row['title']}", *head]
    for text in filter(None, (row["shared"], row["prompt"])):
        parts += ["", text.strip()]
    return "\n".join(parts)


def _eject(role: str, prompt: str, settings: "Settings") -> None:
    """Write a prompt beside the project's file, and show the lines that put it to use."""
    own = settings.agents.get(role)
    if own is not None and own.prompt:
        raise UsageError(f"the prompt of {role} is a file already: see {settings.source}")
    project = Path(settings.source).parent if Path(settings.source).is_file() else Path()
    file = project / FOLDER / f"{role}.md"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="\n") as opened:
            opened.write(f"{prompt.strip()}\n")
    except FileExistsError as error:
        raise UsageError(f"{file} is there already; move it away, or put it to use") from error
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from error
    warn(f"the prompt is in {file}; to use it, put this into pyproject.toml")
    echo(f"[tool.rolecall.agents.{role}]\nprompt = {json.dumps(f'{FOLDER}/{role}.md')}")
    if own is not None and own.routes:
        echo(f"routes = {json.dumps(list(own.routes))}")
        warn("instead of the line that it has there now")
