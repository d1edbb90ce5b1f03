"""`--record` and `--replay`: what a run is told so that a cassette listens, or speaks for all."""

import asyncio
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
from attrs import evolve
from vcr.patch import CassettePatcherBuilder

from rolecall import Action, AgentSettings, Cause, Host, Limiter, Redactor, Settings

from . import team
from .calling import Caller, listening
from .player import Player
from .recorder import Recorder
from .redaction import Redaction
from .takes import Head, check_writable, load

DEMO = "demo"
PLACEHOLDER = "replayed"
# A replay keeps to the recorded path, so nothing of its own leaves a route alone or gives up.
NEVER = 10**9
REPLAYED = ("max_output_tokens", "temperature", "stream", "continuations", "attempts")


@contextmanager
def patched(tape: Any) -> Iterator[None]:
    """Let all clients in this process go through a cassette."""
    token = listening.set(tape)
    try:
        with ExitStack() as patches:
            for patch in CassettePatcherBuilder(tape).build():
                patches.enter_context(patch)
            yield
    finally:
        listening.reset(token)


@contextmanager
def recording(app: Any, file: str, add: bool) -> Iterator[None]:
    """Record what is called while the command runs, and save it however that ends.

    add: to what the file holds, as a resumed run does.
    """
    path = Path(file)
    check_writable(path)
    redaction = Redaction(Redactor(app.settings.environment).secrets)
    head, takes = load(path) if add and path.exists() else (Head(), [])
    tape = Recorder(path, redaction, head, takes)
    try:
        with patched(tape):
            yield
    finally:
        saved = tape.save(lambda head: team.describe(head, app.host, app.settings))
        if saved and not app.settings.quiet:
            click.echo(f"rolecall: recorded {len(tape.takes)} calls in {path}", err=True)


@contextmanager
def replaying(app: Any, file: str, speed: float | None) -> Iterator[None]:
    """Answer every call from a cassette; speed: times as fast as it was, None without waiting."""
    path = find(file)
    head, takes = load(path)
    redaction = Redaction(Redactor(app.settings.environment).secrets)
    clock = Hurried(speed)
    again = f'rolecall run "REQUEST" --record {"FILE" if file == DEMO else shlex.quote(file)}'
    tape = Player(path, head, takes, redaction, again, clock.sleep if speed else None)
    app.settings = _as_recorded(app.settings, head, app.host, speed)
    app.clock = clock
    if speed is None:
        app.host = Unlimited(app.host, tape)
    since = f" on {head.recorded}" if head.recorded else ""
    if not app.settings.quiet:
        click.echo(f"rolecall: replaying {path}, recorded from {head.source}{since}", err=True)
    with patched(tape):
        yield
    _tell(tape)


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

    def __init__(self, host: Host, tape: Player) -> None:
        self._host = host
        self._tape = tape

    def limiters(self, settings: Settings) -> dict[str, tuple[Limiter, str]]:
        limiter = Caller(self._tape)
        return {limiter.name: (limiter, "cassettes")}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)


class Keyless(dict[str, str]):
    """An environment in which every key is set, to a word that is none."""

    def get(self, name: str, default: Any = None) -> Any:
        placed = PLACEHOLDER if Redactor({name: PLACEHOLDER}).secrets else default
        return super().get(name, "").strip() or placed


def _as_recorded(settings: Settings, head: Head, host: Host, speed: float | None) -> Settings:
    """Ask as it was asked when it was recorded, wherever that differs from here."""
    told = head.settings
    routes = {name: tuple(each["routes"]) for name, each in head.team.items() if each.get("routes")}
    known = host.agents()
    changed: dict[str, Any] = {name: told[name] for name in REPLAYED if name in told}
    if told:
        changed.setdefault("temperature", None)
        changed["on"] = {Cause(each): Action(what) for each, what in told.get("on", {}).items()}
    return evolve(
        settings,
        **changed,
        agents={
            **settings.agents,
            **{
                name: evolve(settings.agents.get(name, AgentSettings()), routes=each)
                for name, each in routes.items()
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


def _tell(tape: Player) -> None:
    """Show how the first request that was not recorded differs from what was."""
    if tape.misses:
        first, *others = tape.misses
        for line in first.difference:
            click.echo(f"  {line}", err=True)
        if others:
            click.echo(f"  … and {len(others)} more requests are not in the cassette", err=True)
    elif tape.unplayed:
        click.echo(f"rolecall: {len(tape.unplayed)} recorded calls were not needed", err=True)
