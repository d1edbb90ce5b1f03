"""The command that works a change of plan into a finished run."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import click

from ...errors import UsageError
from .. import completion
from ..app import App
from ..options import ASSIGN, BALANCE, BUDGET, DEBUG, JSON, QUIET, REUSE, TRUST, options, read_text
from ..plugin_options import TeamCommand
from ..working import reopened, work


@click.command(cls=TeamCommand)
@click.argument("words", metavar="[RUN] CHANGE", nargs=-1, shell_complete=completion.runs)
@click.option(
    "-f",
    "--file",
    "path",
    metavar="FILE",
    type=click.Path(),
    help="Read the change; - is stdin.",
)
@options(ASSIGN, BUDGET, BALANCE, REUSE, TRUST, JSON, QUIET, DEBUG)
@click.pass_obj
def update(
    app: App,
    /,
    words: Sequence[str],
    path: str | None,
    assign: Mapping[str, Sequence[str]],
    trust: bool,
    as_json: bool,
) -> None:
    """Work a change of plan into a finished run: who is touched by it revises."""
    from ...types.run_options import RunOptions

    texts = 1 if path is None else 0
    if not texts <= len(words) <= texts + 1:
        raise UsageError("what shall change? rolecall update [RUN] 'CHANGE', or -f FILE, or -f -")
    name = words[0] if len(words) > texts else None
    change = read_text(words[-1] if path is None else None, path, "change")
    with reopened(app, "update", name, RunOptions(assign), trust) as (session, folder):
        session.update(folder, change, datetime.now().date().isoformat())
        work(session, folder, as_json)
