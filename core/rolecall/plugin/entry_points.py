"""Finds the plugins that are installed, by their entry points.

Why not importlib.metadata: it imports packages for e-mail, ZIP files and sockets, and parses whole
metadata. By `bench/startup.py`, on Python 3.11 with 101 distributions, finding the plugins takes
9 ms here and 45 ms there, of the 83 ms of CPU that `rolecall --help` takes. Change over once the
difference falls below some 15 ms.
Source: https://packaging.python.org/en/latest/specifications/entry-points/, and
/recording-installed-packages/.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

GROUP = "rolecall"
KINDS = (".dist-info", ".egg-info")
METADATA = ("METADATA", "PKG-INFO")


class Distribution(NamedTuple):
    """What a plugin came with.

    requires: other distributions, as its metadata words it.
    """

    name: str = ""
    version: str = ""
    requires: tuple[str, ...] = ()


class Point:
    """An entry point: a plugin's name, and `MODULE` or `MODULE:ATTRIBUTE` where it is."""

    def __init__(self, name: str, value: str, distribution: Distribution) -> None:
        self.name = name
        self.value = value
        self.distribution = distribution

    def load(self) -> object:
        """Import the plugin; whatever its import raises is raised."""
        module, _, attribute = self.value.partition("[")[0].strip().partition(":")
        loaded = import_module(module.strip())
        return attrgetter(attribute.strip())(loaded) if attribute else loaded


def installed(path: Sequence[str] | None = None) -> Iterator[Point]:
    """List the plugins in the folders of `sys.path`, of two distributions of a name the first's."""
    seen = set()
    for folder in sys.path if path is None else path:
        for info in _distributions(folder or "."):
            project = _project(info)
            if project not in seen:
                seen.add(project)
                yield from _points(info)


def _distributions(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(KINDS)]
    except OSError:
        return []  # sys.path may name what is no folder, or not there


def _project(info: str) -> str:
    """Return a distribution's name as its folder spells it, in one spelling."""
    stem = os.path.basename(info).rpartition(".")[0]
    return stem.partition("-")[0].lower().replace("_", "-").replace(".", "-")


def _points(info: str) -> Iterator[Point]:
    text = _text(f"{info}/entry_points.txt")
    named = list(_entries(text)) if f"[{GROUP}]" in text else []
    if named:
        distribution = _read(info)
        for name, value in named:
            yield Point(name, value, distribution)


def _entries(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif section == GROUP and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()


def _read(info: str) -> Distribution:
    """Read the few fields of the metadata that matter here; they end at the first empty line."""
    text = next(filter(None, (_text(f"{info}/{name}") for name in METADATA)), "")
    fields: dict[str, list[str]] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.strip())
    name, version = (fields.get(field, [""])[0] for field in ("Name", "Version"))
    return Distribution(name, version, tuple(fields.get("Requires-Dist", ())))


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
