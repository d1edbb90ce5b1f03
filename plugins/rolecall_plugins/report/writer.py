"""Writes report.md and report.html into the run's folder when the run ends."""

import asyncio
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from rolecall import Event, SafeFolder, Totals

from .acts import describe_verified, list_files
from .markdown import lower_headings
from .page import render_page
from .record import RunRecord, RunRecorder
from .tables import by_tool

if TYPE_CHECKING:
    from jinja2 import Template


class Report:
    """An observer that writes both reports once its run is over, in a thread."""

    def __init__(self) -> None:
        self._recorder = RunRecorder()

    def notify(self, event: Event) -> None:
        self._recorder.notify(event)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._write)

    def _write(self) -> None:
        run = self._recorder.record()
        if run is not None:
            folder = SafeFolder(run.folder)
            folder.write("report.md", render_text(run).encode("utf-8", "replace"))
            folder.write("report.html", render_page(run).encode("utf-8", "replace"))


def render_text(run: RunRecord) -> str:
    """Render the report as Markdown."""
    return _template().render(
        run=run,
        ledger=run.ledger,
        plan=lower_headings(run.plan_text, deeper=2).strip(),
        sums=_sums,
        verified=describe_verified(run.verified),
        files=list_files(run),
        by_tool=by_tool(run),
        code=_code,
        quote=quote,
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    return Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    ).from_string(files(__package__).joinpath("report.md.j2").read_text("utf-8"))


def _code(text: str) -> str:
    """Write a text as code within a line; what would end it, or a cell of a table, is replaced."""
    line = " ".join(text.split()).replace("`", "'").replace("|", "¦")
    return f"`{line}`"


def _sums(totals: Totals) -> str:
    cells = (
        totals.money,
        f"{totals.took:.1f} s",
        totals.calls,
        totals.failed,
        f"{totals.usage.input:,}",
        f"{totals.usage.output:,}",
        f"{totals.waited:.1f} s",
    )
    return " | ".join(map(str, cells))
