"""What is about to run, for the options of plugins to look at and to change."""

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from ..config.layers import Layer, Level
from ..config.settings import Settings
from ..types.limits import Clock, SystemClock
from ..types.run_options import RunOptions
from ..types.tools import ToolRecorder
from .manager import Host
from .rehearsal import Rehearsal


@frozen
class RunSetup:
    """What is about to run, for the options of plugins to look at and to change.

    command: `run`, `resume`, `rerun`, `update` or `doctor`.
    options: which agents run, and where.
    request: its text; empty where none is given yet, and for commands that take none.
    given: options of plugins that are given, by name. kept: those that a run that goes on was
        started with; None for a new run.
    recorder: hears what tools' calls come to.
    """

    command: str
    host: Host
    settings: Settings
    options: RunOptions = field(factory=RunOptions)
    request: str = ""
    given: Mapping[str, object] = field(factory=dict)
    kept: Mapping[str, object] | None = None
    clock: Clock = field(factory=SystemClock)
    recorder: ToolRecorder | None = None

    def with_settings(self, option: str, **values: Any) -> "RunSetup":
        """Return this setup with settings' values that an option chose."""
        layer = Layer(Level.COMMAND_LINE, option, values)
        return evolve(self, settings=self.settings.with_layer(layer))

    def rehearsing(self, option: str, rehearsal: Rehearsal) -> "RunSetup":
        """Return this setup with a rehearsal that an option asks for.

        Its shared state is kept apart: what is simulated says nothing of a vendor's limits.
        """
        state = self.settings.state and f"{self.settings.state}/rehearsal"
        setup = self.with_settings(option, **rehearsal.settings, rehearsal=True, state=state)
        clock = rehearsal.clock or self.clock
        return evolve(setup, host=self.host.rehearsing(rehearsal), clock=clock)
