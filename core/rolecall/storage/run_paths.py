"""How runs are named, and where they are found."""

import os
import re
import threading
import unicodedata
from datetime import datetime
from itertools import count
from pathlib import Path

from ..errors import RunError, UsageError

LATEST = "latest"


def name_run(request: str, now: datetime) -> str:
    """Make a run's name of its time and the request's first words."""
    plain = unicodedata.normalize("NFKD", request).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    slug = ""
    for word in words:
        if len(slug) + len(word) > 48:
            break
        slug = f"{slug}-{word}"
    return f"{now:%Y%m%d-%H%M%S}{slug or '-run'}"


def claim_folder(runs: Path, name: str) -> Path:
    """Make a folder of this name, with a number added as long as another run has it already."""
    path, numbers = runs / name, count(2)
    while True:
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            path = runs / f"{name}-{next(numbers)}"
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror}") from error


def point_latest(path: Path) -> None:
    """Point `latest` beside a run's folder to it: a link, or a file where links are barred."""
    latest = path.parent / LATEST
    partial = path.parent / f"{LATEST}.{os.getpid()}.{threading.get_ident()}"
    try:
        partial.symlink_to(path.name, target_is_directory=True)
    except OSError:
        partial.write_text(path.name, "utf-8")
    try:
        os.replace(partial, latest)
    except OSError as error:
        partial.unlink()
        raise RunError(f"{latest}: cannot be written: {error.strerror}") from error


def points_to(path: Path) -> bool:
    """Check whether `latest` beside a run's folder leads to it."""
    latest = path.parent / LATEST
    if latest.is_symlink():
        return latest.readlink().name == path.name
    return latest.is_file() and latest.read_text("utf-8").strip() == path.name


def find_run(runs: Path, name: str | None) -> Path:
    """Find a run by path or by name in the folder of runs; the latest where none is named."""
    candidates = [Path(name), runs / name] if name else [runs / LATEST]
    for path in candidates:
        if path.is_file() and path.name == LATEST:
            path = runs / path.read_text("utf-8").strip()
        if (path / "journal.jsonl").is_file():
            return path.parent / path.readlink() if path.is_symlink() else path
    if name is None:
        raise UsageError(f"there is no run in {runs}; start one with: rolecall run 'REQUEST'")
    nor = "" if candidates[0] == candidates[1] else f", nor has {candidates[1]}"
    raise UsageError(f"{name} is no run: it has no journal.jsonl{nor}")
