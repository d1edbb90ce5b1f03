"""The command that works a change of plan into a finished run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from ...errors import UsageError
from ..app import App
from ..options import ASSIGN, BUDGET, DEBUG, JSON, QUIET, REUSE, options, read_request
from ..working import AgainWithText, open_session, reopened, work


@click.command(cls=AgainWithText)
@click.argument("words", metavar="[RUN] CHANGE", nargs=-1)
@click.option("-f", "--file", "path", metavar="FILE", help="Read the change; - is stdin.")
@options(ASSIGN, BUDGET, REUSE, JSON, QUIET, DEBUG)
@click.pass_obj
def update(
    app: App,
    /,
    words: Sequence[str],
    path: str | None,
    assign: Mapping[str, Sequence[str]],
    as_json: bool,
    **added: Any,
) -> int:
    """Work a change of plan into a finished run: who is touched by it revises."""
    texts = 1 if path is None else 0
    if not texts <= len(words) <= texts + 1:
        raise UsageError("what shall change? rolecall update [RUN] 'CHANGE', or -f FILE, or -f -")
    change = read_request(words[-1] if path is None else None, path, "change")
    with reopened(app, words[0] if len(words) > texts else None) as (folder, saved):
        session = open_session(app, saved.changed(assign))
        session.update(folder, change, datetime.now().date().isoformat())
        return work(app, session, folder, as_json)
