"""Puts a team to work for the commands that do, and shows what came of it."""

import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..errors import BudgetReached, RunError
from .app import App
from .console import echo, results_alone, terminal_width, warn, warn_of_logged
from .options import asks_for_help, known

INTERRUPTED = 130


class Again(click.Command):
    """A command on a run: repeats the options of plugins that the run was started with."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from ..storage.run_folder import find_run, read_about

        if not asks_for_help(args):
            given, _, _ = self.make_parser(ctx).parse_args(list(args))
            path = find_run(Path(ctx.obj.settings.runs), self.named(given))
            ctx.obj.flags = read_about(path).get("flags", [])
            args = [*known(ctx.obj.flags, self), *args]
        return super().parse_args(ctx, args)

    def named(self, given: Mapping[str, Any]) -> str | None:
        """Give the run's name from what the parser found."""
        name = given.get("name")
        return name if isinstance(name, str) else None  # click has a word of its own for none


class AgainWithText(Again):
    """The same where the words may be a run and a text, or a text alone."""

    def named(self, given: Mapping[str, Any]) -> str | None:
        words = given.get("words")
        texts = 0 if isinstance(given.get("path"), str) else 1
        if isinstance(words, tuple) and len(words) == texts + 1:
            return str(words[0])
        return None


@contextmanager
def reopened(app: App, name: str | None) -> Iterator[tuple[Any, Any]]:
    """Open a run's folder again, say what is odd about it, and give the options it had."""
    from ..scheduling.session import started_with
    from ..storage.run_folder import RunFolder, find_run, read_about
    from ..types.run_options import RunOptions

    path = find_run(Path(app.settings.runs), name)
    app.lay(started_with(path))
    with RunFolder(path) as folder:
        if folder.torn:
            warn(f"{path}: the journal's last line was unfinished and is dropped")
        doubtful = ", ".join(folder.store.in_doubt)
        if doubtful:
            billed = "" if app.settings.rehearsal else ", perhaps billed,"
            warn(f"cut off under way{billed} and asked again: {doubtful}")
        yield folder, RunOptions.read(read_about(path))


def open_session(app: App, options: Any) -> Any:
    from ..scheduling.session import Session

    warn_of_logged()

    with results_alone():
        session = Session(app.host, app.settings, options, app.clock)
    warnings = session.warnings
    if not app.settings.quiet:
        warn(*warnings)
    return session


def work(app: App, session: Any, folder: Any, as_json: bool, frozen: Collection[str] = ()) -> int:
    """Run the team in its folder, show what came of it, and say how to go on."""
    import asyncio

    from ..scheduling.session import terminable
    from .ending import Ending
    from .summary import run_json

    again = f"rolecall resume {shlex.quote(str(folder.path))}"
    began = app.clock.now()
    try:
        with results_alone():
            outcome = asyncio.run(terminable(session.run(folder, frozen)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _warn_missing(session, {*session.ledger.answered, *session.ledger.edited})
        warn(f"interrupted; what is answered is kept. Go on with: {again}")
        return INTERRUPTED
    except RunError:
        warn(f"what is answered is kept. Mend this, then go on with: {again}")
        raise
    ledger = session.ledger
    if outcome.failed:
        _warn_missing(session, outcome.done)
        warn(*[str(error) for error in outcome.failed.values()])
    warn(*[f"{name}: its deliverable is cut off by the output limit" for name in outcome.cut])
    if ledger.reused and not app.settings.quiet:
        kept = f"{len(ledger.reused)} agents' answers were kept"
        warn(f"{kept}, which saves ${ledger.saved:.4f}")
    if outcome.failed:
        more = " --budget USD" if outcome.exit_code == BudgetReached.exit_code else ""
        warn(f"{len(outcome.done)} of {len(session.team)} agents done. Go on with: {again}{more}")
    elif outcome.cut:
        warn(f"raise `continuations` in [tool.rolecall], then go on with: {again}")
    seconds = app.clock.now() - began
    ending = Ending.of(folder.path, session.team, session.file, outcome, ledger, seconds)
    if as_json:
        told = run_json(str(folder.path), session.team, outcome, ledger)
        echo(json.dumps({**told, **ending.json()}))
    else:
        echo(ending.text(terminal_width()))
    return int(outcome.exit_code)


def _warn_missing(session: Any, done: Collection[str]) -> None:
    missing = [agent.name for agent in session.team if agent.name not in done]
    if missing:
        warn(f"missing: {', '.join(missing)}")
