"""The command that finishes a run."""

from collections.abc import Mapping, Sequence

import click

from ..app import App
from ..console import warn
from ..options import (
    ASSIGN,
    BALANCE,
    BUDGET,
    DEBUG,
    JSON,
    ONLY,
    QUIET,
    REUSE,
    RUN,
    SKIP,
    TRUST,
    options,
)
from ..plugin_options import TeamCommand
from ..working import reopened, work


@click.command(cls=TeamCommand)
@options(RUN, ASSIGN, ONLY, SKIP, BUDGET, BALANCE, REUSE, TRUST, JSON, QUIET, DEBUG)
@click.pass_obj
def resume(
    app: App,
    /,
    name: str | None,
    assign: Mapping[str, Sequence[str]],
    only: Sequence[str],
    skip: Sequence[str],
    trust: bool,
    as_json: bool,
) -> None:
    """Finish a run, the latest if none is named."""
    from ...types.run_options import RunOptions

    chosen = RunOptions(assign, only, skip)
    with reopened(app, "resume", name, chosen, trust) as (session, folder):
        warn(*session.edits(folder))
        work(session, folder, as_json)
