"""Writes report.md into the run's folder when the run ends."""

from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from rolecall import Event, Ledger, Observer, RunEnded, RunStarted, Settings, Totals, hookimpl


@hookimpl
def rolecall_observers(settings: Settings) -> Iterable[Observer]:
    return [Report()]


class Report:
    """Keeps a ledger while the run goes on, and writes it down at the end."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._started: RunStarted | None = None

    def notify(self, event: Event) -> None:
        self._ledger.notify(event)
        if isinstance(event, RunStarted):
            self._started = event
            for call in event.past:
                self._ledger.notify(call)
        if isinstance(event, RunEnded) and self._started is not None:
            text = render(self._started, event, self._ledger)
            Path(self._started.folder, "report.md").write_text(text, "utf-8")


def render(started: RunStarted, ended: RunEnded, ledger: Ledger) -> str:
    """Give the report as Markdown."""
    from jinja2 import Environment, StrictUndefined

    planned = Counter(provider for _, provider in started.first_choices)
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(
        files(__package__).joinpath("report.md.j2").read_text("utf-8")
    )
    return template.render(
        started=started,
        ended=ended,
        ledger=ledger,
        planned=planned,
        providers=sorted({*planned, *ledger.providers}),
        answered=lambda name: ledger.answered.get(name, "–"),
        sums=_sums,
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
