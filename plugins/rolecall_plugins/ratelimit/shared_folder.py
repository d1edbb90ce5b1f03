"""A folder that the user's processes share, and files in it, whatever somebody puts there."""

import errno
import logging
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor

_log = logging.getLogger("rolecall")
LARGEST = 1024**2  # bytes of a file
ATTEMPTS = 20  # at a file that somebody replaces
ASKS = 36  # for a lock, at growing distances, in about a second
BUSY = 0.0002
MOST = 100_000  # names that are looked at in a folder
_HAS_DESCRIPTORS = {
    os.open,
    os.rename,
    os.stat,
    os.unlink,
} <= os.supports_dir_fd and os.scandir in os.supports_fd
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
# Opening a pipe must not wait for its other end.
_FILE = os.O_RDWR | _NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NEW = os.O_CREAT | os.O_EXCL
# What opening fails with where somebody put something else in a file's place in that moment.
_REPLACED = {errno.ENOENT, errno.EISDIR, errno.ELOOP, errno.ENXIO}

Change = Callable[[bytes | None], bytes | None]


class SharedFolder:
    """An open folder, in which nothing is followed; without descriptors of folders, its path."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor

    def names(self, start: str) -> list[str]:
        """List the entries whose names start so."""
        with os.scandir(self._place) as entries:
            looked_at = islice(entries, MOST)
            return [entry.name for entry in looked_at if entry.name.startswith(start)]

    def changed(self) -> int:
        """Return when an entry was last made, renamed or removed; nanoseconds of the calendar."""
        return os.stat(self._place).st_mtime_ns

    def create(self, name: str) -> None:
        """Create an empty file, unless something of this name is there."""
        with suppress(FileExistsError):
            os.close(self._open(name, _FILE | _NEW))

    def open(self, name: str) -> int:
        """Open a regular file, a new one where there is none; whatever else is there gives way."""
        try:
            if not stat.S_ISREG(self.status(name).st_mode):
                self._put_aside(name)
        except FileNotFoundError:
            self.create(name)
        return self._open(name, _FILE)

    def status(self, name: str) -> os.stat_result:
        """Return what an entry is; a link counts as itself."""
        return os.stat(self._name(name), dir_fd=self._descriptor, follow_symlinks=False)

    def rename(self, old: str, new: str) -> bool:
        """Rename an entry; return False where it is gone, or where another process has it open."""
        at = self._descriptor
        try:
            os.rename(self._name(old), self._name(new), src_dir_fd=at, dst_dir_fd=at)
        except FileNotFoundError:
            return False
        except PermissionError:
            if os.name != "nt":  # Windows renames nothing that is open
                raise
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove an entry; a folder is left where it is."""
        with suppress(OSError):
            os.unlink(self._name(name), dir_fd=self._descriptor)

    def _put_aside(self, name: str) -> None:
        if stat.S_ISDIR(self.status(name).st_mode):
            self.rename(name, f"{name}.{secrets.token_hex(4)}")  # it may hold somebody's files
        else:
            self.remove(name)
        self.create(name)

    def _open(self, name: str, flags: int) -> int:
        return os.open(self._name(name), flags, 0o600, dir_fd=self._descriptor)

    def _name(self, name: str) -> str:
        return name if self._descriptor is not None else str(self._path / name)

    @property
    def _place(self) -> int | Path:
        return self._path if self._descriptor is None else self._descriptor


class SharedFile:
    """A small file that is read and replaced under a lock, which dies with its holder.

    Where somebody deletes or replaces the file while it is locked, another process may lock the
    new one: so the name is looked at again before the content counts, read or written.

    While the file cannot be used, or its lock stays taken for a second, each process goes by what
    it knows itself, and warns once. The lock is filelock's own, on the descriptor of the file
    itself: `FileLock` needs a second file, which somebody may delete as well.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = str(path)
        self._left: tuple[int, int] | None = None  # when it was changed and how large it was, then
        self._refused = 0
        self._warned: set[str] = set()

    @property
    def is_known(self) -> bool:
        """Check whether this process read or wrote the file before."""
        return self._left is not None

    def is_changed(self) -> bool:
        """Check whether another process changed the file since the last exchange."""
        try:
            return _version(os.lstat(self._name)) != self._left
        except OSError:
            return False

    def exchange(self, change: Change) -> float:
        """Replace the content by what `change` returns for it; None leaves it as it is.

        change: is passed None where there is no content to be had. It may be called several
            times; the last one counts.

        Returns 0, or the seconds until to ask again because another process has the lock.
        """
        try:
            for _ in range(ATTEMPTS):
                if self._exchange(change):
                    self._refused = 0
                    return 0.0
            return BUSY
        except BlockingIOError:
            if self._refused < ASKS:
                self._refused += 1
                return BUSY * 1.2**self._refused
            why = "its lock is held by a process that does not go on"
        except OSError as error:
            why = error.strerror or str(error)
        self.warn(f"cannot be used ({why}): calls are counted within this process only")
        change(None)
        return 0.0

    def warn(self, what: str) -> None:
        """Log a warning about the file, once."""
        if what not in self._warned:
            self._warned.add(what)
            _log.warning("%s %s", self.path, what)

    def _exchange(self, change: Change) -> bool:
        """Read and replace the content; return False where the file was replaced meanwhile."""
        with opened(self.path.parent) as folder:
            if folder is None:
                make(self.path.parent)
                return False
            try:
                file = folder.open(self.path.name)
            except OSError as error:
                if error.errno in _REPLACED:
                    return False
                raise
            try:
                return self._locked(file, folder, change)
            finally:
                os.close(file)

    def _locked(self, file: int, folder: SharedFolder, change: Change) -> bool:
        if not lock_descriptor(file, blocking=False):
            raise BlockingIOError
        try:
            if not self._is_in_place(file, folder):
                return False
            content = os.read(file, min(os.fstat(file).st_size, LARGEST + 1))
            changed = change(content if len(content) <= LARGEST else b"")
            if changed is not None:
                os.lseek(file, 0, os.SEEK_SET)
                if os.write(file, changed) < len(changed):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.ftruncate(file, len(changed))
                if not self._is_in_place(file, folder):
                    return False
            self._left = _version(os.fstat(file))
            return True
        finally:
            # A process that was forked in this moment has the descriptor too, and would keep it.
            unlock_descriptor(file)

    def _is_in_place(self, file: int, folder: SharedFolder) -> bool:
        own = os.fstat(file)
        try:
            named = folder.status(self.path.name)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(own.st_mode) and os.path.samestat(own, named)


def _version(status: os.stat_result) -> tuple[int, int]:
    # Two changes within a tick of the system's have the same time.
    return status.st_mtime_ns, status.st_size


@contextmanager
def opened(path: Path, follow: bool = False) -> Iterator[SharedFolder | None]:
    """Open a folder; None where there is none, or something else in its place.

    follow: whether it may be a link to one, as the user's own choice.
    """
    if not _HAS_DESCRIPTORS:
        is_own = path.is_dir() and (follow or not path.is_symlink())
        yield SharedFolder(path, None) if is_own else None
        return
    descriptor = None
    try:
        descriptor = os.open(path, _FOLDER if follow else _FOLDER | _NO_LINK)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EMLINK):  # what systems call a link
            raise
    try:
        yield None if descriptor is None else SharedFolder(path, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def make(path: Path) -> None:
    """Make a folder that only the user may look into, in place of whatever else is there."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(0o700)
        return
    if path.is_symlink() or not path.is_dir():
        with suppress(FileNotFoundError):
            path.unlink()
        with suppress(FileExistsError):
            path.mkdir(0o700)
