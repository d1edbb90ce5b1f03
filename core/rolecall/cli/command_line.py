"""The command line as a whole: our commands, and what plugins add to them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from ..errors import PluginError, nearest
from ..plugin.contracts import OWN, how_to_skip
from ..plugin.manager import Host
from ..plugin.run_option import RunOption
from .console import unread
from .options import BLOCK, with_block
from .plugin_options import TeamCommand


class RootCommand(click.Group):
    """The group of all commands; it knows who added what, and lets nobody replace it.

    run_options: those that plugins add, by name, with their plugins.
    """

    def __init__(self, host: Host, commands: Iterable[click.Command]) -> None:
        super().__init__(
            "rolecall",
            help="A team of LLM roles on one request, inside one rate limit.",
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        click.version_option(package_name=OWN)(self)
        self.params.append(BLOCK)
        self.run_options: dict[str, tuple[str, RunOption[Any]]] = {}
        self.added: dict[str, dict[str, click.Command]] = {}
        self._plugin = OWN
        self._owners: dict[str, str] = {}
        for command in commands:
            self.add_command(command)
        host.commands(self)

    @contextmanager
    def adding(self, plugin: str) -> Iterator[None]:
        """Note that a plugin adds meanwhile; raise PluginError if it changes what was there."""
        before = {name: (command, list(command.params)) for name, command in self.commands.items()}
        self._plugin = plugin
        try:
            yield
        finally:
            self._plugin = OWN
            changed = list(self._restore(before))
        if changed:
            raise PluginError(
                f"the plugin {plugin!r} changes the command {changed[0]!r} in place; add options "
                f"by cli.add_run_option{how_to_skip(plugin)}"
            )

    def add_command(self, cmd: click.Command, name: str | None = None, *, group: str = "") -> None:
        """Add a command, or add it to one of our groups; raise PluginError if it is there."""
        called = name or cmd.name or ""
        path = f"{group} {called}".strip()
        siblings = self.commands if not group else self._group(group).commands
        if called in {**siblings, **self.added.get(group, {})}:
            raise self._clash("commands", path, self._owners.get(path, OWN))
        self._owners[path] = self._plugin
        if group:
            self.added.setdefault(group, {})[called] = cmd
        else:
            super().add_command(cmd, called)

    def add_run_option(self, option: RunOption[Any]) -> None:
        """Add an option to commands that put a team to work; raise PluginError if it is there."""
        if option.name in self.run_options:
            raise self._clash("options", option.name, self.run_options[option.name][0])
        for name in option.commands:
            command = self.commands.get(name)
            if not isinstance(command, TeamCommand):
                team = [n for n, own in self.commands.items() if isinstance(own, TeamCommand)]
                raise PluginError(
                    f"the plugin {self._plugin!r} adds {option.name} to {name!r}, which puts no "
                    f"team to work{nearest(name, team)}{how_to_skip(self._plugin)}"
                )
            if any(option.name in own.opts for own in command.params):
                raise self._clash("options", f"{name} {option.name}", OWN)
        self.run_options[option.name] = (self._plugin, option)

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        with unread():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with unread():
            return super().invoke(ctx)

    def _group(self, name: str) -> "Group":
        group = self.commands.get(name)
        if not isinstance(group, Group):
            groups = [n for n, own in self.commands.items() if isinstance(own, Group)]
            raise PluginError(
                f"the plugin {self._plugin!r} adds a command to {name!r}, which is no group"
                f"{nearest(name, groups)}{how_to_skip(self._plugin)}"
            )
        return group

    def _clash(self, what: str, name: str, owner: str) -> PluginError:
        first = "rolecall itself" if owner == OWN else f"the plugin {owner!r}"
        return PluginError(
            f"two {what} are called {name!r}: that of {first} and that of the plugin "
            f"{self._plugin!r}{how_to_skip(self._plugin)}"
        )

    def _restore(
        self, before: Mapping[str, tuple[click.Command, list[click.Parameter]]]
    ) -> Iterator[str]:
        """Undo and name what was changed without being added."""
        for name, (command, params) in before.items():
            if self.commands.get(name) is not command or command.params != params:
                self.commands[name], command.params = command, params
                yield name


class Group(click.Group):
    """A group of ours; plugins add to it in their command line, and to no other."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return with_block(super().get_params(ctx), len(self.params))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *self._added(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.commands.get(cmd_name) or self._added(ctx).get(cmd_name)

    def _added(self, ctx: click.Context) -> Mapping[str, click.Command]:
        root = ctx.find_root().command
        return root.added.get(self.name or "", {}) if isinstance(root, RootCommand) else {}
