"""What differs between two trees of a workspace, and trees that are made of such differences."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from attrs import frozen

from ...errors import RunError
from ...types.tools import FileChange

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LARGEST = 16 * 1024**2  # bytes of the files of one change that are read
_GONE = "0" * 6
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Git(Protocol):
    """git on one repository."""

    def git(
        self, *arguments: str, content: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> str: ...

    def git_output(
        self, *arguments: str, content: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes: ...

    def index_of(self, tree: str) -> AbstractContextManager[Mapping[str, str]]: ...


def object_id(tree: str) -> str:
    """Return a tree's id; a journal may name anything, also what git takes for an option."""
    if not _ID.fullmatch(tree):
        raise RunError(f"{tree[:100]!r} is no state of the workspace")
    return tree


@frozen
class TreeEntry:
    """A file of a tree, by git's words; `mode` is zeros where the file is gone."""

    path: str
    mode: str
    blob: str

    @property
    def is_gone(self) -> bool:
        return self.mode == _GONE


def entries_between(git: Git, old: str, new: str) -> list[TreeEntry]:
    """List the files that differ between two trees, as the new one has them."""
    trees = map(object_id, (old, new))
    raw = git.git("diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-abbrev", *trees)
    fields = raw.split("\0")[:-1]
    entries = []
    for words, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, _, blob, _ = words.split(" ")
        entries.append(TreeEntry(path, mode, blob))
    return entries


def with_entries(git: Git, tree: str, entries: Iterable[TreeEntry]) -> str:
    """Return the tree that another becomes where these files are as they are here."""
    # What is gone first: a folder may stand in the place of a file, and the other way round.
    ordered = sorted(entries, key=lambda entry: not entry.is_gone)
    lines = "".join(f"{each.mode} {each.blob}\t{each.path}\0" for each in ordered)
    with git.index_of(tree) as index:
        content = lines.encode("utf-8", "surrogateescape")
        git.git("update-index", "-z", "--index-info", content=content, variables=index)
        return git.git("write-tree", variables=index).strip()


def changes_between(git: Git, old: str, new: str) -> tuple[FileChange, ...] | None:
    """Read the files that differ between two trees; None where they are too large for that."""
    entries = entries_between(git, old, new)
    blobs = [entry.blob for entry in entries if not entry.is_gone]
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    sizes = git.git("cat-file", "--batch-check=%(objectsize)", content=asked).split()
    if sum(map(int, sizes)) > LARGEST:
        return None
    contents = _contents(git.git_output("cat-file", "--batch", content=asked))
    return tuple(
        FileChange(entry.path)
        if entry.is_gone
        else FileChange(entry.path, next(contents), entry.mode)
        for entry in entries
    )


def with_changes(git: Git, tree: str, files: Sequence[FileChange]) -> str:
    """Return the tree that another becomes where these files are as they were recorded."""
    entries = []
    for file in files:
        if file.content is None:
            entries.append(TreeEntry(file.path, _GONE, "0" * 40))
        else:
            blob = git.git("hash-object", "-w", "--stdin", content=file.content).strip()
            entries.append(TreeEntry(file.path, file.mode, blob))
    return with_entries(git, tree, entries)


def _contents(batch: bytes) -> Iterator[bytes]:
    """Split what `git cat-file --batch` writes."""
    place = 0
    while place < len(batch):
        end = batch.index(b"\n", place)
        size = int(batch[place:end].split()[-1])
        yield batch[end + 1 : end + 1 + size]
        place = end + size + 2


def tree_without(git: Git, changes: Sequence[tuple[str, str, str]], agents: Collection[str]) -> str:
    """Return the tree that changes come to, in their order, without those of some agents.

    changes: who, from which tree ("" is the empty one), and to which. What stays is made again as
    it was, file by file, on the tree before the first change of one of the agents.
    """
    first = next((n for n, change in enumerate(changes) if change[0] in agents), len(changes))
    if first == len(changes):
        return (changes[-1][2] if changes else "") or EMPTY_TREE
    kept: dict[str, TreeEntry] = {}
    for agent, before, after in changes[first:]:
        if agent not in agents:
            entries = entries_between(git, before or EMPTY_TREE, after)
            kept.update((entry.path, entry) for entry in entries)
    return with_entries(git, changes[first][1] or EMPTY_TREE, kept.values())


def builders_on(
    git: Git, changes: Sequence[tuple[str, str, str]], agents: Collection[str]
) -> set[str]:
    """List the other agents that changed a file which one of these agents had changed before."""
    paths = [
        (agent, {entry.path for entry in entries_between(git, before or EMPTY_TREE, after)})
        for agent, before, after in changes
    ]
    builders: set[str] = set()
    theirs: set[str] = set()
    for agent, changed in paths:
        if agent in agents:
            theirs |= changed
        elif agent and theirs & changed:
            builders.add(agent)
    return builders
