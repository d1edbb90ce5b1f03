"""The command line: where it starts and ends, and the commands that put a team to work."""

import gc
import json
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config.project import find_project, read_table
from ..errors import BudgetReached, RolecallError, RunError, UsageError
from ..plugin.manager import Host
from .command_line import CommandLine
from .console import echo, encode_anything, show_tables, warn, warn_of_logged
from .doctor import doctor
from .lists import agents, plugins, providers, runs
from .options import (
    ASSIGN,
    BLOCK,
    BUDGET,
    DEBUG,
    JSON,
    ONLY,
    QUIET,
    REUSE,
    RUN,
    SKIP,
    App,
    asks_for_help,
    blocked,
    known,
    options,
    read_request,
    spelled,
)
from .plan import plan
from .report import report

INTERRUPTED = 130
SELDOM = 50_000  # objects; what is imported lasts, and looking it through for garbage takes time
C = TypeVar("C", bound=click.Command)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    encode_anything()
    gc.set_threshold(SELDOM)
    debug = "--debug" in sys.argv
    try:
        code = _main(sys.argv[1:])
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        asked = getattr(error, "ctx", None)
        more = f" (see {asked.command_path} --help)" if asked is not None else ""
        warn(f"{error.format_message()}{more}")
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        warn("interrupted")
        code = INTERRUPTED
    except RolecallError as error:
        warn(str(error))
        code = error.exit_code
    except Exception as error:
        if debug:
            raise
        warn(f"internal error: {type(error).__name__}: {error} (--debug shows where)")
        code = 1
    sys.exit(code)


def _main(arguments: Sequence[str]) -> int:
    without = blocked(arguments)
    if asks_for_help(arguments):
        app = App(Host(block=(*_blocked_here(), *without)))
    else:
        from ..config.settings import load_settings

        settings = load_settings(Path.cwd())
        app = App(Host(block=(*settings.block, *without)), settings)
    cli = build(app.host)
    result = cli.main(
        args=list(arguments),
        prog_name="rolecall",
        obj=app,
        standalone_mode=False,
    )
    return result if isinstance(result, int) else 0


def _blocked_here() -> Sequence[str]:
    """Name the plugins that are blocked here; help needs no other setting, and no right one."""
    try:
        project = find_project(Path.cwd())
        block = read_table(project).get("block", ()) if project else ()
    except RolecallError as error:
        warn(str(error))
        return ()
    found = [block] if isinstance(block, str) else block
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else ()


def build(host: Host) -> CommandLine:
    """Make the command line: core's commands, then what plugins add."""
    cli = CommandLine(
        "rolecall",
        help="A team of LLM roles on one request, inside one rate limit.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    click.version_option(package_name="rolecall")(cli)
    core = (run, resume, rerun, update, plan, report, runs, agents, providers, plugins, doctor)
    for command in core:
        cli.add_command(_copied(command))  # plugins may add options
    host.commands(cli)
    return _copied(cli, BLOCK)


def _copied(command: C, *options: click.Option) -> C:
    """Copy a command, for command lines share it, and give it further options."""
    own = copy(command)
    own.params = [*command.params, *options]
    if isinstance(own, click.Group):
        own.commands = {name: _copied(each, *options) for name, each in own.commands.items()}
    return own


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
    budget: float | None,
    as_json: bool,
    debug: bool,
    **added: Any,
) -> int:
    """Put the team to work on a request."""
    from ..storage.run_folder import RunFolder
    from ..types.run_options import RunOptions

    app: App = ctx.obj
    request = read_request(request_text, path)
    session = _session(app, RunOptions(assign, only, skip, budget))
    about = session.describe(spelled(ctx, run))
    with RunFolder.begin(Path(app.settings.runs), request, about, output) as opened:
        return _work(app, session, opened, as_json)


class _Again(click.Command):
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


class _AgainWithText(_Again):
    def named(self, given: Mapping[str, Any]) -> str | None:
        words = given.get("words")
        texts = 0 if isinstance(given.get("path"), str) else 1
        if isinstance(words, tuple) and len(words) == texts + 1:
            return str(words[0])
        return None


@click.command(cls=_Again)
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
    budget: float | None,
    as_json: bool,
    debug: bool,
    **added: Any,
) -> int:
    """Finish a run, the latest if none is named."""
    with _reopened(app, name) as (folder, saved):
        session = _session(app, saved.changed(assign, only, skip, budget))
        warn(*session.edits(folder))
        return _work(app, session, folder, as_json)


@click.command(cls=_Again)
@RUN
@click.option("--from", "start", multiple=True, metavar="AGENT", help="And all who need it.")
@click.option("--only", multiple=True, metavar="AGENT", help="And leave the others as they are.")
@click.option("--yes", is_flag=True, help="On a terminal, do not ask first.")
@options(ASSIGN, BUDGET, REUSE, JSON, QUIET, DEBUG)
@click.pass_obj
def rerun(
    app: App,
    /,
    name: str | None,
    start: Sequence[str],
    only: Sequence[str],
    yes: bool,
    assign: Mapping[str, Sequence[str]],
    budget: float | None,
    as_json: bool,
    debug: bool,
    **added: Any,
) -> int:
    """Ask agents of a run again although nothing has changed."""
    from ..scheduling.session import Rerun

    if bool(start) == bool(only):
        raise UsageError("which agents? --from AGENT with all who need it, or --only AGENT alone")
    with _reopened(app, name) as (folder, saved):
        session = _session(app, saved.changed(assign, budget=budget))
        again = Rerun.plan(session.team, folder.memo, start, only)
        warn(again.words)
        if not yes and sys.stdin.isatty() and not click.confirm("Go on?", err=True):
            return 0
        folder.memo.forget(again.agents)
        return _work(app, session, folder, as_json, again.frozen)


@click.command(cls=_AgainWithText)
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
    budget: float | None,
    as_json: bool,
    debug: bool,
    **added: Any,
) -> int:
    """Work a change of plan into a finished run: who is touched by it revises."""
    texts = 1 if path is None else 0
    if not texts <= len(words) <= texts + 1:
        raise UsageError("what shall change? rolecall update [RUN] 'CHANGE', or -f FILE, or -f -")
    change = read_request(words[-1] if path is None else None, path, "change")
    with _reopened(app, words[0] if len(words) > texts else None) as (folder, saved):
        session = _session(app, saved.changed(assign, budget=budget))
        session.update(folder, change, datetime.now().date().isoformat())
        return _work(app, session, folder, as_json)


@contextmanager
def _reopened(app: App, name: str | None) -> Iterator[tuple[Any, Any]]:
    """Open a run's folder again, say what is odd about it, and give the options it had."""
    from ..storage.run_folder import RunFolder, find_run, read_about
    from ..types.run_options import RunOptions

    path = find_run(Path(app.settings.runs), name)
    with RunFolder(path) as folder:
        if folder.torn:
            warn(f"{path}: the journal's last line was unfinished and is dropped")
        doubtful = ", ".join(folder.memo.in_doubt)
        if doubtful:
            billed = "" if app.settings.rehearsal else ", perhaps billed,"
            warn(f"cut off under way{billed} and asked again: {doubtful}")
        yield folder, RunOptions.read(read_about(path))


def _session(app: App, options: Any) -> Any:
    from ..scheduling.session import Session

    warn_of_logged()

    session = Session(app.host, app.settings, options, app.clock)
    warnings = session.warnings
    if not app.settings.quiet:
        warn(*warnings)
    return session


def _work(app: App, session: Any, folder: Any, as_json: bool, frozen: Collection[str] = ()) -> int:
    """Run the team in its folder, show what came of it, and say how to go on."""
    import asyncio

    from ..scheduling.session import terminable
    from .summary import comparison, distribution, run_json, run_tables, waiting

    again = f"rolecall resume {shlex.quote(str(folder.path))}"
    try:
        outcome = asyncio.run(terminable(session.run(folder, frozen)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        warn(f"interrupted; what is answered is kept. Go on with: {again}")
        return INTERRUPTED
    except RunError:
        warn(f"what is answered is kept. Mend this, then go on with: {again}")
        raise
    if as_json:
        echo(json.dumps(run_json(str(folder.path), session.team, outcome, session.ledger)))
    else:
        show_tables(run_tables(session.team, outcome, session.ledger))
        ledger = session.ledger
        lines = (waiting(ledger), distribution(session.team, ledger), comparison(ledger))
        echo("\n".join(filter(None, lines)))
        echo(str(folder.path))
    if session.ledger.reused and not app.settings.quiet:
        kept = f"{len(session.ledger.reused)} agents' answers were kept"
        warn(f"{kept}, which saves ${session.ledger.saved:.4f}")
    warn(*[str(error) for error in outcome.failed.values()])
    warn(*[f"{name}: its deliverable is cut off by the output limit" for name in outcome.cut])
    if outcome.failed:
        more = " --budget USD" if outcome.exit_code == BudgetReached.exit_code else ""
        warn(f"{len(outcome.done)} of {len(session.team)} agents done. Go on with: {again}{more}")
    return int(outcome.exit_code)
