"""Writes report.md and report.html into the run's folder when the run ends."""

import asyncio
import json
import logging
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rolecall import Event, RunEnded, RunStarted, Totals

from .story import Story

if TYPE_CHECKING:
    from jinja2 import Template

LONGEST = 120.0  # seconds that drawing may take
_log = logging.getLogger("rolecall")


class Report:
    """Listens to a run; at its end writes report.md, and then lets report.html be drawn."""

    def __init__(self) -> None:
        self._story = Story()
        self._folder: Path | None = None
        self._over = False

    def notify(self, event: Event) -> None:
        self._story.notify(event)
        if isinstance(event, RunStarted):
            self._folder = Path(event.folder)
        if isinstance(event, RunEnded) and self._folder is not None:
            self._over = True
            (self._folder / "report.md").write_text(render(self._story), "utf-8")

    async def aclose(self) -> None:
        if self._over and self._folder is not None:
            await asyncio.to_thread(draw, self._story.told(self._folder), self._folder)


def render(story: Story) -> str:
    """Give the report as Markdown."""
    return _template().render(
        started=story.started,
        ended=story.ended,
        ledger=story.ledger,
        planned=story.planned,
        providers=sorted({*story.planned, *story.ledger.providers}),
        answered=lambda name: story.ledger.answered.get(name, "–"),
        sums=_sums,
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    return Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(
        files(__package__).joinpath("report.md.j2").read_text("utf-8")
    )


def draw(told: dict[str, Any], folder: Path) -> None:
    """Write report.html in a process of its own: what draws the charts is large."""
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.page", str(folder / "report.html")],
        input=json.dumps(told).encode(),
        capture_output=True,
        timeout=LONGEST,
        check=False,
    )
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        _log.warning("report.html could not be drawn: %s", why or f"exit code {done.returncode}")


def _sums(totals: Totals | None) -> str:
    sums = totals or Totals()
    cells = (
        sums.calls,
        sums.failed,
        f"{sums.usage.input:,}",
        f"{sums.usage.output:,}",
        sums.money,
        f"{sums.took:.1f} s",
        f"{sums.waited:.1f} s",
    )
    return " | ".join(map(str, cells))
