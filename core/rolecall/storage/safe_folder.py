"""Reading and writing below one folder, whose content somebody else may have prepared.

No operation follows a link, opens anything but a regular file, or leaves the folder. Where the
system has directory descriptors, each step of a path is opened from the one before it, so that
nothing can be exchanged in between; elsewhere (Windows) each step is looked at first.
"""

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import TypedDict

from ..errors import RunError

LARGEST = 64 * 1024**2  # bytes of one file that are read
DEEPEST = 32  # steps of a path
HARD_LINK = "has a second name elsewhere (a hard link); copy the folder, and use the copy"
_BINARY = getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a pipe must not wait for its other end
_FOLDER = os.O_RDONLY | _NO_LINK | getattr(os, "O_DIRECTORY", 0)
_HAS_DESCRIPTORS = {os.open, os.mkdir, os.unlink, os.rename, os.stat} <= os.supports_dir_fd
_PARTIAL = re.compile(r"\.[0-9a-f]{16}\.part")
_DRIVE = re.compile(r"[A-Za-z]:")


class _At(TypedDict, total=False):
    """The descriptor of the folder that a name is looked up in, where there is one."""

    dir_fd: int


class SafeFolder:
    """A folder below which files are read and written by relative paths with `/`.

    Whatever is wrong (a path that leaves the folder, a link, a pipe, a folder in a file's place, a
    file that is too large, the system's refusal) is a RunError that names the file.

    hard_links: whether files with several names are taken; one name may lie outside of the folder.
    may_be_link: whether the folder itself is found through links, as one that a person named is.
    """

    def __init__(self, path: Path, *, hard_links: bool = False, may_be_link: bool = True) -> None:
        self.path = path
        self._hard_links = hard_links
        self._may_be_link = may_be_link

    def read(self, name: str, most: int = LARGEST) -> bytes | None:
        """Return a file's content, or None where there is no such file."""
        with self._explained(name, "read"):
            try:
                file = self._opened(name)
            except FileNotFoundError:
                return None
            with file:
                size = os.fstat(file.fileno()).st_size
                content = b"" if size > most else file.read(most + 1)
        if max(size, len(content)) > most:
            raise RunError(f"{self.path / name}: is larger than {most:,} bytes, and is not read")
        return content

    def digest(self, name: str) -> bytes:
        """Return the SHA-256 of a file, which may be large."""
        with self._explained(name, "read"), self._opened(name) as file:
            return hashlib.file_digest(file, "sha256").digest()

    def read_text(self, name: str, most: int = LARGEST) -> str | None:
        """Return a file's text in UTF-8, or None where there is no such file."""
        content = self.read(name, most)
        try:
            return None if content is None else content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RunError(f"{self.path / name}: is no UTF-8 text: {error.reason}") from error

    def write(self, name: str, content: bytes, mode: int = 0o600) -> None:
        """Write a file whole or not at all, with the folders that it needs (mode 0700).

        What stands in its place is replaced: a link itself, not what it leads to.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY
        with (
            self._explained(name, "written"),
            self._place(name, make=True) as (at, last),
            # At the top, where `sweep` finds it should this process be killed.
            self._place("x") as (top, first),
        ):
            # A name that nobody can have prepared.
            partial = os.path.join(os.path.dirname(first), f".{secrets.token_hex(8)}.part")
            handle = os.open(partial, flags, mode, **top)
            try:
                with open(handle, "wb") as file:
                    file.write(content)
                source, target = top.get("dir_fd"), at.get("dir_fd")
                os.replace(partial, last, src_dir_fd=source, dst_dir_fd=target)
            except BaseException:
                with suppress(OSError):
                    os.unlink(partial, **top)
                raise

    def copy(self, name: str, target: "SafeFolder", most: int = LARGEST) -> None:
        """Copy a file of at most `most` bytes, under its name; it stays executable."""
        content = self.read(name, most)
        if content is None:
            raise RunError(f"{self.path / name}: is not there")
        status = self.status(name)
        is_executable = status is not None and status.st_mode & stat.S_IXUSR
        target.write(name, content, 0o755 if is_executable else 0o644)

    def sweep(self) -> None:
        """Remove what a process that was killed had begun to write; nobody may be writing."""
        with self._explained(".", "listed"), self._place("x") as (at, last):
            with os.scandir(at.get("dir_fd", os.path.dirname(last))) as entries:
                left = [
                    entry.name
                    for entry in entries
                    if _PARTIAL.fullmatch(entry.name) and not entry.is_dir(follow_symlinks=False)
                ]
            for name in left:
                os.unlink(os.path.join(os.path.dirname(last), name), **at)

    def open_to_append(self, name: str) -> int:
        """Open a file for reading and appending, a new one where there is none; its descriptor."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _NO_LINK | _NO_WAIT | _BINARY
        with self._explained(name, "opened"), self._place(name) as (at, last):
            handle = _open(last, flags, at)
            try:
                self._check_regular(name, os.fstat(handle))
            except BaseException:
                os.close(handle)
                raise
            return handle

    def delete(self, name: str) -> bool:
        """Remove a file, or a link itself; return whether there was one."""
        with self._explained(name, "removed"):
            try:
                with self._place(name) as (at, last):
                    os.unlink(last, **at)
            except FileNotFoundError:
                return False
        return True

    def exists(self, name: str) -> bool:
        """Check whether anything of this name is there; a link counts as itself."""
        return self.status(name) is not None

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of whatever is called so, a link's own; None where nothing is."""
        with self._explained(name, "read"):
            try:
                with self._place(name) as (at, last):
                    return os.stat(last, follow_symlinks=False, **at)
            except FileNotFoundError:
                return None

    def folders(self, name: str) -> list[str]:
        """List the folders within a folder, sorted; none where there is no such folder."""
        with self._explained(name, "listed"):
            try:
                with (
                    self._place(f"{name}/x") as (at, last),
                    os.scandir(at.get("dir_fd", os.path.dirname(last))) as entries,
                ):
                    folders = (each for each in entries if each.is_dir(follow_symlinks=False))
                    return sorted(each.name for each in folders)
            except FileNotFoundError:
                return []

    def files(self) -> Iterator[str]:
        """List all regular files below the folder, each folder's sorted; links are left out."""
        with self._explained(".", "listed"):
            yield from self._files(())

    def _files(self, steps: tuple[str, ...]) -> Iterator[str]:
        with self._place("/".join((*steps, "x"))) as (at, last):
            place = at.get("dir_fd", os.path.dirname(last))
            with os.scandir(place) as entries:
                kinds = sorted(
                    (entry.name, entry.is_dir(follow_symlinks=False), _is_regular(entry))
                    for entry in entries
                )
        for name, is_folder, is_file in kinds:
            if is_file:
                yield "/".join((*steps, name))
            elif is_folder and len(steps) + 2 < DEEPEST:
                yield from self._files((*steps, name))

    def _opened(self, name: str) -> BufferedReader:
        with self._place(name) as (at, last):
            file = open(_open(last, os.O_RDONLY | _NO_LINK | _NO_WAIT | _BINARY, at), "rb")
        try:
            self._check_regular(name, os.fstat(file.fileno()))
        except BaseException:
            file.close()
            raise
        return file

    @contextmanager
    def _place(self, name: str, make: bool = False) -> Iterator[tuple[_At, str]]:
        """Walk to where a file is, following no link; yield its folder and its name there.

        make: create the folders that are missing.
        """
        *folders, last = self._steps(name)
        if make:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _HAS_DESCRIPTORS:
            yield _At(), self._looked_at(folders, last, make)
            return
        flags = os.O_RDONLY | os.O_DIRECTORY | _NO_WAIT
        handle = os.open(self.path, flags if self._may_be_link else flags | _NO_LINK)
        try:
            for step in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(step, 0o700, dir_fd=handle)
                deeper = os.open(step, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = deeper
            yield _At(dir_fd=handle), last
        finally:
            os.close(handle)

    def _looked_at(self, folders: list[str], last: str, make: bool) -> str:
        path = self.path
        for place, step in enumerate(("", *folders)):
            path /= step
            if make:
                path.mkdir(0o700, exist_ok=True)
            if place == 0 and self._may_be_link:
                continue
            if path.is_symlink() or (path.exists() and _is_reparse_point(path)):
                raise NotADirectoryError(errno.ENOTDIR, "is no folder", str(path))
        return str(path / last)

    def _steps(self, name: str) -> list[str]:
        steps = name.split("/")
        odd = "\\" in name or "\0" in name or (os.name == "nt" and _DRIVE.match(name))
        if odd or len(steps) > DEEPEST or any(step in ("", ".", "..") for step in steps):
            raise RunError(f"{name!r} is no path below {self.path}")
        return steps

    def _check_regular(self, name: str, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise RunError(f"{self.path / name}: is no regular file; remove it")
        if found.st_nlink > 1 and not self._hard_links:
            raise RunError(f"{self.path / name}: {HARD_LINK}")

    @contextmanager
    def _explained(self, name: str, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            culprit, why = self.path / name, error.strerror or str(error)
            for path in (culprit, *culprit.parents):
                if path == self.path and self._may_be_link:
                    break
                if os.path.islink(path):  # False where it may not be looked at
                    culprit, why = path, "is a link, and links are not followed"
                if path == self.path:
                    break
            raise RunError(f"{culprit}: cannot be {done}: {why}") from error


def _open(name: str, flags: int, at: _At) -> int:
    if not _NO_LINK and os.path.islink(name):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return os.open(name, flags, 0o600, **at)


def _is_regular(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file(follow_symlinks=False)


def _is_reparse_point(path: Path) -> bool:
    """Check for what stands in for a link on Windows, a junction among others."""
    attributes = getattr(path.lstat(), "st_file_attributes", 0)
    return bool(attributes & getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0))
