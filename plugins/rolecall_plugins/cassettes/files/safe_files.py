"""Read and write files whose path, or what stands there, a stranger may have chosen.

`rolecall.SafeFolder` is for what lies below a folder that somebody prepared, so it follows no link
at all. A cassette is named by the user, who may keep it behind links of their own; and it must
outlast a power cut, while a run's files can be made again from its journal.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import CassetteError

MAX_BYTES = 64 * 1024 * 1024
_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows
_NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)  # elsewhere
_NO_WAITING: int = getattr(os, "O_NONBLOCK", 0)


def kind_of(status: os.stat_result) -> str:
    """Return what stands at a path, in words; "a file" is the only one to read or replace."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return "a file"
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return "a pipe or a socket"
    return "a device"


def read_bytes(path: Path) -> bytes:
    """Read a file of at most MAX_BYTES; raise CassetteError for anything else."""
    try:
        # Opening a device or a pipe may already do something or wait for ever: look first.
        if (kind := kind_of(os.stat(path))) != "a file":
            raise CassetteError(f"{path}: cannot be read: it is {kind}")
        with open(os.open(path, os.O_RDONLY | _BINARY | _NO_WAITING), "rb") as file:
            if (kind := kind_of(os.fstat(file.fileno()))) != "a file":
                raise CassetteError(f"{path}: cannot be read: it is {kind}")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CassetteError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise CassetteError(f"{path}: cannot be read: it is larger than {megabytes(MAX_BYTES)}")
    return data


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file through one of our own beside it, so that a crash leaves the old or the new.

    Raises OSError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        # O_EXCL: what stands there already, a link least of all, is never written through.
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY | _NO_LINKS
        with open(os.open(part, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def open_to_append(path: Path) -> int:
    """Open a file of our own to append to it, and return its descriptor; raise OSError."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY | _NO_LINKS)


def megabytes(size: int) -> str:
    return f"{size // 1024**2} MB"
