"""The command that shows what a run will come to, and spends nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from ..app import App
from ..console import echo, show_tables, warn
from ..options import ASSIGN, BUDGET, FILE, JSON, ONLY, REQUEST, SKIP, Command, options, read_text
from ..render import Grid, counted, grid

if TYPE_CHECKING:
    from ...scheduling.estimate import Estimate
    from ...types.agents import TeamGraph


@click.command(cls=Command)
@options(REQUEST, FILE, ASSIGN, ONLY, SKIP, BUDGET, JSON)
@click.pass_obj
def plan(
    app: App,
    request_text: str | None,
    path: str | None,
    assign: Mapping[str, Sequence[str]],
    only: Sequence[str],
    skip: Sequence[str],
    as_json: bool,
) -> None:
    """Show what a run would do, take and cost, before the first call."""
    from ...scheduling.session import Session
    from ...types.run_options import RunOptions

    request = read_text(request_text, path)
    if not request:
        raise UsageError("what shall the team do? rolecall plan 'REQUEST', or -f FILE, or -f -")
    session = Session(app.host, app.settings, RunOptions(assign, only, skip))
    with suppress(UsageError):  # without a key there is nothing to run, but all to plan
        warn(*session.warnings)
    estimate = session.plan(request)
    if estimate.too_long:
        warn(estimate.too_long)
    if as_json:
        echo(json.dumps(plan_json(estimate, session.team), indent=2))
        return
    show_tables([plan_table(estimate, session.team)])
    for line in _words(estimate, app.settings.continuations):
        echo(line)


def plan_json(estimate: "Estimate", team: "TeamGraph") -> dict[str, Any]:
    """Return the plan for programs; costs that are not known are null."""
    forecast = estimate.forecast
    return {
        "agents": [
            {
                "agent": entry.agent.name,
                "needs": list(team.needs(entry.agent.name)),
                "routes": [str(route) for route in entry.agent.routes],
                "model": entry.route.model,
                "calls": entry.calls,
                "input_tokens": round(entry.input),
                "output_tokens": round(entry.output),
                "seconds": round(entry.seconds, 1),
                "cost_usd": {"low": entry.low, "expected": entry.cost, "at_most": entry.most},
                "from_past_runs": entry.known,
            }
            for entry in estimate.agents
        ],
        "calls": forecast.calls,
        "input_tokens": forecast.input,
        "output_tokens": forecast.output,
        "seconds": round(forecast.seconds, 1),
        "cost_usd": {"low": forecast.low, "expected": forecast.cost, "at_most": forecast.most},
        "critical_path": list(estimate.critical),
    }


def plan_table(estimate: "Estimate", team: "TeamGraph") -> Grid:
    """Show who runs where, after whom, and what that will take."""
    place = {entry.agent.name: f"{number}" for number, entry in enumerate(estimate.agents, 1)}
    everyone = len(team) - 1
    return grid(
        counted(len(team), "agent"),
        "#> agent runs_on after~ in> out> cost_$> time_s>",
        (
            (
                f"{place[entry.agent.name]}{'*' if entry.agent.name in estimate.critical else ''}",
                entry.agent.name,
                ", else ".join(str(route) for route in entry.agent.routes),
                "everyone"
                if len(needs := team.needs(entry.agent.name)) == everyone > 1
                else " ".join(place[name] for name in needs if name in place),
                f"{entry.input:,.0f}",
                f"{entry.output:,.0f}",
                "unknown" if entry.cost is None else f"{entry.cost:.4f}",
                f"{entry.seconds:.0f}",
            )
            for entry in estimate.agents
        ),
    )


def _words(estimate: "Estimate", continuations: int) -> Iterator[str]:
    known = sum(entry.known for entry in estimate.agents)
    yield f"Expected: {estimate.forecast.words}"
    yield (
        f"At most: each answer at its output limit, continued {continuations} times, on its "
        "dearest route; calls that fail are rarely billed"
    )
    yield f"* the longest path: {', '.join(estimate.critical)}"
    if estimate.unpriced:
        yield f"Price unknown: {', '.join(estimate.unpriced)}"
    guessed = len(estimate.agents) - known
    if guessed:
        yield f"Of {guessed} of {len(estimate.agents)} agents no past run tells; theirs is a guess"
