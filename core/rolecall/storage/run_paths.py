"""How runs are named, and where they are found."""

import os
import re
import threading
import unicodedata
from datetime import datetime
from itertools import count
from pathlib import Path

from ..errors import RunError, UsageError
from .safe_folder import SafeFolder

LATEST = "latest"
LARGEST_NAME = 1000  # bytes
NAMED_AFTER = 1000  # characters of the request


def name_run(request: str, now: datetime) -> str:
    """Make a run's name of its time and the request's first words."""
    start = request[:NAMED_AFTER]
    plain = unicodedata.normalize("NFKD", start).encode("ascii", "ignore").decode().lower()
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
    try:
        runs.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                path.mkdir(mode=0o700)
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
    try:
        return _led_to(path.parent / LATEST) == path
    except RunError:
        return False


def is_run(path: Path) -> bool:
    """Check whether a folder holds a run; one that cannot be looked into is taken for one."""
    journal = path / "journal.jsonl"
    try:
        return journal.is_file() and not journal.is_symlink()
    except PermissionError:
        return True


def _led_to(latest: Path) -> Path:
    """Return the run that `latest` leads to, which is one beside it and nothing elsewhere."""
    try:
        if latest.is_symlink():
            name = os.readlink(latest)
        elif latest.is_file():
            name = SafeFolder(latest.parent).read_text(latest.name, LARGEST_NAME) or ""
        else:
            return latest
    except OSError as error:
        raise RunError(f"{latest}: cannot be read: {error.strerror}") from error
    name = name.strip()
    if not name or Path(name).name != name or name in (".", ".."):
        raise RunError(f"{latest}: leads to {name[:200]!r}, and not to a run beside it; remove it")
    return latest.parent / name


def find_run(runs: Path, name: str | None) -> Path:
    """Find a run by path or by name in the folder of runs; the latest where none is named."""
    candidates = [Path(name), runs / name] if name else [runs / LATEST]
    for candidate in candidates:
        path = _led_to(candidate) if candidate.name == LATEST else candidate
        if is_run(path):
            return path
    if name is None:
        raise UsageError(f"there is no run in {runs}; start one with: rolecall run 'REQUEST'")
    nor = "" if candidates[0] == candidates[1] else f", nor has {candidates[1]}"
    raise UsageError(f"{name} is no run: it has no journal.jsonl{nor}")
