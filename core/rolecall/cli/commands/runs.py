"""The commands that list, compare, adopt and delete runs."""

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import RunError, UsageError
from .. import completion
from ..app import App
from ..command_line import Group
from ..console import echo, show, warn, warn_of_logged
from ..options import JSON, RUN, Command
from ..render import Grid, counted, grid, one_line
from ..trust import remark

if TYPE_CHECKING:
    from ...storage.origin import Signer
    from ...storage.run_index import RunState


@click.group(cls=Group)
def runs() -> None:
    """List, compare, adopt and delete runs."""


@runs.command("list", cls=Command)
@JSON
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """List the runs, the newest first."""
    from ...storage.origin import Signer
    from ...storage.run_index import list_runs

    signer = Signer(app.settings.identity)
    rows = runs_json(list_runs(Path(app.settings.runs)), signer)
    show(rows, runs_table, as_json)
    foreign = [row["run"] for row in rows if not row["yours"]]
    if foreign:
        warn(f"not known to be yours: {', '.join(foreign)} (rolecall runs show RUN says why)")


@runs.command("show", cls=Command)
@RUN
@click.pass_obj
def show_(app: App, name: str | None) -> None:
    """Show a run: its request, its state, what each agent cost and did, and what was verified."""
    from ...observers.ledger import Ledger
    from ...storage.call_log import CallLog
    from ...storage.journal import read_records
    from ...storage.run_folder import read_request
    from ...storage.run_index import read_state
    from ...storage.run_paths import find_run
    from ..summary import describe_tools, verification

    path = find_run(Path(app.settings.runs), name)
    state, request, calls = read_state(path), read_request(path), CallLog(read_records(path))
    ledger = Ledger()
    for event in (*calls.acted, *calls.verified):
        ledger.notify(event)
    remark(app, path)
    echo(f"{one_line(str(path))}: {state.state}, {state.done} of {state.agents} agents done\n")
    echo(request)
    for agent, spent in calls.spent.items():
        unit = "call " if spent.calls == 1 else "calls"
        acts = f"  {describe_tools(ledger.acting[agent])}" if agent in ledger.acting else ""
        echo(f"{agent:34}{spent.calls:4} {unit}  ${spent.cost:.4f}{acts}")
    if ledger.verified:
        echo(verification(ledger.verified))


@runs.command(cls=Command)
@click.argument("name", shell_complete=completion.runs)
@click.argument("other", required=False, shell_complete=completion.runs)
@click.pass_obj
def diff(app: App, name: str, other: str | None) -> None:
    """Compare two runs, or a run with what its last change replaced."""
    from ...storage.acting.state_diff import compare_runs, compare_states
    from ...storage.run_index import differences, last_change
    from ...storage.run_paths import find_run

    path = find_run(Path(app.settings.runs), name)
    second = find_run(Path(app.settings.runs), other) if other else None
    remark(app, path, *([second] if second else []))
    environment = app.settings.environment
    if second is not None:
        lines = [*differences(path, second), *compare_runs(path, second, environment)]
    else:
        lines = [*last_change(path), *compare_states(path, environment)]
        if not lines:
            raise RunError(f"{path} has only one state; name a second run to compare it with")
    for line in lines:
        echo(line.rstrip("\n"))


@runs.command(cls=Command)
@click.argument("names", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.runs)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(app: App, names: Sequence[str], yes: bool) -> None:
    """Delete runs, with all that was paid for in them."""
    from ...storage.run_index import remove
    from ...storage.run_paths import find_run

    paths = [find_run(Path(app.settings.runs), name) for name in names]
    if not yes and not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked; to delete them all the same, add --yes")
    if not yes:
        named = one_line(", ".join(map(str, paths)))
        click.confirm(f"Delete {named}?", abort=True, err=True)
    for path in paths:
        remove(path)


@runs.command(cls=Command)
@click.argument("names", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.runs)
@click.pass_obj
def trust(app: App, names: Sequence[str]) -> None:
    """Make runs yours that somebody else made or changed; look at them first."""
    from ...storage.origin import Signer
    from ...storage.run_folder import RunFolder
    from ...storage.run_paths import find_run

    warn_of_logged()
    signer = Signer(app.settings.identity)
    for path in [find_run(Path(app.settings.runs), name) for name in names]:
        doubt = signer.doubt(path)
        if doubt:
            RunFolder(path, signer, trust=True).close()
            signer.check(path)
        echo(f"{path} {doubt}; it is yours now" if doubt else f"{path} is yours already")


def runs_json(listed: "Iterable[tuple[Path, RunState]]", signer: "Signer") -> list[dict[str, Any]]:
    from attrs import asdict

    return [
        {"run": path.name, **asdict(state), "yours": not signer.doubt(path)}
        for path, state in listed
    ]


def runs_table(rows: list[dict[str, Any]], width: int) -> Grid:
    return grid(
        counted(len(rows), "run"),
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
    seconds = max(0.0, seconds)  # a run of a machine whose clock is ahead
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
