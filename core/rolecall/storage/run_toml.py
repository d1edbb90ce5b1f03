"""What a run's run.toml says, for the run to go on as it was started."""

import tomllib
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..errors import RunError
from ..types.run_options import RunOptions
from .record_fields import PARSERS
from .safe_folder import SafeFolder

RUN_TOML = "run.toml"
LARGEST = 1024**2  # bytes


@frozen
class RunToml:
    """What was chosen for a run.

    flags: options of plugins. budget: US dollars, None where none was set for this run alone.
    routes: agent to the routes that it had.
    """

    flags: tuple[str, ...] = ()
    options: RunOptions = RunOptions()
    budget: float | None = None
    routes: Mapping[str, tuple[str, ...]] = field(factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "RunToml":
        """Read a run's file; raise RunError, which names the key, where it makes no sense."""
        file = folder / RUN_TOML
        text = SafeFolder(folder).read_text(RUN_TOML, LARGEST)
        if text is None:
            raise RunError(f"{file}: is not there")
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{file}: cannot be read: {error}") from error
        values: dict[str, Any] = {}
        for name, parser in _PARSERS.items():
            if name in table:
                try:
                    values[name] = parser(table[name])
                except ValueError as error:
                    raise RunError(f"{file}: {name}: {error}") from error
        chosen = {name: values.pop(name) for name in ("assign", "only", "skip") if name in values}
        return cls(options=RunOptions(**chosen), **values)


def refuse_values(folder: Path) -> None:
    """Raise RunError where a run of somebody else was started with options that have values.

    Those name something of the machine, a file to record into say, and who receives the run never
    chose it.
    """
    for flag in RunToml.read(folder).flags:
        if "=" in flag:
            raise RunError(
                f"{folder / RUN_TOML}: {flag} was chosen by who made the run; take it out of "
                "`flags` there, and give it yourself where you want it"
            )


_texts = PARSERS[tuple[str, ...]]
_table = PARSERS[Mapping[str, Any]]


def _routes(value: object) -> dict[str, tuple[str, ...]]:
    return {agent: _texts(routes) for agent, routes in _table(value).items()}


def _amount(value: object) -> float:
    amount: float = PARSERS[float](value)
    if not isfinite(amount) or amount < 0:
        raise ValueError(f"must be an amount, not {amount!r}")
    return amount


_PARSERS: Mapping[str, Callable[[object], Any]] = {
    "flags": _texts,
    "only": _texts,
    "skip": _texts,
    "assign": _routes,
    "routes": _routes,
    "budget": _amount,
}
