"""A scenario: how fast the simulator answers, how often calls fail, which limits hold."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from .batches.options import BatchOptions
from .cases import Options
from .content.scripts import Round, Script, load_texts
from .errors import ScenarioError, unknown, within
from .exchange import FunctionCall
from .faults import PROVIDERS
from .injection import Fault
from .latency import Latency
from .limits import Limits

__all__ = [
    "BatchOptions",
    "Fault",
    "FunctionCall",
    "Latency",
    "Limits",
    "Options",
    "Round",
    "Scenario",
    "ScenarioError",
    "Script",
    "load_scenario",
]


@frozen(kw_only=True)
class Scenario:
    """The simulator's configuration; limits are by provider.

    replies: agent to its text, instead of one that declares itself simulated.
    scripts: agent to its scripts, of which the first that fits a question counts; "*" stands for
        every agent that has none.
    """

    seed: int = 0
    latency: Latency = field(factory=Latency)
    tokens_per_second: float | None = None
    faults: tuple[Fault, ...] = ()
    limits: Mapping[str, Limits] = field(factory=dict)
    replies: Mapping[str, str] = field(factory=dict)
    scripts: Mapping[str, Sequence[Script]] = field(factory=dict)
    batches: BatchOptions = field(factory=BatchOptions)

    def __attrs_post_init__(self) -> None:
        if self.tokens_per_second is not None and not 0 < self.tokens_per_second < math.inf:
            raise ScenarioError(f"tokens_per_second must be above 0, not {self.tokens_per_second}")
        for provider in self.limits:
            if provider not in PROVIDERS:
                raise unknown("provider in limits", provider, PROVIDERS)

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> "Scenario":
        """Read a table with the names of this class; latency and each fault are texts."""
        readers = {
            "seed": _whole,
            "latency": _latency,
            "tokens_per_second": _number,
            "faults": _faults,
            "limits": _limits,
            "replies": _replies,
            "scripts": _scripts,
            "batches": _batches,
        }
        values: dict[str, Any] = {}
        for name, value in table.items():
            if name not in readers:
                raise unknown("setting", name, readers)
            with within(name):
                values[name] = readers[name](value)
        return cls(**values)


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario from a TOML file; raises ScenarioError."""
    with within(str(path)):
        try:
            table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ScenarioError(f"it cannot be read: {error}") from error
        return Scenario.parse(table)


def _latency(value: Any) -> Latency:
    return Latency.parse(_checked(str, "a text such as '0.1-0.5'", value))


def _faults(value: Any) -> tuple[Fault, ...]:
    texts = _checked(list, "a list of texts", value)
    return tuple(Fault.parse(_checked(str, "a list of texts", text)) for text in texts)


def _limits(value: Any) -> dict[str, Limits]:
    limits = {}
    for provider, table in _checked(dict, "a table for each provider", value).items():
        with within(provider):
            limits[provider] = Limits.parse(_checked(dict, "a table of limits", table))
    return limits


def _replies(value: Any) -> dict[str, str]:
    return load_texts(Path(_checked(str, "a folder of texts", value)))


def _batches(value: Any) -> BatchOptions:
    return BatchOptions.parse(_checked(dict, "a table", value))


def _scripts(value: Any) -> dict[str, list[Script]]:
    scripts: dict[str, list[Script]] = {}
    for agent, tables in _checked(dict, "a table of agents", value).items():
        with within(agent):
            scripts[agent] = [
                Script.parse(_checked(dict, "a list of tables", table))
                for table in _checked(list, "a list of tables", tables)
            ]
    return scripts


def _whole(value: Any) -> Any:
    return _checked(int, "a whole number", value)


def _number(value: Any) -> Any:
    return _checked((int, float), "a number", value)


def _checked(kind: type | tuple[type, ...], what: str, value: Any) -> Any:
    # True is an int to Python, but not to whoever wrote the file.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ScenarioError(f"it must be {what}, not {value!r}")
    return value
