"""`rolecall plugins new`: the project of a new plugin, with tests that pass."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rolecall import echo, hookimpl

if TYPE_CHECKING:
    from rolecall import CommandLine

KINDS = ("provider", "limiter", "agents", "observer", "command", "tool")


@hookimpl
def rolecall_commands(cli: "CommandLine") -> None:
    cli.add_command(new, group="plugins")


@click.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default=KINDS[0],
    show_default=True,
    help="What the plugin supplies.",
)
def new(name: str, kind: str) -> None:
    """Write the project of a new plugin, with tests that pass."""
    from .project import write_project

    project = write_project(Path(), name, kind)
    echo(f"{project}/\nIts tests: cd {project} && pip install -e '.[test]' && pytest")
