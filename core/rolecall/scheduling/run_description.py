"""What a run's run.toml keeps, and the settings that hold when the run goes on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import asdict, filters

from .._version import __version__
from ..config.layers import Layer, Level
from ..config.settings import Settings
from ..storage.run_toml import RUN_TOML, RunToml
from ..types.agents import TeamGraph
from ..types.run_options import RunOptions

# Of the settings: nothing secret, and no path of this machine.
KEPT = (
    "interval",
    "attempts",
    "max_wait",
    "continuations",
    "max_output_tokens",
    "temperature",
    "timeout",
    "first_byte_timeout",
    "idle_timeout",
    "stream",
    "max_rounds",
    "verify",
    "repairs",
)


def describe(
    settings: Settings, options: RunOptions, team: TeamGraph, flags: Sequence[str]
) -> dict[str, object]:
    """Return the content of run.toml: the settings as they were resolved, and no secret."""
    values = asdict(settings, filter=filters.include(*KEPT))
    actions = {str(cause): str(action) for cause, action in settings.actions.items()}
    return {
        "rolecall": __version__,
        "flags": list(flags),
        "assign": {name: list(routes) for name, routes in options.assign.items()},
        "only": list(options.only),
        "skip": list(options.skip),
        **_own_budget(settings),
        "settings": {
            **{name: value for name, value in values.items() if value is not None},
            "on": actions,
        },
        "routes": {agent.name: [str(route) for route in agent.routes] for agent in team},
    }


def _own_budget(settings: Settings) -> Mapping[str, float]:
    """Return the budget that was set for this run alone, not for the whole project."""
    budget, source = settings.budget, settings.source_of("budget")
    return {} if budget is None or source.level < Level.RUN else {"budget": budget}


def started_with(path: Path) -> Layer:
    """Read the settings that a run was started with and keeps to when it goes on."""
    budget = RunToml.read(path).budget
    return Layer(Level.RUN, str(path / RUN_TOML), {} if budget is None else {"budget": budget})
