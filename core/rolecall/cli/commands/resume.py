"""The command that finishes a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..app import App
from ..console import warn
from ..options import ASSIGN, BUDGET, DEBUG, JSON, ONLY, QUIET, REUSE, RUN, SKIP, options
from ..working import Again, open_session, reopened, work


@click.command(cls=Again)
@RUN
@options(ASSIGN, ONLY, SKIP, BUDGET, REUSE, JSON, QUIET, DEBUG)
@click.pass_obj
def resume(
    app: App,
    /,
    name: str | None,
    assign: Mapping[str, Sequence[str]],
    only: Sequence[str],
    skip: Sequence[str],
    as_json: bool,
    **added: Any,
) -> int:
    """Finish a run, the latest if none is named."""
    with reopened(app, name) as (folder, saved):
        session = open_session(app, saved.changed(assign, only, skip))
        warn(*session.edits(folder))
        return work(app, session, folder, as_json)
