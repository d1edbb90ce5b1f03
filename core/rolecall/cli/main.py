"""The command line: where it starts and ends."""

import gc
import sys
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TypeVar

import click

from ..config.project import find_project, read_table
from ..errors import RolecallError
from ..plugin.manager import Host
from .app import App
from .command_line import CommandLine
from .commands.agents import agents
from .commands.doctor import doctor
from .commands.plan import plan
from .commands.plugins import plugins
from .commands.providers import providers
from .commands.report import report
from .commands.rerun import rerun
from .commands.resume import resume
from .commands.run import run
from .commands.runs import runs
from .commands.update import update
from .console import encode_anything, results_alone, warn
from .options import BLOCK, asks_for_help, blocked
from .working import INTERRUPTED

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
        with results_alone():
            app = App(Host(block=(*_blocked_here(), *without)))
    else:
        from ..config.layers import Layer, Level
        from ..config.loading import load_settings

        settings = load_settings(Path.cwd())
        if without:
            skipped = ", ".join(f"-p no:{name}" for name in without)
            layer = Layer(Level.COMMAND_LINE, skipped, {"block": tuple(without)})
            settings = settings.with_layer(layer)
        with results_alone():
            app = App(Host(block=settings.block), settings)
    with results_alone():
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
