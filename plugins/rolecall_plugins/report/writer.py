"""Writes report.md and report.html into the run's folder when the run ends."""

import asyncio
from functools import cache
from importlib.resources import files
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING

from rolecall import (
    AgentBlocked,
    AgentFailed,
    AgentStarted,
    CallEnded,
    CallText,
    DeliverableKept,
    Event,
    RunEnded,
    RunStarted,
    Totals,
)

from .drawer import Drawer
from .story import Story

if TYPE_CHECKING:
    from jinja2 import Template


# Of all the runs of a process one has a drawer that waits, for it takes a hundred megabytes.
_early = Semaphore()


class Report:
    """Listens to a run; at its end writes report.md, and then lets report.html be drawn.

    What draws it gets ready while the last agents are at work.
    """

    def __init__(self) -> None:
        self._story = Story()
        self._folder: Path | None = None
        self._drawer: Drawer | None = None
        self._ahead: set[str] = set()  # who has not begun
        self._answered = False
        self._over = False

    def notify(self, event: Event) -> None:
        self._story.notify(event)
        match event:
            case RunStarted():
                self._folder = Path(event.folder)
                self._ahead = set(event.agents)
            case AgentStarted() | DeliverableKept() | AgentFailed() | AgentBlocked():
                self._ahead.discard(event.agent)
            case CallText() | CallEnded():
                self._answered = True
            case RunEnded() if self._folder is not None:
                self._over = True
                (self._folder / "report.md").write_text(render(self._story), "utf-8")
            case _:
                pass
        is_last = self._answered and not self._ahead and not self._over
        if is_last and self._drawer is None and self._folder and _early.acquire(blocking=False):
            self._drawer = Drawer(self._folder)

    async def aclose(self) -> None:
        try:
            if self._over and self._folder is not None:
                drawer = self._drawer or Drawer(self._folder)
                await asyncio.to_thread(drawer.draw, self._story.told(self._folder))
            elif self._drawer is not None:
                await asyncio.to_thread(self._drawer.leave)
        finally:
            if self._drawer is not None:
                _early.release()


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
