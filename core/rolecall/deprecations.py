"""What was public under another name: it works on for a while, and says what to write instead."""

import warnings
from collections.abc import Mapping
from typing import NamedTuple


class Renamed(NamedTuple):
    """A public name that became another one; `until` is the version in which the old one ends."""

    instead: str
    until: str


# Old name to new one. A plugin written for an older version finds here what it imports.
RENAMED: Mapping[str, Renamed] = {}


def current(name: str, renamed: Mapping[str, Renamed] = RENAMED) -> str | None:
    """Return the name that an old one stands for, with a DeprecationWarning; None if it is none."""
    if name not in renamed:
        return None
    new = renamed[name]
    warnings.warn(
        f"rolecall.{name} is now rolecall.{new.instead}; the old name ends with {new.until}",
        DeprecationWarning,
        stacklevel=3,
    )
    return new.instead
