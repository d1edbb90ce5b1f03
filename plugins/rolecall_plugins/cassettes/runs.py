"""Run a command with `--record` or `--replay`: all its traffic goes through a cassette."""

import asyncio
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import evolve

from rolecall import (
    Action,
    AgentSettings,
    Cause,
    Host,
    Limiter,
    Redactor,
    Settings,
    echo,
    warn,
)

from .current_call import CurrentCallLimiter
from .files.reader import load
from .interactions import CassetteMetadata
from .player import Player
from .recording import patched, recorded_in
from .redaction import Redaction
from .staleness import describe_team

DEMO = "demo"
PLACEHOLDER = "replayed"
# A replay keeps to the recorded path, so nothing of its own leaves a route alone or gives up.
NEVER = 10**9
REPLAYED = ("max_output_tokens", "temperature", "stream", "continuations", "attempts")


@contextmanager
def recording(app: Any, file: str, add: bool) -> Iterator[None]:
    """Record what is called while the command runs, and save it however that ends.

    add: to what the file holds, as a resumed run does.
    """
    path = Path(file)
    redaction = Redaction(Redactor(app.settings.environment).secrets)

    def describe(metadata: CassetteMetadata) -> CassetteMetadata:
        return describe_team(metadata, app.host, app.settings)

    recorder = None
    try:
        with recorded_in(path, redaction, "add" if add else "keep", describe) as recorder:
            yield
    finally:
        if recorder is not None:
            warn(*recorder.complaint.splitlines())
            if recorder.saved and not app.settings.quiet:
                warn(f"recorded {len(recorder.interactions)} calls in {path}")


@contextmanager
def replaying(app: Any, file: str, speed: float | None) -> Iterator[None]:
    """Answer every call from a cassette; speed: times as fast as it was, None without waiting."""
    path = find(file)
    metadata, interactions = load(path)
    redaction = Redaction(Redactor(app.settings.environment).secrets)
    clock = Hurried(speed)
    record_again = (
        f'rolecall run "REQUEST" --record {"FILE" if file == DEMO else shlex.quote(file)}'
    )
    player = Player(
        path, metadata, interactions, redaction, record_again, clock.sleep if speed else None
    )
    app.settings = _as_recorded(app.settings, metadata, app.host, speed)
    app.clock = clock
    if speed is None:
        app.host = Unlimited(app.host, player)
    since = f" on {metadata.recorded}" if metadata.recorded else ""
    if not app.settings.quiet:
        warn(f"replaying {path}, recorded from {metadata.source}{since}")
    with patched(player):
        yield
    _report(player)


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


class Unlimited:
    """A host whose limiters do not limit: what is replayed costs nobody anything."""

    def __init__(self, host: Host, player: Player) -> None:
        self._host = host
        self._player = player

    def limiters(self, settings: Settings) -> dict[str, tuple[Limiter, str]]:
        limiter = CurrentCallLimiter(self._player)
        return {limiter.name: (limiter, "cassettes")}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)


class Keyless(dict[str, str]):
    """An environment in which every key is set, to a word that is none."""

    def get(self, name: str, default: Any = None) -> Any:
        placed = PLACEHOLDER if Redactor({name: PLACEHOLDER}).secrets else default
        return super().get(name, "").strip() or placed


def _as_recorded(
    settings: Settings, metadata: CassetteMetadata, host: Host, speed: float | None
) -> Settings:
    """Ask as it was asked when it was recorded, wherever that differs from here."""
    recorded = metadata.settings
    routes = {name: tuple(agent.routes) for name, agent in metadata.team.items() if agent.routes}
    known = host.agents()
    changed: dict[str, Any] = {name: recorded[name] for name in REPLAYED if name in recorded}
    if recorded:
        changed.setdefault("temperature", None)
        changed["on"] = {
            Cause(cause): Action(does) for cause, does in recorded.get("on", {}).items()
        }
    return evolve(
        settings,
        **changed,
        agents={
            **settings.agents,
            **{
                name: evolve(settings.agents.get(name, AgentSettings()), routes=own)
                for name, own in routes.items()
                if name in known
            },
        },
        rehearsal=True,
        interval=settings.interval / speed if speed else 0.0,
        max_wait=float(NEVER),
        breaker_failures=NEVER,
        environment=Keyless(
            (name, value)
            for name, value in settings.environment.items()
            if not name.startswith("ROLECALL_AGENT_")  # the routes are those of the recording
        ),
    )


def _report(player: Player) -> None:
    """Show how the first request that was not recorded differs from what was."""
    if player.misses:
        first, *others = player.misses
        for line in first.difference:
            echo(f"  {line}", file=sys.stderr)
        if others:
            echo(f"  … and {len(others)} more requests are not in the cassette", file=sys.stderr)
    elif player.unplayed:
        warn(f"{len(player.unplayed)} recorded calls were not needed")
