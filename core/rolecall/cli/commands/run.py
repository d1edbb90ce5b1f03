"""The command that puts the team to work on a request."""

from collections.abc import Mapping, Sequence

import click

from ..app import App
from ..options import (
    ASSIGN,
    BALANCE,
    BUDGET,
    DEBUG,
    FILE,
    JSON,
    ONLY,
    OUTPUT,
    QUIET,
    REQUEST,
    REUSE,
    SKIP,
    options,
    read_text,
)
from ..plugin_options import TeamCommand
from ..working import begun, work


@click.command(cls=TeamCommand)
@options(REQUEST, FILE, OUTPUT, ASSIGN, ONLY, SKIP, BUDGET, BALANCE, REUSE, JSON, QUIET, DEBUG)
@click.pass_obj
def run(
    app: App,
    /,
    request_text: str | None,
    path: str | None,
    output: str | None,
    assign: Mapping[str, Sequence[str]],
    only: Sequence[str],
    skip: Sequence[str],
    as_json: bool,
) -> None:
    """Put the team to work on a request."""
    from ...types.run_options import RunOptions

    chosen = RunOptions(assign, only, skip)
    with begun(app, chosen, read_text(request_text, path), output) as (session, folder):
        work(session, folder, as_json)
