"""The only file that prints: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from .render import Grid, drawn, plain

PIPE = 200  # columns; of no terminal, so there is room for all that could be told

# Control characters, but tab and line feed: an escape sequence could redraw a terminal.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "�")
del _CONTROLS[9], _CONTROLS[10]


def say(text: str) -> None:
    """Print a result; control characters that a model wrote do not reach the terminal."""
    click.echo(text.replace("\r\n", "\n").translate(_CONTROLS))


def tell(lines: Sequence[str]) -> None:
    """Print what a person should know, a line each, on standard error."""
    for line in lines:
        text = " ".join(line.splitlines()).translate(_CONTROLS)
        click.echo(f"rolecall: {text}", err=True)


def tell_warnings() -> None:
    """Print what is logged as a warning or worse, on standard error."""
    import logging  # here, as commands that only list do without it

    logging.basicConfig(format="rolecall: %(message)s", level=logging.WARNING)


def show(rows: Any, table: Callable[[Any, int], Grid], as_json: bool) -> None:
    """Print rows as JSON, or as the table that `table` makes of them and a width."""
    if as_json:
        say(json.dumps(rows, indent=2))
    else:
        show_tables([table(rows, _width())])


def show_tables(tables: Sequence[Grid]) -> None:
    """Draw tables on a terminal; elsewhere print a line per row."""
    if not sys.stdout.isatty():
        say("\n\n".join(map(plain, tables)))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(*map(drawn, tables), sep="\n")


def _width() -> int:
    if not sys.stdout.isatty():
        return PIPE
    from shutil import get_terminal_size

    return get_terminal_size().columns
