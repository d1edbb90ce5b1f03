"""Answers that other runs paid for, by the step they answered."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from attrs import frozen

from ..errors import JournalCorrupt
from ..types.agents import Route
from .journal import Record, read

_log = logging.getLogger("rolecall")
JOURNAL = "journal.jsonl"


@frozen
class Found:
    """An answer of another run; `run` is its folder's name."""

    text: str
    stop: str
    route: str
    cost: float | None
    run: str


class Elsewhere:
    """Looks for answers in folders, each of a run or of many; they are read when first asked.

    A journal that is damaged or cannot be read is left out, and said so.
    """

    def __init__(self, folders: Iterable[Path], own: Path) -> None:
        self._folders = tuple(folders)
        self._own = own.resolve()

    def find(self, step: str) -> Found | None:
        return self._answers.get(step)

    @cached_property
    def _answers(self) -> Mapping[str, Found]:
        found: dict[str, Found] = {}
        for path in self._journals():
            try:
                records, _ = read(path.read_bytes(), str(path))
                found.update(_answered(records, path.parent.name))
            except (OSError, JournalCorrupt, KeyError, TypeError) as error:
                _log.warning("nothing is reused of %s: %s", path, error)
        return found

    def _journals(self) -> Iterator[Path]:
        for folder in self._folders:
            runs = [folder, *sorted(each for each in folder.iterdir() if not each.is_symlink())]
            for run in runs:
                if (run / JOURNAL).is_file() and run.resolve() != self._own:
                    yield run.resolve() / JOURNAL


def _answered(records: Iterable[Record], run: str) -> Iterator[tuple[str, Found]]:
    ended: dict[int, Record] = {}
    for record in records:
        match record["type"]:
            case "call_ended":
                ended[record["call"]] = record
                if record["cause"] is None:
                    yield record["step"], _found(record, _route(record), run)
            case "step_done":
                whole = record if "text" in record else ended[record["call"]]
                yield record["step"], _found(whole, record["route"], run)
            case _:
                pass


def _route(record: Record) -> str:
    return str(Route(record["provider"], record["model"]))


def _found(record: Record, route: str, run: str) -> Found:
    return Found(record["text"], record["stop"], route, record["cost"], run)
