"""How the workspaces of two runs differ, or two states of one, and which agents made them so.

Nothing of a run is written: its objects are read by way of a repository of our own, so that no
configuration of a stranger's counts.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import RunError
from ..journal import read_records
from .tool_results import ToolResults
from .tree_entries import EMPTY_TREE, entries_between
from .workspace import GIT, GitWorkspace

_WORDS = {"A": "added", "M": "changed", "D": "removed"}


def compare_runs(old: Path, new: Path, environment: Mapping[str, str]) -> list[str]:
    """List what differs between the files of two runs; empty where nothing does."""
    before, after = _results(old), _results(new)
    return _differences([old, new], before.tree, after, environment)


def compare_states(run: Path, environment: Mapping[str, str]) -> list[str]:
    """List how a run's files differ from those before its last update, or before it ran again."""
    results = _results(run)
    return (
        [] if results.former is None else _differences([run], results.former, results, environment)
    )


def _results(run: Path) -> ToolResults:
    results = ToolResults()
    for record in read_records(run):
        results.add(record)
    return results


def _differences(
    runs: Sequence[Path], tree: str, after: ToolResults, environment: Mapping[str, str]
) -> list[str]:
    old, new = tree or EMPTY_TREE, after.tree or EMPTY_TREE
    if old == new:
        return []
    with _objects_of(runs, environment) as git:
        changed = git.changes(old, new)
        authors = _authors(git, after)
        counts = Counter(changed.values())
        said = [f"{counts[letter]} {word}" for letter, word in _WORDS.items() if counts[letter]]
        lines = [f"files of the workspace: {', '.join(said)}"]
        for path, letter in sorted(changed.items()):
            agent = authors.get(path, "")
            lines.append(f"{letter} {path}  ({agent})" if agent else f"{letter} {path}")
        return [*lines, *git.diff(old, new).splitlines()]


def _authors(git: GitWorkspace, results: ToolResults) -> dict[str, str]:
    """Map files to whom of the run's agents changed them last."""
    authors: dict[str, str] = {}
    for agent, before, after in results.changes():
        for entry in entries_between(git, before or EMPTY_TREE, after):
            authors[entry.path] = agent
    return authors


@contextmanager
def _objects_of(runs: Sequence[Path], environment: Mapping[str, str]) -> Iterator[GitWorkspace]:
    """Yield a repository that finds the objects of runs, and nothing else of theirs."""
    folders = [run.resolve() / GIT / "objects" for run in runs]
    for folder in folders:
        if folder.is_symlink() or folder.parent.is_symlink():
            raise RunError(f"{folder}: leads through a link, and links are not followed")
    with TemporaryDirectory(prefix="rolecall-") as scratch:
        git = GitWorkspace(Path(scratch), environment)
        git.begin()
        paths = "".join(f"{folder}\n" for folder in folders if folder.is_dir())
        alternates = Path(scratch, GIT, "objects", "info", "alternates")
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_bytes(os.fsencode(paths))
        yield git
