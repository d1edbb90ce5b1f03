"""The command line; the only file that prints and starts the event loop."""

import json
import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from attrs import define, evolve

from .config import Settings, load
from .errors import RolecallError, UsageError
from .host import Host

INTERRUPTED = 130
PRESENTATION = ("as_json", "debug")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    with suppress(AttributeError):  # a stream that is not a file
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    logging.basicConfig(format="rolecall: %(message)s", level=logging.WARNING)
    debug = "--debug" in sys.argv
    try:
        code = _main(sys.argv[1:])
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        asked = getattr(error, "ctx", None)
        more = f" (see {asked.command_path} --help)" if asked is not None else ""
        click.echo(f"rolecall: {error.format_message()}{more}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("rolecall: interrupted", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        # Who reads our output went away: nothing is left to say, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except RolecallError as error:
        click.echo(f"rolecall: {error}", err=True)
        code = error.exit_code
    except Exception as error:
        if debug:
            raise
        kind = type(error).__name__
        click.echo(f"rolecall: internal error: {kind}: {error} (--debug shows where)", err=True)
        code = 1
    sys.exit(code)


def _main(arguments: Sequence[str]) -> int:
    blocked = _blocked(arguments)
    try:
        settings = load(Path.cwd())
    except RolecallError as error:
        if not _asks_for_help(arguments):
            raise
        click.echo(f"rolecall: {error}", err=True)
        settings = Settings()
    host = Host(block=(*settings.block, *blocked))
    cli = build(host)
    result = cli.main(
        args=list(arguments),
        prog_name="rolecall",
        obj=App(settings, host),
        standalone_mode=False,
    )
    return result if isinstance(result, int) else 0


@define
class App:
    """What commands find in `ctx.obj`; options may replace the settings before a command runs."""

    settings: Settings
    host: Host


def build(host: Host) -> click.Group:
    """Make the command line: core's commands, then what plugins add."""
    cli = click.Group(
        "rolecall",
        help="A team of LLM roles on one request, inside one rate limit.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    click.version_option(package_name="rolecall")(cli)
    for command in (run, resume, agents, providers, plugins):
        own = copy(command)
        own.params = list(command.params)  # plugins may add options
        cli.add_command(own)
    host.commands(cli)
    for command in (cli, *cli.commands.values()):
        command.params.append(
            click.Option(
                ["-p", "block"],
                multiple=True,
                metavar="no:PLUGIN",
                expose_value=False,
                help="Do not load a plugin.",
            )
        )
    return cli


def _blocked(arguments: Sequence[str]) -> list[str]:
    """Find `-p no:NAME` before the parser runs, for plugins add to the parser."""
    before_dashes = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    values = [value for flag, value in pairwise(before_dashes) if flag == "-p"]
    values += [each[2:] for each in before_dashes if each.startswith("-p") and len(each) > 2]
    for value in values:
        if not value.startswith("no:") or value == "no:":
            raise UsageError(f"-p {value}: write -p no:PLUGIN")
    return [value.removeprefix("no:") for value in values]


def _asks_for_help(arguments: Sequence[str]) -> bool:
    return bool({"--help", "-h", "--version"} & set(arguments))


def _assignments(
    _: click.Context, __: click.Parameter, values: Sequence[str]
) -> dict[str, list[str]]:
    routes: dict[str, list[str]] = {}
    for value in values:
        agent, equals, route = value.partition("=")
        if not (agent and equals and route):
            raise click.BadParameter(f"{value!r} is not AGENT=ROUTE", param_hint="--assign")
        routes[agent.strip()] = [each.strip() for each in route.split(",")]
    return routes


def _debug(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    if value:
        ctx.obj.settings = evolve(ctx.obj.settings, debug=True)
    return value


ASSIGN = click.option(
    "--assign",
    multiple=True,
    metavar="AGENT=ROUTE",
    callback=_assignments,
    help="Run an agent elsewhere: provider or provider/model; several in order, with commas.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _team_options(command: Any) -> Any:
    """Add the options that `run` and `resume` share."""
    for option in (
        click.option("--debug", is_flag=True, callback=_debug, help="One line per event."),
        JSON,
        click.option("--skip", multiple=True, metavar="AGENT", help="Leave an agent out."),
        click.option("--only", multiple=True, metavar="AGENT", help="Run these agents alone."),
        ASSIGN,
    ):
        command = option(command)
    return command


@click.command()
@click.argument("request_text", metavar="[REQUEST]", required=False)
@click.option("-f", "--file", "path", metavar="FILE", help="Read the request; - is stdin.")
@click.option("-o", "--output", metavar="DIR", help="The run's folder, new or empty.")
@_team_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    request_text: str | None,
    path: str | None,
    output: str | None,
    **options: Any,
) -> int:
    """Put the team to work on a request."""
    from .folder import RunFolder, free_folder, name_run, point_latest
    from .session import Session

    app: App = ctx.obj
    request = _request(request_text, path)
    session = Session(app.host, app.settings, options["assign"], options["only"], options["skip"])
    _tell(session.notes)
    runs = Path(app.settings.runs)
    name = name_run(request, datetime.now())
    folder = Path(output) if output else free_folder(runs, name)
    about = session.describe(_repeatable(ctx))
    with RunFolder.create(folder, request, about) as opened:
        if not output:
            point_latest(folder)
        return _work(session, opened, options["as_json"])


class _Resume(click.Command):
    """Repeats the options that the run was started with, before those now given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from .folder import find_run, read_flags

        if not _asks_for_help(args):
            given, _, _ = self.make_parser(ctx).parse_args(list(args))
            path = find_run(Path(ctx.obj.settings.runs), given.get("name"))
            args = [*read_flags(path), *args]
        return super().parse_args(ctx, args)


@click.command(cls=_Resume)
@click.argument("name", metavar="[RUN]", required=False)
@_team_options
@click.pass_context
def resume(ctx: click.Context, /, name: str | None, **options: Any) -> int:
    """Finish a run, the latest if none is named."""
    from .folder import RunFolder, find_run
    from .session import Session

    app: App = ctx.obj
    path = find_run(Path(app.settings.runs), name)
    session = Session(app.host, app.settings, options["assign"], options["only"], options["skip"])
    _tell(session.notes)
    with RunFolder(path) as opened:
        if opened.torn:
            _tell([f"{path}: the journal's last line was unfinished and is dropped"])
        return _work(session, opened, options["as_json"])


@click.command()
@ASSIGN
@JSON
@click.pass_obj
def agents(app: App, assign: Mapping[str, Sequence[str]], as_json: bool) -> None:
    """List the agents, where they run, and who decided that."""
    from .routing import assemble
    from .routing import assign as decide
    from .tables import agents_json, agents_table

    app.host.check()
    known = app.host.providers(app.settings)
    assigned = decide(app.host, app.settings, known, assign)
    team, _ = assemble(each.agent for each in assigned.values())
    _show(agents_json(assigned, team), agents_table, as_json)


@click.command()
@JSON
@click.pass_obj
def providers(app: App, as_json: bool) -> None:
    """List the providers and whether they can be called."""
    from .tables import providers_json, providers_table

    app.host.check()
    _show(providers_json(app.host.providers(app.settings)), providers_table, as_json)


@click.command()
@JSON
@click.pass_obj
def plugins(app: App, as_json: bool) -> None:
    """List the plugins, also those that do not load."""
    from .tables import plugins_json, plugins_table

    _show(plugins_json(app.host.plugins), plugins_table, as_json)
    app.host.check()


def _request(text: str | None, path: str | None) -> str:
    if text is not None and path is not None:
        raise UsageError("give the request as an argument or with -f, not both")
    if text == "-" or path == "-":
        content = sys.stdin.buffer.read()
    elif path is not None:
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    elif text is not None:
        content = text.encode("utf-8", "surrogateescape")
    else:
        raise UsageError("what shall the team do? rolecall run 'REQUEST', or -f FILE, or -f -")
    try:
        request = content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"the request is not UTF-8 text: {error.reason}") from error
    if not request:
        raise UsageError("the request is empty")
    return request


def _work(session: Any, folder: Any, as_json: bool) -> int:
    """Run the team in its folder, show what came of it, and say how to go on."""
    import asyncio

    from .tables import distribution, run_json, run_tables

    again = f"rolecall resume {shlex.quote(str(folder.path))}"
    try:
        outcome = asyncio.run(session.run(folder))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _tell([f"interrupted; what is answered is kept. Go on with: {again}"])
        return INTERRUPTED
    if as_json:
        click.echo(json.dumps(run_json(str(folder.path), session.team, outcome, session.ledger)))
    else:
        _console().print(*run_tables(session.team, outcome, session.ledger), sep="\n")
        click.echo(distribution(session.team, session.ledger))
        click.echo(str(folder.path))
    _tell([str(error) for error in outcome.failed.values()])
    _tell([f"{name}: its deliverable is cut off by the output limit" for name in outcome.cut])
    if outcome.failed:
        _tell([f"{len(outcome.done)} of {len(session.team)} agents done. Go on with: {again}"])
    return int(outcome.exit_code)


def _repeatable(ctx: click.Context) -> list[str]:
    """Spell the options that shape the run, as `resume` repeats them."""
    assert ctx.parent is not None
    group = ctx.parent.command
    assert isinstance(group, click.Group)
    known = {option.name for option in group.commands["resume"].params}
    flags = []
    for option in ctx.command.params:
        value = ctx.params.get(option.name or "")
        if not isinstance(option, click.Option) or option.name in PRESENTATION or not value:
            continue
        name = option.opts[-1]
        if option.name not in known:
            continue
        if option.is_flag:
            flags.append(name)
        elif isinstance(value, dict):
            flags += [f"{name}={key}={','.join(routes)}" for key, routes in value.items()]
        elif option.multiple:
            flags += [f"{name}={each}" for each in value]
    return flags


def _show(rows: Any, table: Any, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        console = _console()
        console.print(table(rows, console.width))


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(f"rolecall: {line}", err=True)
