"""Which values of the environment are secret: by the names of variables, and by what they hold."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

_TELLING = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTHORIZATION|COOKIE|(?<![^_])PASS$",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"\w://([^\s/?#@]*)@")
_HEADERS = re.compile(r"HEADERS?$", re.IGNORECASE)
_PEM = re.compile(r"-----[A-Z ]+-----")
LARGEST_FILE = 64 * 1024  # bytes


def is_telling(name: str) -> bool:
    """Check whether a variable of this name holds a secret."""
    return _TELLING.search(name) is not None


def secret_values(
    environment: Mapping[str, str], variables: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """List each secret with the variable that holds it.

    Secret are the values of variables whose names tell so, and what credentials in them hold, or in
    the file that they name; passwords in addresses; and the values of headers.
    """
    for name, value in environment.items():
        if is_telling(name) or name in variables:
            yield from ((name, secret) for secret in _kept_in(value.strip()))
        yield from ((name, secret) for secret in _passwords(value))
        if _HEADERS.search(name):
            yield from ((name, secret) for secret in _header_values(value))


def _passwords(value: str) -> Iterator[str]:
    """List what stands for a password in addresses."""
    if "@" in value:
        for userinfo in _USERINFO.findall(value):
            _, colon, password = userinfo.partition(":")
            yield password if colon else userinfo
            yield unquote(password)


def _header_values(value: str) -> Iterator[str]:
    """List the values of headers: `name=value,name=value`, or `name: value` in lines."""
    for pair in re.split(r"[,\n]", value):
        header = re.split(r"[=:]", pair, maxsplit=1)[-1].strip()
        yield from (header, unquote(header), unquote(header).rpartition(" ")[2])


def _kept_in(value: str) -> Iterator[str]:
    """List what is secret of a value: all of it, or what credentials in it or its file hold."""
    file = _file(value)
    text = value if file is None else _content(file)
    if text.startswith("{"):
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = {}
        for name, each in fields.items():
            if is_telling(name) and isinstance(each, str):
                yield _PEM.sub("", each).strip()
    elif _PEM.match(text):
        yield _PEM.sub("", text).strip()
    elif file is None:
        yield value


def _file(value: str) -> Path | None:
    """Return the file that a value is the path of, if it is one."""
    try:
        return Path(value) if value and Path(value).is_absolute() and Path(value).exists() else None
    except (OSError, ValueError):
        return None


def _content(file: Path) -> str:
    """Read a file, if it may be one of credentials."""
    try:
        if not file.is_file() or file.stat().st_size > LARGEST_FILE:
            return ""
        return file.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""
