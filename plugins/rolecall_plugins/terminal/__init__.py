"""Shows the progress of a run on standard error: a drawing on a terminal, else lines.

With --debug there is a line for every event, with --quiet nothing.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import Observer, Settings


@hookimpl
def rolecall_observers(settings: "Settings") -> "Iterable[Observer]":
    from .lines import DebugLines, ProgressLines

    if settings.debug:
        return [DebugLines(sys.stderr)]
    if settings.quiet:
        return []
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        if not console.is_dumb_terminal:
            from .live import LiveView

            return [LiveView(console, settings)]
    return [ProgressLines(sys.stderr, settings)]
