"""`--record` and `--replay` for the commands that run a team, and `rolecall cassettes`."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rolecall import CommandLine, RunOption, hookimpl

from .current_call import CurrentCallLimiter, active_cassette
from .listing import cassettes

if TYPE_CHECKING:
    from rolecall import Limiter, Observer, RunSetup, Settings


@hookimpl
def rolecall_limiters(settings: "Settings") -> "Iterable[Limiter]":
    return [CurrentCallLimiter(active_cassette.get())]


@hookimpl
def rolecall_observers(settings: "Settings") -> "Iterable[Observer]":
    cassette = active_cassette.get()
    return [] if cassette is None else [cassette]


@hookimpl
def rolecall_commands(cli: CommandLine) -> None:
    cli.add_command(cassettes)
    cli.add_run_option(RECORD)
    cli.add_run_option(REPLAY)
    cli.add_run_option(SPEED)


def _record(file: Path, setup: "RunSetup") -> "AbstractContextManager[RunSetup]":
    from .runs import recording

    return recording(setup, file)


def _replay(file: str, setup: "RunSetup") -> "AbstractContextManager[RunSetup]":
    from .runs import replaying

    speed = SPEED.value_in(setup)
    if speed is not None and not speed > 0:
        raise click.UsageError(f"{SPEED.name} must be above 0, not {speed:g}")
    return replaying(setup, file, speed)


RECORD = RunOption(
    "--record", "Record every call in a cassette, without keys.", Path, _record, "FILE"
)
REPLAY = RunOption(
    "--replay",
    "Answer every call from a cassette: no key, no network. `demo` is ours.",
    str,
    _replay,
    "FILE",
    excludes=("--record", "--offline"),
)
SPEED = RunOption(
    "--replay-speed",
    "With --replay: wait as when it was recorded; 2 is twice as fast.",
    float,
    metavar="TIMES",
    needs="--replay",
)
