"""What the command line's arguments mean; the parsing that click leaves open."""

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import UsageError


def blocked(arguments: Sequence[str]) -> list[str]:
    """Find `-p no:NAME` before the parser runs, for plugins add to the parser."""
    before_dashes = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    values = [value for flag, value in pairwise(before_dashes) if flag == "-p"]
    values += [each[2:] for each in before_dashes if each.startswith("-p") and len(each) > 2]
    for value in values:
        if not value.startswith("no:") or value == "no:":
            raise UsageError(f"-p {value}: write -p no:PLUGIN")
    return [value.removeprefix("no:") for value in values]


def asks_for_help(arguments: Sequence[str]) -> bool:
    return bool({"--help", "-h", "--version"} & set(arguments))


def read_request(text: str | None, path: str | None, what: str = "request") -> str:
    """Get the request from the argument, a file or standard input (`-`)."""
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
        raise UsageError("what shall the team do? rolecall run 'REQUEST', or -f FILE, or -f -")
    try:
        request = content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"the {what} is not UTF-8 text: {error.reason}") from error
    if not request:
        raise UsageError(f"the {what} is empty")
    return request


def spelled(ctx: click.Context, own: click.Command) -> list[str]:
    """Spell the options that plugins added to a command and the user gave.

    A run keeps them, so that `resume` can repeat them where it knows them too.
    """
    core = {option.name for option in own.params}
    flags = []
    for option in ctx.command.params:
        value = ctx.params.get(option.name or "")
        if not isinstance(option, click.Option) or option.name in core or not value:
            continue
        name = option.opts[-1]
        if option.is_flag:
            flags.append(name)
        else:
            values = value if option.multiple else [value]
            flags += [f"{name}={each}" for each in values]
    return flags


def known(flags: Sequence[str], command: click.Command) -> list[str]:
    """Keep those flags that a command has an option for."""
    names = {name for option in command.params for name in option.opts}
    return [flag for flag in flags if flag.partition("=")[0] in names]


def _assignments(
    _: click.Context, __: click.Parameter, values: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    routes: dict[str, list[str]] = {}
    for value in values:
        agent, equals, route = value.partition("=")
        if not (agent and equals and route):
            raise click.BadParameter(f"{value!r} is not AGENT=ROUTE", param_hint="--assign")
        routes[agent.strip()] = [each.strip() for each in route.split(",")]
    return routes


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
    help="Run an agent elsewhere: provider or provider/model; several in order, with commas.",
)
BLOCK = click.Option(
    ["-p", "block"],
    multiple=True,
    metavar="no:PLUGIN",
    expose_value=False,
    help="Do not load a plugin.",
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
ONLY = click.option("--only", multiple=True, metavar="AGENT", help="Run these agents alone.")
SKIP = click.option("--skip", multiple=True, metavar="AGENT", help="Leave an agent out.")
RUN = click.argument("name", metavar="[RUN]", required=False)


def options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Add several options to a command, in this order."""

    def add(command: F) -> F:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return add
