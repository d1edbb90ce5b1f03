"""Folders of a run's that hold nothing to keep: copies to try something in."""

import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Scratch:
    """Makes folders among the system's temporary files, by whose names one run knows its own.

    They lie outside of the run, where no project around it is taken for theirs.
    """

    def __init__(self, run: Path) -> None:
        digest = hashlib.sha256(os.fsencode(run.resolve())).hexdigest()
        self._prefix = f"rolecall-{digest[:16]}-"

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make a folder that is removed afterwards, whatever is in it by then."""
        path = Path(tempfile.mkdtemp(prefix=self._prefix))
        try:
            yield path
        finally:
            remove_folder(path)

    def sweep(self) -> None:
        """Remove what a process that was killed left; nobody else may be at work on the run."""
        # Not by `glob`, which keeps each pattern it was ever given.
        for path in list(Path(tempfile.gettempdir()).iterdir()):
            if not path.name.startswith(self._prefix):
                continue
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == _user(found.st_uid):
                remove_folder(path)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it, however deep that is and whatever its modes are.

    No path is longer than that of the folder and two names: what lies deeper is moved up first.
    """
    _open_up(path)
    while folders := _without_files(path):
        for folder in folders:
            _open_up(folder)
            for inner in _without_files(folder):
                _open_up(inner)
                inner.rename(path / secrets.token_hex(8))
            folder.rmdir()
    path.rmdir()


def _without_files(folder: Path) -> list[Path]:
    """Remove all but the folders in a folder, and list those."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            else:
                os.unlink(entry.path)
    return folders


def _open_up(folder: Path) -> None:
    with suppress(OSError):  # not ours: then the removal says so
        folder.chmod(0o700)


def _user(otherwise: int) -> int:
    return os.getuid() if hasattr(os, "getuid") else otherwise
