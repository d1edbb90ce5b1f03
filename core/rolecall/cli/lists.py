"""The commands that list: agents, providers, plugins and runs."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ..errors import UsageError
from ..plugin.manager import Host
from .console import echo, show
from .options import ASSIGN, JSON, RUN, App


@click.command()
@ASSIGN
@JSON
@click.pass_obj
def agents(app: App, assign: Mapping[str, Sequence[str]], as_json: bool) -> None:
    """List the agents, where they run, and who decided that."""
    from ..plugin.assignment import assemble, switched_off
    from ..plugin.assignment import assign as decide
    from .tables import agents_json, agents_table

    app.host.check()
    found = app.host.providers(app.settings)
    assigned = decide(app.host, app.settings, found, assign)
    team, _ = assemble((each.agent for each in assigned.values()), skip=switched_off(assigned))
    show(agents_json(assigned, team), agents_table, as_json)


@click.command()
@JSON
@click.pass_obj
def providers(app: App, as_json: bool) -> None:
    """List the providers and whether they can be called."""
    from .tables import providers_json, providers_table

    app.host.check()
    show(providers_json(app.host.providers(app.settings)), providers_table, as_json)


@click.group(invoke_without_command=True)
@JSON
@click.option("--timings", is_flag=True, help="Say how long each took to import.")
@click.pass_context
def plugins(ctx: click.Context, as_json: bool, timings: bool) -> None:
    """List the plugins, also those that do not load."""
    from .tables import plugins_json, plugins_table

    if ctx.invoked_subcommand is None:
        host: Host = ctx.obj.host
        show(plugins_json(host.plugins, timings), plugins_table, as_json)
        host.check()


@click.group()
def runs() -> None:
    """List, compare and delete runs."""


@runs.command("list")
@JSON
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """List the runs, the newest first."""
    from ..storage.run_index import list_runs
    from .tables import runs_json, runs_table

    show(runs_json(list_runs(Path(app.settings.runs))), runs_table, as_json)


@runs.command("show")
@RUN
@click.pass_obj
def show_(app: App, name: str | None) -> None:
    """Show a run: its request, its state, and what each agent cost."""
    from ..storage.run_folder import RunFolder, find_run
    from ..storage.run_index import read_state

    path = find_run(Path(app.settings.runs), name)
    state = read_state(path)
    with RunFolder(path) as folder:
        echo(f"{path}: {state.state}, {state.done} of {state.agents} agents done\n")
        echo(folder.request)
        for agent, spent in folder.memo.spent.items():
            echo(f"{agent:34}{spent.calls:4} calls  ${spent.cost:.4f}")


@runs.command()
@click.argument("name")
@click.argument("other", required=False)
@click.pass_obj
def diff(app: App, name: str, other: str | None) -> None:
    """Compare two runs, or a run with what its last change replaced."""
    from ..storage.run_folder import find_run
    from ..storage.run_index import differences, last_change

    path = find_run(Path(app.settings.runs), name)
    second = find_run(Path(app.settings.runs), other) if other else None
    for line in differences(path, second) if second else last_change(path):
        echo(line.rstrip("\n"))


@runs.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(app: App, names: Sequence[str], yes: bool) -> None:
    """Delete runs, with all that was paid for in them."""
    from ..storage.run_folder import find_run
    from ..storage.run_index import remove

    paths = [find_run(Path(app.settings.runs), name) for name in names]
    if not yes and not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked; to delete them all the same, add --yes")
    if not yes:
        click.confirm(f"Delete {', '.join(map(str, paths))}?", abort=True, err=True)
    for path in paths:
        remove(path)
