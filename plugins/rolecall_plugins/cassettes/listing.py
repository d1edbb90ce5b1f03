"""`rolecall cassettes`: which ones no longer match the team, and what is in one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rolecall import echo, warn

if TYPE_CHECKING:
    from rolecall import CommandContext

FOLDER = "cassettes"


@click.group()
def cassettes() -> None:
    """Check and show recorded HTTP traffic."""


@cassettes.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def check(app: "CommandContext", files: Sequence[str], as_json: bool) -> int:
    """List the cassettes that no longer match the team, oldest first.

    By default all of the folder `cassettes`. The exit code is 1 if there is one.
    """
    from attrs import asdict

    from .errors import CassetteError
    from .staleness import find_stale

    app.host.check()
    chosen = list(map(Path, files)) or sorted(Path(FOLDER).rglob("*.yaml"))
    for path in chosen:
        if not path.exists():
            raise CassetteError(f"{path}: cannot be read: there is no such file")
    stale, compared = find_stale(chosen, app.host, app.settings)
    if as_json:
        echo(json.dumps([asdict(entry) for entry in stale], indent=2))
    else:
        for entry in stale:
            echo(f"{entry.recorded or 'no date':10}  {entry.file}")
            for reason in entry.reasons:
                echo(f"            {reason}")
        of_tests = len(chosen) - compared
        more = f"; {of_tests} hold no team, so there is nothing to compare" if of_tests else ""
        warn(f"{len(stale)} of {len(chosen)} cassettes no longer match the team{more}")
    return 1 if stale else 0


@cassettes.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def pin(app: "CommandContext", file: Path) -> None:
    """Keep the team's prompts in a cassette, so that it replays also when they have changed."""
    from rolecall import Redactor

    from .files.reader import load
    from .files.writer import save
    from .redaction import Redaction
    from .restored.pinning import pinned

    app.host.check()
    metadata, interactions = load(file)
    agents = {name: agent for name, (agent, _) in app.host.agents().items()}
    secrets = Redactor.of(app.settings).secrets
    save(file, pinned(metadata, agents), interactions, Redaction(secrets))
    warn(f"{file} holds the prompts of {len(metadata.team)} agents now")


@cassettes.command()
@click.argument("file")
def show(file: str) -> None:
    """Print a cassette as a conversation; `demo` is the one that comes with rolecall."""
    from .conversation import conversation
    from .files.reader import load
    from .runs import find

    for line in conversation(*load(find(file))):
        echo(line)
