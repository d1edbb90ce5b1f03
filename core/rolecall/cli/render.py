"""Tables of texts: drawn on a terminal, and elsewhere a line per row, however long."""

from collections.abc import Iterable
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.table import Table


# Control characters, but tab and line feed: an escape sequence could redraw a terminal. And those
# that turn the direction of writing: they could make a text read as another one.
_UNSAFE = dict.fromkeys(
    (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "�"
)
del _UNSAFE[ord("\t")], _UNSAFE[ord("\n")]


def printable(text: str) -> str:
    """Replace every character that drives a terminal, or reorders what it shows."""
    return text.replace("\r\n", "\n").translate(_UNSAFE)


def one_line(text: str) -> str:
    """Make a name printable that a stranger chose, which must not pass for two."""
    return printable(text).replace("\n", "�")


def counted(number: int, thing: str) -> str:
    """Write a number of things: `1 call`, `2 calls`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


class Column(NamedTuple):
    """A column's heading, and how its cells are set."""

    name: str
    right: bool
    wraps: bool


class Grid(NamedTuple):
    """A table; its last row may be a total."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] = ()


def grid(
    title: str, columns: str, rows: Iterable[Iterable[str]], total: Iterable[str] = ()
) -> Grid:
    """Make a table; a column's name that ends in `>` is aligned to the right, in `~` may wrap."""
    named = (
        Column(name.rstrip(">~").replace("_", " "), name.endswith(">"), name.endswith("~"))
        for name in columns.split()
    )
    return Grid(title, tuple(named), tuple(map(tuple, rows)), tuple(total))


def drawn(grid: Grid) -> "Table":
    """Draw a table for rich."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=grid.title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.title_justify = "left"
    table.title_style = "bold"
    for name, right, wraps in grid.columns:
        table.add_column(name, justify="right" if right else "left", no_wrap=not wraps)
    for row in grid.rows:
        table.add_row(*map(printable, row))
    if grid.total:
        table.add_section()
        table.add_row(*grid.total)
    return table


def plain(grid: Grid) -> str:
    """Write a table for programs and files; a cell's lines are joined by commas."""
    heading = tuple(column.name for column in grid.columns)
    rows = [heading, *grid.rows, *([grid.total] if grid.total else [])]
    cells = [[", ".join(cell.splitlines()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip_longest(*cells, fillvalue="")]
    lines = (
        "  ".join(
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, column, width in zip(row, grid.columns, widths, strict=False)
        )
        for row in cells
    )
    return "\n".join([grid.title, *map(str.rstrip, lines)])
