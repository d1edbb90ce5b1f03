"""What was chosen for one run, by the command line or by a program."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen


@frozen
class RunOptions:
    """Which agents run, and where; a run keeps it in its run.toml.

    assign: agent or pattern to its routes. only, skip: agents or patterns.
    """

    assign: Mapping[str, Sequence[str]] = field(factory=dict)
    only: Sequence[str] = ()
    skip: Sequence[str] = ()

    @classmethod
    def read(cls, about: Mapping[str, Any]) -> "RunOptions":
        """Read what run.toml keeps."""
        return cls(about.get("assign", {}), about.get("only", ()), about.get("skip", ()))

    def changed(self, chosen: "RunOptions") -> "RunOptions":
        """Return these options with what is newly chosen in their place."""
        return RunOptions(
            {**self.assign, **chosen.assign}, chosen.only or self.only, chosen.skip or self.skip
        )
