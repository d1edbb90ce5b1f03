"""What differs between two trees of a workspace, and trees that are made of such differences."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from attrs import frozen

from ...errors import RunError
from ...types.tools import FileChange

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
    lines = "".join(f"{each.mode} {each.blob}\t{each.path}\0" for each in entries)
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
