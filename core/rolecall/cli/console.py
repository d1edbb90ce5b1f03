"""The only file that prints: results on standard output, everything else on standard error.

Much of what is printed was written by models, vendors and strangers, so `echo` and `warn` replace
whatever could drive a terminal or reorder what it shows.
"""

import codecs
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

import click

from .render import Grid, drawn, plain, printable

PIPE = 200  # columns; of no terminal, so there is room for everything
GONE = (errno.EPIPE, errno.EINVAL)  # the reader of a pipe closed it; EINVAL is Windows' word

# What stands for our own characters where a terminal's encoding, Latin-1 say, lacks them; tables
# are laid out before they are encoded, so each but the last two is as wide as what it stands for.
LOOKALIKES = {
    **{"–": "-", "—": "-", "·": "-", "✓": "v", "✗": "x", "✂": "x", "×": "x"},
    **{"●": "*", "○": "o", "◔": "o", "↻": "~", "◆": "#", "◎": "@", "�": "?"},
    **{"→": "->", "…": "..."},
}


def echo(text: str = "", *, file: TextIO | None = None) -> None:
    """Print a result on standard output, or on another stream; safe to print whatever it holds.

    Control characters but tab and line feed, and those that turn the direction of writing, are
    replaced. Where the reader of a pipe has gone, nothing is printed and nothing is raised.
    """
    stream = file or sys.stdout
    try:
        click.echo(printable(text), file=stream)
    except OSError as error:
        _discard(stream, error)


def prompt(text: str) -> None:
    """Print a question on standard error and stay in its line; as `echo`."""
    click.echo(printable(text), nl=False, err=True)
    sys.stderr.flush()


def warn(*lines: str) -> None:
    """Print what a person should know on standard error, each line after `rolecall: `; as `echo`.

    Line breaks within a line become blanks.
    """
    for line in lines:
        echo(f"rolecall: {' '.join(line.splitlines())}", file=sys.stderr)


def masked(text: str) -> str:
    """Mask secrets in a text, even if the settings could not be read."""
    from ..config.loading import read_environment  # here, as most commands have nothing to mask
    from ..execution.redaction import Redactor

    return Redactor(read_environment())(text)


def warn_of_logged(mask: Callable[[str], str] = masked) -> None:
    """Print what is logged as a warning or worse on standard error, its secrets masked."""
    import logging  # here, as commands that only list do without it

    class Warnings(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warn(mask(self.format(record)))

    logging.basicConfig(format="%(message)s", handlers=[Warnings()], level=logging.WARNING)


@contextmanager
def results_alone() -> Iterator[None]:
    """Send what anybody prints meanwhile to standard error: standard output is for results."""
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def unread() -> Iterator[None]:
    """End in success where click prints help, and who was to read it has gone."""
    try:
        yield
    except OSError as error:
        _discard(sys.stdout, error)
        raise click.exceptions.Exit(0) from error


def encode_anything() -> None:
    """Make both streams take every character: one that their encoding lacks becomes a likeness.

    Who claims to know ASCII alone mostly lacks a locale, and shows UTF-8 all the same.
    """
    codecs.register_error("rolecall.lookalike", _lookalike)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            encoding = "utf-8" if is_ascii else stream.encoding
            stream.reconfigure(encoding=encoding, errors="rolecall.lookalike")


def show(rows: Any, table: Callable[[Any, int], Grid], as_json: bool) -> None:
    """Print rows as JSON, or as the table that `table` makes of them and a width."""
    if as_json:
        echo(json.dumps(rows, indent=2))
    else:
        show_tables([table(rows, terminal_width() or PIPE)])


def show_tables(tables: Sequence[Grid]) -> None:
    """Draw tables on a terminal; elsewhere print a line per row."""
    if not sys.stdout.isatty():
        echo("\n\n".join(map(plain, tables)))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(*map(drawn, tables), sep="\n")


def terminal_width() -> int | None:
    """Return the columns of the terminal, or None where standard output is none."""
    if not sys.stdout.isatty():
        return None
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _lookalike(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(LOOKALIKES.get(character, "?") for character in missing), error.end


def _discard(stream: TextIO, error: OSError) -> None:
    """Lead a stream nowhere if its reader has gone: what it still holds is no error at the end."""
    if error.errno not in GONE:
        raise error
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
