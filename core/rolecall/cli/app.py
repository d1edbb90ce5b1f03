"""What commands work with: the plugins, the settings and the clock."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..plugin.manager import Host

if TYPE_CHECKING:
    from ..config.layers import Layer
    from ..config.settings import Settings
    from ..types.limits import Clock


class App:
    """What commands find in `ctx.obj`; options may replace each before a command runs.

    flags: of a run that is gone on with, the options of plugins that it was started with.
    """

    flags: Sequence[str] | None = None

    def __init__(self, host: Host, settings: "Settings | None" = None) -> None:
        self.host = host
        if settings is not None:
            self.settings = settings

    @cached_property
    def settings(self) -> "Settings":
        """The current folder's settings, which a command that only helps does not need."""
        from ..config.loading import load_settings

        return load_settings(Path.cwd())

    @cached_property
    def clock(self) -> "Clock":
        """What waits for a retry."""
        from ..types.limits import SystemClock

        return SystemClock()

    def lay(self, layer: "Layer") -> None:
        """Put what an option sets over the settings."""
        self.settings = self.settings.with_layer(layer)

    def change(self, **settings: Any) -> None:
        """Give settings other values, as options do."""
        from attrs import evolve

        self.settings = evolve(self.settings, **settings)
