"""Every command that the command line has, found in click, with arguments to try it with."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from rolecall.cli.command_line import Group, RootCommand
from rolecall.cli.main import COMMANDS
from rolecall.plugin.manager import Host

# What writes on purpose. Every other command only reads, also one that nobody has thought of yet.
WRITING = {
    ("run",),
    ("resume",),
    ("rerun",),
    ("update",),
    ("runs", "rm"),
    ("runs", "trust"),
    ("plugins", "new"),
    ("cassettes", "pin"),
}
ENDLESS = {("simulator",)}  # serves until it is stopped, and opens no run
VALUES = {
    "CHANGE": ("{run}", "Change it"),
    "REQUEST": ("Build it",),
    "ROLE": ("feature-analyst",),
    "FILE": ("{run}/cassette.yaml",),
    "NAME": ("mine",),
    "OTHER": (),
}
NEEDED = {("rerun",): ("--from", "feature-analyst", "--yes"), ("runs", "rm"): ("--yes",)}


def every_command() -> list[tuple[str, ...]]:
    """List the names of all commands that end, those of plugins included."""
    host = Host()
    root = RootCommand(host, COMMANDS)
    return sorted(set(_names(root, click.Context(root, info_name="rolecall"))) - ENDLESS)


def reading_commands() -> list[tuple[str, ...]]:
    return [name for name in every_command() if name not in WRITING]


def arguments(name: Sequence[str], run: str | Path) -> list[str]:
    """Return a command's whole line that names a run wherever one can be named."""
    root = RootCommand(Host(), COMMANDS)
    context = click.Context(root, info_name="rolecall")
    command: click.Command = root
    for step in name:
        assert isinstance(command, click.Group)
        found = command.get_command(context, step)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=step)
    words = [*name, *NEEDED.get(tuple(name), ())]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            hint = (parameter.metavar or parameter.name or "").upper()
            is_run = "RUN" in hint or (hint == "NAME" and name[0] != "plugins")
            kind = "" if is_run and "CHANGE" not in hint else hint
            values = next((VALUES[each] for each in VALUES if each in kind), ("{run}",))
            words += [value.replace("{run}", str(run)) for value in values]
    return words


def _names(group: click.Group, context: click.Context) -> Iterator[tuple[str, ...]]:
    path = tuple(context.command_path.split()[1:])
    if isinstance(group, Group) and group.invoke_without_command:
        yield path
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _names(command, click.Context(command, parent=context, info_name=name))
        elif command is not None:
            yield (*path, name)
