"""The command line: where it starts and ends."""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.project import find_project, read_table
from ..errors import RolecallError
from ..plugin.manager import Host
from .app import App
from .command_line import RootCommand
from .commands.agents import agents
from .commands.doctor import doctor
from .commands.files import files
from .commands.plan import plan
from .commands.plugins import plugins
from .commands.providers import providers
from .commands.report import report
from .commands.rerun import rerun
from .commands.resume import resume
from .commands.run import run
from .commands.runs import runs
from .commands.tools import tools
from .commands.update import update
from .console import echo, encode_anything, masked, results_alone, warn
from .options import asks_for_help, without_blocked
from .working import INTERRUPTED

if TYPE_CHECKING:
    from ..config.settings import Settings

SELDOM = 50_000  # objects; what is imported lasts, and looking it through for garbage takes time
COMMANDS = (
    *(run, resume, rerun, update, plan, report, files, runs),
    *(agents, providers, tools, plugins, doctor),
)


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
        context = getattr(error, "ctx", None)
        more = f" (see {context.command_path} --help)" if context is not None else ""
        warn(masked(f"{error.format_message()}{more}"))
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        warn("interrupted")
        code = INTERRUPTED
    except RolecallError as error:
        warn(masked(str(error)))
        code = error.exit_code
    except Exception as error:
        if debug:
            from traceback import format_exception

            echo(masked("".join(format_exception(error))), file=sys.stderr)
        else:
            warn(masked(_unexpected(error)))
        code = 1
    sys.exit(code)


def _unexpected(error: Exception) -> str:
    """Describe what nobody foresaw; of files and folders the system's own words say enough."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror} (--debug shows where)"
    return f"internal error: {type(error).__name__}: {error} (--debug shows where)"


def _main(arguments: Sequence[str]) -> int:
    arguments, without = without_blocked(arguments)
    settings = None if asks_for_help(arguments) else _settings(without)
    block = (*_blocked_here(), *without) if settings is None else settings.block
    with results_alone():
        host = Host(block=block)
        cli = RootCommand(host, COMMANDS)
    result = cli.main(
        args=arguments,
        prog_name="rolecall",
        obj=App(host, cli.run_options, settings),
        standalone_mode=False,
    )
    return result if isinstance(result, int) else 0


def _settings(without: Sequence[str]) -> "Settings":
    from ..config.layers import Layer, Level
    from ..config.loading import load_settings

    settings = load_settings(Path.cwd())
    if not without:
        return settings
    skipped = ", ".join(f"-p no:{name}" for name in without)
    return settings.with_layer(Layer(Level.COMMAND_LINE, skipped, {"block": tuple(without)}))


def _blocked_here() -> Sequence[str]:
    """List the plugins that are blocked here; help needs no other setting, and no right one."""
    try:
        project = find_project(Path.cwd())
        block = read_table(project).get("block", ()) if project else ()
    except RolecallError as error:
        warn(str(error))
        return ()
    names = [block] if isinstance(block, str) else block
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else ()
