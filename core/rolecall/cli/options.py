"""What the command line's arguments mean; the parsing that click leaves open."""

import sys
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import UsageError
from . import completion


def without_blocked(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take each `-p no:NAME` out of the arguments; return them, and the names.

    It goes with every command, also of plugins, and is read before they are loaded.
    """
    kept: list[str] = []
    values: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            kept += [argument, *rest]
        elif argument == "-p":
            value = next(rest, None)
            if value is None:
                raise UsageError("-p wants the name of a plugin: write -p no:PLUGIN")
            values.append(value)
        elif argument.startswith("-p"):
            values.append(argument[2:])
        else:
            kept.append(argument)
    for value in values:
        if not value.startswith("no:") or value == "no:":
            raise UsageError(f"-p {value}: write -p no:PLUGIN")
    return kept, [value.removeprefix("no:") for value in values]


def asks_for_help(arguments: Sequence[str]) -> bool:
    return bool({"--help", "-h", "--version"} & set(arguments))


def read_text(text: str | None, path: str | None, what: str = "request") -> str:
    """Read a text from an argument, a file or standard input (`-`); empty where none is given."""
    if text is not None and path is not None:
        raise UsageError(f"give the {what} as an argument or with -f, not both")
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
        return ""
    try:
        words = content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"the {what} is not UTF-8 text: {error.reason}") from error
    if not words:
        raise UsageError(f"the {what} is empty")
    return words


def _assignments(
    _: click.Context, __: click.Parameter, values: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    routes: dict[str, list[str]] = {}
    for value in values:
        agent, equals, route = value.partition("=")
        if not (agent and equals and route):
            raise click.BadParameter(f"{value!r} is not AGENT=ROUTE", param_hint="--assign")
        routes[agent.strip()] = [one.strip() for one in route.split(",")]
    return routes


BLOCK = click.Option(
    ["-p", "block"],
    multiple=True,
    metavar="no:PLUGIN",
    expose_value=False,
    shell_complete=completion.blocked,
    help="Do not load a plugin.",
)


class Command(click.Command):
    """A command of ours: shows the option that goes with all of them."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return with_block(super().get_params(ctx), len(self.params))


def with_block(params: Sequence[click.Parameter], place: int) -> list[click.Parameter]:
    return [*params[:place], BLOCK, *params[place:]]


class _Rule(click.ParamType[Any]):
    """A rule of balancing; what they are is asked for once one is given, for that takes long."""

    name = "rule"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from ..types.agents import Balance

        return Balance(click.Choice([str(rule) for rule in Balance]).convert(value, param, ctx))


class Dollars(click.FloatRange):
    """An amount; what counts as a number and is none is refused."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        amount = float(super().convert(value, param, ctx))
        if not isfinite(amount):
            self.fail(f"{value} is no amount", param, ctx)
        return amount


F = TypeVar("F", bound=Callable[..., Any])
ASSIGN = click.option(
    "--assign",
    multiple=True,
    metavar="AGENT=ROUTE",
    callback=_assignments,
    shell_complete=completion.assignments,
    help="Run an agent elsewhere: provider or provider/model; several in order, with commas.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _setting(*names: str, setting: str, **more: Any) -> Callable[[F], F]:
    """Make an option that sets a setting; commands find its value there."""

    def lay(ctx: click.Context, option: click.Parameter, value: Any) -> None:
        if value is None or value is False or value == ():
            return
        from ..config.layers import Layer, Level

        ctx.obj.lay(Layer(Level.COMMAND_LINE, option.opts[-1], {setting: value}))

    return click.option(*names, callback=lay, expose_value=False, **more)


DEBUG = _setting("--debug", setting="debug", is_flag=True, help="One line per event.")
QUIET = _setting(
    "-q",
    "--quiet",
    setting="quiet",
    is_flag=True,
    is_eager=True,  # before options that say something
    help="Show results and errors alone.",
)
REUSE = _setting(
    "--reuse",
    setting="reuse",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Take answers that fit from another run, or from a folder of runs.",
)
BUDGET = _setting(
    "--budget",
    setting="budget",
    type=Dollars(),
    metavar="USD",
    help="Most that the run may cost.",
)
BALANCE = _setting(
    "--balance",
    setting="balance",
    type=_Rule(),
    metavar="[fixed|spill|fastest|cheapest]",
    help="Which of its routes an agent is asked at.",
)
ONLY = click.option(
    "--only",
    multiple=True,
    metavar="AGENT",
    shell_complete=completion.agents,
    help="Run these agents alone.",
)
SKIP = click.option(
    "--skip",
    multiple=True,
    metavar="AGENT",
    shell_complete=completion.agents,
    help="Leave an agent out.",
)
TRUST = click.option(
    "--trust",
    is_flag=True,
    help="Go on with a run that somebody else made or changed, as if it were yours.",
)
RUN = click.argument("name", metavar="[RUN]", required=False, shell_complete=completion.runs)
REQUEST = click.argument("request_text", metavar="[REQUEST]", required=False)
FILE = click.option(
    "-f",
    "--file",
    "path",
    metavar="FILE",
    type=click.Path(),
    help="Read the request; - is stdin.",
)
OUTPUT = click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="The run's folder, new or empty.",
)


def options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Add several options to a command, in this order."""

    def add(command: F) -> F:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return add
