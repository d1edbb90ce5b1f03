"""The command that puts the team to work on a request."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..app import App
from ..options import (
    ASSIGN,
    BUDGET,
    DEBUG,
    JSON,
    ONLY,
    QUIET,
    REUSE,
    SKIP,
    options,
    read_request,
    spelled,
)
from ..working import open_session, work


@click.command()
@click.argument("request_text", metavar="[REQUEST]", required=False)
@click.option("-f", "--file", "path", metavar="FILE", help="Read the request; - is stdin.")
@click.option("-o", "--output", metavar="DIR", help="The run's folder, new or empty.")
@options(ASSIGN, ONLY, SKIP, BUDGET, REUSE, JSON, QUIET, DEBUG)
@click.pass_context
def run(
    ctx: click.Context,
    /,
    request_text: str | None,
    path: str | None,
    output: str | None,
    assign: Mapping[str, Sequence[str]],
    only: Sequence[str],
    skip: Sequence[str],
    as_json: bool,
    **added: Any,
) -> int:
    """Put the team to work on a request."""
    from ...storage.run_folder import RunFolder
    from ...types.run_options import RunOptions

    app: App = ctx.obj
    request = read_request(request_text, path)
    session = open_session(app, RunOptions(assign, only, skip))
    about = session.describe(spelled(ctx, run))
    with RunFolder.begin(Path(app.settings.runs), request, about, output) as opened:
        return work(app, session, opened, as_json)
