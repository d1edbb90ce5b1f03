"""Small agents, providers, plugins and runs to test with."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import frozen

from rolecall import (
    Agent,
    Answer,
    Call,
    CallContext,
    CallEnded,
    CallStarted,
    Cause,
    Dispatcher,
    Event,
    Message,
    Outcome,
    Provider,
    ProviderError,
    Request,
    Response,
    Settings,
    Stop,
    Team,
    hookimpl,
)
from rolecall.execution.context import RunContext
from rolecall.observers.event_bus import EventBus
from rolecall.observers.ledger import Ledger
from rolecall.plugin.entry_points import Distribution
from rolecall.plugin.entry_points import Point as RealPoint
from rolecall.scheduling.scheduler import RunOutcome, Scheduler
from rolecall.storage.history import Past
from rolecall.storage.run_folder import RunFolder
from rolecall.testing import FakeClock, FakeProvider

DEFAULTS = Settings()
REQUEST = Request(system="You test.", messages=(Message("user", "Say something."),))
CALL = {
    "at": 1.0,
    "agent": "a",
    "provider": "one",
    "model": "m",
    "waited": 0.5,
    "max_output_tokens": 100,
}
TRUNCATED = Response("cut off he", stop=Stop.LENGTH)


class Closing(FakeProvider):
    """Keeps the event loops in which it was closed."""

    def __init__(self, name: str, script: Sequence[Any] = ()) -> None:
        super().__init__(name, script)
        self.closed: list[asyncio.AbstractEventLoop] = []

    async def aclose(self) -> None:
        self.closed.append(asyncio.get_running_loop())


def agent(name: str = "writer", *needs: str, **more: Any) -> Agent:
    more.setdefault("routes", ("one",))
    more.setdefault("prompt", f"You are the {name}.")
    return Agent(name=name, title=name.title(), goal="test", needs=needs, **more)


def failing(cause: Cause | str, times: int = 1, **more: Any) -> list[ProviderError]:
    return [ProviderError(cause, f"as the vendor says {cause}", **more) for _ in range(times)]


def call_started(call: int = 1, step: str = "step", **more: Any) -> CallStarted:
    return CallStarted(**{**CALL, "call": call, "step": step, **more})


def call_ended(call: int = 1, step: str = "step", text: str = "answer", **more: Any) -> CallEnded:
    return CallEnded(**{**CALL, "call": call, "step": step, "took": 2.0, "text": text, **more})


class Heard(list[Event]):
    """An observer that keeps what it hears."""

    def notify(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


class Gate:
    """A limiter that keeps what it is asked and told; each call waits `delay` seconds."""

    def __init__(self, name: str = "gate", delay: float = 0.0) -> None:
        self.name = name
        self.asked: list[Call] = []
        self.told: list[tuple[Call, Outcome]] = []
        self._delay = delay

    async def acquire(self, call: Call) -> None:
        self.asked.append(call)
        await asyncio.sleep(self._delay)

    def ended(self, call: Call, outcome: Outcome) -> None:
        self.told.append((call, outcome))


class KeyedProvider(FakeProvider):
    """A provider that may lack its key."""

    def __init__(self, name: str, missing: str | None, script: Iterable[Any] = ()) -> None:
        super().__init__(name, script)
        self._missing = missing

    def missing(self) -> str | None:
        return self._missing


class CappedProvider(FakeProvider):
    """A provider that knows its models' largest output budget."""

    def __init__(self, name: str, ceiling: int | None, script: Iterable[Any] = ()) -> None:
        super().__init__(name, script)
        self._ceiling = ceiling

    def max_output_tokens(self, model: str) -> int | None:
        return self._ceiling


class Dispatching:
    """A dispatcher of some providers, for one agent that runs on all of them in this order."""

    def __init__(
        self,
        *providers: FakeProvider,
        routes: Sequence[str] | None = None,
        settings: Settings = DEFAULTS,
        limiters: Sequence[Any] = (),
        rng: random.Random | None = None,
        past: Past | None = None,
        **agents: Any,
    ) -> None:
        self.clock = FakeClock()
        self.events = Heard()
        if routes is None:
            routes = [provider.name for provider in providers]
        self._agent = agent(routes=routes, **agents)
        context = CallContext(
            providers={provider.name: provider for provider in providers},
            limiters=limiters,
            settings=settings,
            clock=self.clock,
            emit=self.events.notify,
            rng=rng or random.Random(1),
            past=past or Past(),
        )
        self._dispatcher = Dispatcher(context)

    def step(self, request: Request = REQUEST) -> Answer:
        return self.clock.run(self.stepping(request))

    async def stepping(self, request: Request = REQUEST) -> Answer:
        return await self._dispatcher.run(self._agent, request)

    @property
    def calls(self) -> list[tuple[str, float]]:
        """Which provider was called, how many seconds after the start."""
        return [(event.provider, event.at) for event in self.events.of(CallStarted)]

    @property
    def order(self) -> list[str]:
        return [provider for provider, _ in self.calls]


@frozen
class Asked:
    """What came of one step; `took` is seconds."""

    answer: Response | None
    route: str
    error: Exception | None
    took: float
    events: Heard
    calls: list[tuple[str, float]]
    order: list[str]


def ask(*providers: FakeProvider, request: Request = REQUEST, **how: Any) -> Asked:
    """Get one step answered, or not, by these providers."""
    dispatching = Dispatching(*providers, **how)
    start = dispatching.clock.now()
    answer, route, error = None, "", None
    try:
        answered = dispatching.step(request)
        answer, route = answered.response, answered.route
    except Exception as raised:
        error = raised
    took = dispatching.clock.now() - start
    return Asked(
        answer, route, error, took, dispatching.events, dispatching.calls, dispatching.order
    )


@frozen
class Ran:
    """What came of a run."""

    outcome: RunOutcome
    events: Heard
    ledger: Ledger
    folder: Path

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "deliverables").iterdir())


def run(
    folder: Path,
    agents: Iterable[Agent],
    *providers: Provider,
    settings: Settings = DEFAULTS,
    limiters: Sequence[Any] = (),
    keepers: Sequence[Any] = (),
    left_out: Mapping[str, Sequence[str]] | None = None,
    frozen: Sequence[str] = (),
    request: str = "Build it.",
    within: Callable[[FakeClock, Coroutine[Any, Any, RunOutcome]], RunOutcome] = FakeClock.run,
    **acting: Any,
) -> Ran:
    """Run a team, in a new folder or again in one that is there."""
    clock, events, ledger, team = FakeClock(), Heard(), Ledger(), Team(agents)
    there = (folder / "journal.jsonl").exists()
    with RunFolder(folder) if there else RunFolder.create(folder, request, {}) as opened:
        bus = EventBus([opened.store, ledger, *keepers], [events])
        context = RunContext(
            providers={provider.name: provider for provider in providers},
            limiters=limiters,
            settings=settings,
            clock=clock,
            emit=bus,
            rng=random.Random(1),
            calls=opened.store.calls.last,
            team=team,
            request=opened.request,
            numbers={name: number for number, name in enumerate(team.agents, 1)},
            priorities=team.paths(dict.fromkeys(team.agents, 1.0)),
            left_out=left_out or {},
            frozen=frozen,
            **acting,
        )
        outcome = within(clock, Scheduler(context, opened).run())
    return Ran(outcome, events, ledger, folder)


@contextmanager
def full_disk(at: int) -> Iterator[None]:
    """Let the system refuse to make any file longer than `at` bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def plugin(**hooks: Any) -> ModuleType:
    """Make a module whose hooks are these functions, or give these values."""
    module = ModuleType("a_plugin")
    for name, value in hooks.items():
        setattr(module, f"rolecall_{name}", hookimpl(value if callable(value) else _giving(value)))
    return module


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value


class Point(RealPoint):
    """An entry point of a distribution that need not be installed."""

    def __init__(self, name: str, load: object, distribution: str = "elsewhere") -> None:
        super().__init__(name, f"{name}_module", Distribution(distribution, "1.0"))
        self.loaded = load
        self.loads: list[str] = []

    def load(self) -> Any:
        self.loads.append(self.name)
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded
