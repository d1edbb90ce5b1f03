"""Answers that other runs paid for, by the step they answered."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from attrs import evolve

from ..errors import RunError, UntrustedRun
from ..types.answer import Answer
from ..types.events import CallEnded
from .journal import JOURNAL, read_records
from .origin import NOBODY, Signer
from .paid_answers import PaidAnswers
from .records import AnswerRecord, StepRecord
from .run_paths import is_run

_log = logging.getLogger("rolecall")


class StepCache:
    """Looks for answers in folders, each of a run or of many; they are read when first asked.

    A journal that is damaged or cannot be read, or a run that `signer` does not take for the user's
    own, is left out, and said so.
    """

    def __init__(self, folders: Iterable[Path], own: Path, signer: Signer = NOBODY) -> None:
        self._signer = signer
        self._folders = tuple(folders)
        self._own = own.resolve()

    def find(self, step: str) -> Answer | None:
        """Return the answer to a step, whose `source` is the name of the run that paid for it."""
        return self._answers.get(step)

    @cached_property
    def _answers(self) -> Mapping[str, Answer]:
        answers: dict[str, Answer] = {}
        for path in self._journals():
            try:
                self._signer.check(path)
                answers.update(_paid(path))
            except UntrustedRun as error:
                _log.warning(
                    "nothing is reused of %s, which %s; trust it first: rolecall runs trust %s",
                    path,
                    error.doubt,
                    path,
                )
            except RunError as error:
                _log.warning("nothing is reused of %s: %s", path, error)
        return answers

    def _journals(self) -> Iterator[Path]:
        for folder in self._folders:
            try:
                inside = [path for path in folder.iterdir() if not path.is_symlink()]
            except OSError as error:
                _log.warning("nothing is reused of %s: %s", folder, error.strerror)
                continue
            runs = [folder, *sorted(inside)]
            for run in runs:
                if is_run(run) and run.resolve() != self._own:
                    yield run.resolve()


def _paid(path: Path) -> dict[str, Answer]:
    """Return what a run itself asked and paid for, be it forgotten since."""
    paid = PaidAnswers(JOURNAL)
    for record in read_records(path):
        if isinstance(record, CallEnded | StepRecord | AnswerRecord):
            paid.add(record)
    return {step: evolve(answer, source=path.name) for step, answer in paid.by_step.items()}
