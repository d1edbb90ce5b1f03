"""The command that asks agents of a run again."""

import sys
from collections.abc import Mapping, Sequence

import click

from ...errors import UsageError
from .. import completion
from ..app import App
from ..console import warn
from ..options import ASSIGN, BALANCE, BUDGET, DEBUG, JSON, QUIET, REUSE, RUN, TRUST, options
from ..plugin_options import TeamCommand
from ..working import reopened, work


@click.command(cls=TeamCommand)
@options(RUN)
@click.option(
    "--from",
    "start",
    multiple=True,
    metavar="AGENT",
    shell_complete=completion.agents,
    help="And all who need it.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="AGENT",
    shell_complete=completion.agents,
    help="And leave the others as they are.",
)
@click.option("--yes", is_flag=True, help="On a terminal, do not ask first.")
@options(ASSIGN, BUDGET, BALANCE, REUSE, TRUST, JSON, QUIET, DEBUG)
@click.pass_obj
def rerun(
    app: App,
    /,
    name: str | None,
    start: Sequence[str],
    only: Sequence[str],
    yes: bool,
    assign: Mapping[str, Sequence[str]],
    trust: bool,
    as_json: bool,
) -> None:
    """Ask agents of a run again although nothing has changed."""
    from ...types.run_options import RunOptions

    if bool(start) == bool(only):
        raise UsageError("which agents? --from AGENT with all who need it, or --only AGENT alone")
    with reopened(app, "rerun", name, RunOptions(assign), trust) as (session, folder):
        again = session.rerun(folder, start, only)
        warn(again.words)
        if not yes and sys.stdin.isatty() and not click.confirm("Go on?", err=True):
            return
        folder.store.forget(again.agents)
        work(session, folder, as_json, again.frozen)
