"""A run's folder: what is in it, who may write it, and where it is found."""

import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import RunError, UsageError
from .journal import JOURNAL, Journal
from .origin import NOBODY, Signer
from .run_lock import HOLDER, note_holder, take_lock
from .run_paths import claim_folder, name_run, point_latest
from .run_toml import RUN_TOML, refuse_values
from .safe_folder import SafeFolder
from .step_store import StepStore

HISTORY = "history"
REQUEST = "request.md"


def deliverable_file(number: int, agent: str) -> str:
    """Return the name of the file of a deliverable, by the agent's place in the whole team."""
    return f"deliverables/{number:02}-{agent}.md"


def read_request(path: Path) -> str:
    """Return a run's request; raise RunError where there is none."""
    text = SafeFolder(path).read_text(REQUEST)
    if text is None or not text.strip():
        raise RunError(f"{path / REQUEST}: there is no request")
    return text


class RunFolder:
    """A run's folder, open for this process alone; `store` remembers what it paid for.

    signer: whose runs it is to be among; a run that is not yet is UntrustedRun unless `trust`.
    """

    def __init__(self, path: Path, signer: Signer = NOBODY, *, trust: bool = False) -> None:
        self.path = path
        self._signer = signer
        self._files = SafeFolder(path)
        with ExitStack() as undone:
            self._lock = take_lock(path)
            undone.callback(self._lock.release)
            is_foreign = trust and bool(signer.doubt(path))
            signer.check(path, trust)
            if is_foreign:
                refuse_values(path)
            self._files.sweep()
            self._past = f"{HISTORY}/{len(self._files.folders(HISTORY)) + 1:03}"
            note_holder(path)
            self._journal = Journal(path / JOURNAL)
            undone.callback(self._journal.close)
            self.store = StepStore(self._journal)
            if is_foreign:  # on record before it counts as one's own
                self.store.trust(time.time())
            signer.sign(path)
            undone.pop_all()
        self.torn = self._journal.torn

    @classmethod
    def create(
        cls, path: Path, request: str, about: Mapping[str, object], signer: Signer = NOBODY
    ) -> "RunFolder":
        """Make a folder for a new run; `about` becomes run.toml."""
        import tomli_w

        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                f"{path} is there already and is not an empty folder; name another one"
            )
        files = SafeFolder(path)
        content = request.rstrip() + "\n"
        files.write(REQUEST, content.encode("utf-8", "backslashreplace"))
        files.write(RUN_TOML, tomli_w.dumps(about).encode())
        # Before there is a journal: a folder that has one is a run, and asked whose it is.
        signer.sign(path)
        return cls(path, signer, trust=True)

    @classmethod
    def begin(
        cls,
        runs: Path,
        request: str,
        about: Mapping[str, object],
        path: str | Path | None = None,
        signer: Signer = NOBODY,
    ) -> "RunFolder":
        """Make a folder for a new run, named after its time among `runs` where no path is given."""
        if path is not None:
            return cls.create(Path(path), request, about, signer)
        claimed = claim_folder(runs, name_run(request, datetime.now()))
        folder = cls.create(claimed, request, about, signer)
        point_latest(folder.path)
        return folder

    @property
    def request(self) -> str:
        return read_request(self.path)

    def save(self, name: str, text: str) -> str:
        """Write a file of the run, whole or not at all; give its name within the folder."""
        self._files.write(name, (text.rstrip() + "\n").encode())
        return name

    def revise(self, name: str, text: str) -> None:
        """Write a file of the run, and keep what it replaces in the history."""
        before = self.read(name)
        if before is not None and before.strip() != text.strip():
            self.keep_past(name, before)
        self.save(name, text)

    def keep_past(self, name: str, text: str) -> str:
        """Keep in the history what a file held before; return where."""
        return self.save(f"{self._past}/{name}", text)

    def read(self, name: str) -> str | None:
        """Read a file of the run; None where there is none."""
        return self._files.read_text(name)

    def close(self) -> None:
        self._journal.close()
        with suppress(RunError):
            self._files.delete(HOLDER)
        self._signer.sign(self.path, closed=True)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
