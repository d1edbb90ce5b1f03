"""Run a command with `--record` or `--replay`: all its traffic goes through a cassette."""

import asyncio
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from attrs import evolve

from rolecall import (
    Action,
    AgentSettings,
    Cause,
    Redactor,
    Rehearsal,
    RunOptions,
    RunSetup,
    UsageError,
    echo,
    warn,
)

from .current_call import CurrentCallLimiter
from .files.reader import load
from .interactions import CassetteMetadata, Interaction
from .player import Player
from .recording import patched, recorded_in
from .redaction import Redaction
from .restored.pinning import as_recorded
from .staleness import describe_team
from .tool_calls.player import ToolCallPlayer

DEMO = "demo"
# A replay keeps to the recorded path, so nothing of its own leaves a route alone or gives up.
NEVER = 10**9
REPLAYED = (
    *("max_output_tokens", "temperature", "stream", "continuations", "attempts"),
    *("max_rounds", "repairs"),
)


@contextmanager
def recording(setup: RunSetup, path: Path) -> Iterator[RunSetup]:
    """Record what is called while the command runs, and save it however that ends.

    A run that goes on adds to what the file holds.
    """
    redact = Redactor.of(setup.settings)
    redaction = Redaction(redact.secrets, redact.known)

    def describe(metadata: CassetteMetadata) -> CassetteMetadata:
        return describe_team(metadata, setup.host, setup.settings)

    unfinished: Literal["add", "keep"] = "keep" if setup.kept is None else "add"
    recorder = None
    try:
        with recorded_in(path, redaction, unfinished, describe) as recorder:
            yield evolve(setup, recorder=recorder.tools)
    finally:
        if recorder is not None:
            warn(*recorder.complaint.splitlines())
            if recorder.saved and not setup.settings.quiet:
                number = len(recorder.interactions)
                warn(f"recorded {'1 call' if number == 1 else f'{number} calls'} in {path}")


@contextmanager
def replaying(setup: RunSetup, file: str, speed: float | None) -> Iterator[RunSetup]:
    """Answer every call from a cassette; speed: times as fast as it was, None without waiting."""
    path = find(file)
    metadata, interactions = load(path)
    _check_recorded(setup, file, metadata, interactions)
    clock = Hurried(speed)
    redaction = Redaction(Redactor.of(setup.settings).secrets | {Rehearsal.placeholder})
    record_again = (
        f'rolecall run "REQUEST" --record {"FILE" if file == DEMO else shlex.quote(file)}'
    )
    player = Player(
        path,
        metadata,
        interactions,
        redaction,
        record_again,
        clock.sleep if speed else None,
    )
    since = f" on {metadata.recorded}" if metadata.recorded else ""
    if not setup.settings.quiet:
        warn(f"replaying {path}, recorded from {metadata.source}{since}")
    rehearsal = Rehearsal(
        _as_recorded(setup, metadata, speed),
        agent=as_recorded(metadata),
        # What is replayed costs nobody anything.
        limiters=None if speed else [CurrentCallLimiter(player)],
        clock=clock,
        tools=ToolCallPlayer(path, metadata, redaction, record_again, player.note_miss),
    )
    try:
        with patched(player):
            yield _completed(setup, metadata).rehearsing("--replay", rehearsal)
    finally:
        _report(player)


def _completed(setup: RunSetup, metadata: CassetteMetadata) -> RunSetup:
    """Take what a new run's command line leaves open from what was recorded."""
    if setup.kept is not None:
        return setup
    options = RunOptions(
        setup.options.assign,
        setup.options.only or metadata.only,
        setup.options.skip or metadata.skip,
    )
    return evolve(setup, request=setup.request or metadata.request, options=options)


def _check_recorded(
    setup: RunSetup,
    file: str,
    metadata: CassetteMetadata,
    interactions: Sequence[Interaction],
) -> None:
    """Refuse, before a run is begun or changed, what the cassette was never asked."""
    recorded = metadata.request.strip()
    if setup.request and recorded and setup.request != recorded:
        raise UsageError(
            f"{file} was recorded for another request; leave out yours, or record it with --record"
        )
    if setup.command == "update" and any(interaction.agent for interaction in interactions):
        planners = {name for name, (agent, _) in setup.host.agents().items() if agent.plan}
        plans = {plan.canonical for plan in interactions if plan.agent in planners}
        if len(plans) < 2:
            raise UsageError(
                f"no change was recorded in {file}, so it has no answers to one; "
                "change a run that was not replayed"
            )


def find(file: str) -> Path:
    """Find a cassette; `demo` is the one that comes with rolecall."""
    if file != DEMO or Path(file).exists():
        return Path(file)
    packaged = Path(str(files(__package__).joinpath("demo.yaml")))
    return packaged if packaged.exists() else Path(__file__).parents[3] / "cassettes" / "demo.yaml"


class Hurried:
    """A clock on which a wait is over at once, or in a fraction of its time."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed if self._speed else 0)


def _as_recorded(
    setup: RunSetup, metadata: CassetteMetadata, speed: float | None
) -> Mapping[str, Any]:
    """Ask as it was asked when it was recorded, wherever that differs from here."""
    settings, recorded = setup.settings, metadata.settings
    values: dict[str, Any] = {name: recorded[name] for name in REPLAYED if name in recorded}
    if recorded:
        values.setdefault("temperature", None)
        values["verify"] = tuple(recorded.get("verify", ()))
        values["on"] = {
            Cause(cause): Action(does) for cause, does in recorded.get("on", {}).items()
        }
    return {
        **values,
        "agents": {name: _agent_as_recorded(setup, metadata, name) for name in setup.host.agents()},
        "interval": settings.interval / speed if speed else 0.0,
        "rehearsal_speed": speed or 1.0,
        "tools": True,
        "max_wait": float(NEVER),
        "breaker_failures": NEVER,
        # The routes are those of the recording.
        "environment": {
            name: "" for name in settings.environment if name.startswith("ROLECALL_AGENT_")
        },
    }


def _agent_as_recorded(setup: RunSetup, metadata: CassetteMetadata, name: str) -> AgentSettings:
    """Return an agent's settings with the routes and tools of the recording."""
    own, recorded = setup.settings.agents.get(name, AgentSettings()), metadata.team.get(name)
    if recorded is None:
        return evolve(own, tools=())
    return evolve(own, routes=tuple(recorded.routes) or own.routes, tools=tuple(recorded.tools))


def _report(player: Player) -> None:
    """Show how the first request that was not recorded differs from what was."""
    if player.misses:
        first, *others = player.misses
        for line in first.difference:
            echo(f"  {line}", file=sys.stderr)
        if others:
            more = "1 more request is" if len(others) == 1 else f"{len(others)} more requests are"
            echo(f"  … and {more} not in the cassette", file=sys.stderr)
    elif player.unplayed:
        left = len(player.unplayed)
        calls = "1 recorded call was" if left == 1 else f"{left} recorded calls were"
        warn(f"{calls} not needed")
