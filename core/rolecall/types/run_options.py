"""What was chosen for one run, by the command line or by a program."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen


def _names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _by_agent(routes: Mapping[str, str | Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {agent: _names(chosen) for agent, chosen in routes.items()}


@frozen
class RunOptions:
    """Which agents run, and where; a run keeps it in its run.toml.

    assign: agent or pattern to its routes. only, skip: agents or patterns.
    prefix: what stands before these words where they were written, for messages.
    """

    assign: Mapping[str, Sequence[str]] = field(factory=dict, converter=_by_agent)
    only: Sequence[str] = field(default=(), converter=_names)
    skip: Sequence[str] = field(default=(), converter=_names)
    prefix: str = field(default="--", eq=False, repr=False, kw_only=True)

    def changed(self, chosen: "RunOptions") -> "RunOptions":
        """Return these options with what is newly chosen in their place."""
        return RunOptions(
            {**self.assign, **chosen.assign},
            chosen.only or self.only,
            chosen.skip or self.skip,
            prefix=chosen.prefix,
        )
