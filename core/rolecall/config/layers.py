"""Settings in layers: who may set a value, whose word counts, and where each value came from."""

import json
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from attrs import frozen


class Level(IntEnum):
    """Who sets a value; a higher level wins over those beneath it.

    RUN: what a run that goes on was started with.
    """

    DEFAULT = 0
    PROJECT = 1
    ENVIRONMENT = 2
    RUN = 3
    COMMAND_LINE = 4
    CODE = 5


@frozen
class Source:
    """Where a value came from: a file and its key, a variable, an option."""

    level: Level
    place: str

    def __str__(self) -> str:
        return self.place


DEFAULT = Source(Level.DEFAULT, "default")


@frozen
class Layer:
    """What one place sets.

    values: setting to value. Entries of a table join those of the other layers, each for itself;
    items of a list join the others' items; of all else the highest level's value counts.
    place: where the values came from; prefix: of their paths, where the place is a file of keys.
    """

    level: Level
    place: str
    values: Mapping[str, Any]
    prefix: str = ""

    def over(
        self, settings: object, sources: Mapping[str, Source]
    ) -> tuple[dict[str, Any], dict[str, Source]]:
        """Return the values to change, and all sources then; no higher level loses its word."""
        values: dict[str, Any] = {}
        known = dict(sources)
        for name, value in self.values.items():
            if isinstance(value, Mapping):
                entries = {k: v for k, v in value.items() if self._wins(known, name, k)}
                values[name] = {**getattr(settings, name), **entries}
                known |= {path(name, key): self._source(name, key) for key in entries}
            elif isinstance(value, tuple):
                values[name] = (*getattr(settings, name), *value)
                known[name] = self._joined(known.get(name), name)
            elif self._wins(known, name):
                values[name] = value
                known[name] = self._source(name)
        return values, known

    def _wins(self, sources: Mapping[str, Source], *keys: str) -> bool:
        return self.level >= sources.get(path(*keys), DEFAULT).level

    def _source(self, *keys: str) -> Source:
        place = f"{self.place}: {self.prefix}{path(*keys)}" if self.prefix else self.place
        return Source(self.level, place)

    def _joined(self, beneath: Source | None, name: str) -> Source:
        own = self._source(name)
        if beneath is None:
            return own
        return Source(max(beneath.level, own.level), f"{beneath}, {own}")


def path(*keys: str) -> str:
    """Write a key's path as TOML does: `on.refusal`, `prices."model-1.5"`."""
    return ".".join(key if re.fullmatch(r"[\w-]+", key) else json.dumps(key) for key in keys)
