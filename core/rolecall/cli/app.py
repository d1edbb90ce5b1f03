"""What commands work with: the plugins, their options and the settings."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..plugin.manager import Host
from ..plugin.run_option import RunOption

if TYPE_CHECKING:
    from ..config.layers import Layer
    from ..config.settings import Settings


class App:
    """What commands find in `ctx.obj`.

    run_options: those of plugins, by name, with their plugins. given: the values of those that the
    command line gives.
    """

    def __init__(
        self,
        host: Host,
        run_options: Mapping[str, tuple[str, RunOption[Any]]] = MappingProxyType({}),
        settings: "Settings | None" = None,
    ) -> None:
        self.host = host
        self.run_options = run_options
        self.given: dict[str, object] = {}
        self._settings = settings
        self._layers: list[Layer] = []

    @cached_property
    def settings(self) -> "Settings":
        """The current folder's settings beneath the options; from its first use on it stays.

        A command that only helps does without.
        """
        from ..config.loading import load_settings

        settings = self._settings or load_settings(Path.cwd())
        for layer in self._layers:
            settings = settings.with_layer(layer)
        return settings

    def lay(self, layer: "Layer") -> None:
        """Put what an option sets over the settings, before they are used."""
        assert "settings" not in self.__dict__, "the settings are in use"
        self._layers.append(layer)

    def options_of(self, command: str | None) -> list[RunOption[Any]]:
        """List the options of plugins that a command has."""
        return [option for _, option in self.run_options.values() if command in option.commands]
