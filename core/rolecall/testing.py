"""For tests of teams and plugins: a clock without waiting, a provider without a vendor, contracts.

A contract is a class to inherit from in a test module, with what is to be tested as a property::

    class TestEcho(ProviderContract):
        provider = Echo()
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from .errors import ProviderError
from .json_schema import arguments_fault
from .plugin.contracts import check_tool
from .plugin.entry_points import installed
from .plugin.manager import Host
from .types.agents import Agent, Balance, TeamGraph
from .types.causes import Cause
from .types.consent import Consent
from .types.events import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    CallText,
    CallWaiting,
    CheckStarted,
    ConsentAsked,
    ConsentDecided,
    CostsCompared,
    DeliverableKept,
    DeploymentClosed,
    Event,
    FellBack,
    Hedged,
    Observer,
    RepairStarted,
    Rerouted,
    Retrying,
    RoundStarted,
    RouteClosed,
    RouteOpened,
    RouteProbed,
    RunEnded,
    RunStarted,
    StepReused,
    ToolEnded,
    ToolStarted,
    WorkspaceChange,
    WorkspaceLeft,
    WorkspaceVerified,
    WorkTouched,
)
from .types.limits import Call, ForecastLimiter, Limiter, Outcome
from .types.messages import (
    Closeable,
    HasModel,
    Message,
    NeedsSetup,
    Provider,
    Request,
    Response,
)
from .types.parts import ToolResult
from .types.tools import Tool, Work
from .types.verification import Check
from .usage import Usage

__all__ = [
    "AgentsContract",
    "FakeClock",
    "FakeProvider",
    "FakeWorkspace",
    "LimiterContract",
    "ObserverContract",
    "ProviderContract",
    "ToolContract",
    "sample_events",
]
T = TypeVar("T")
Script = str | Response | ProviderError | float
DAY = 86400.0


class FakeClock:
    """Time that passes only while everything waits: hours of pacing take no time at all.

    `run` runs a coroutine in an event loop on this time; `asyncio.sleep`, timeouts and timers
    inside keep to it as well.
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Move time forward at once, as a stall of the event loop would."""
        self._now += seconds

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(coroutine)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: FakeClock) -> None:
        self._fake = clock
        self._working = 0
        super().__init__(_Selector(clock, self))

    def time(self) -> float:
        return self._fake.now()

    @property
    def has_threads(self) -> bool:
        """Check whether threads are at work for somebody who waits."""
        return self._working > 0

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        future = super().run_in_executor(executor, func, *args)
        self._working += 1
        future.add_done_callback(self._finished)
        return future

    def _finished(self, _: object) -> None:
        self._working -= 1


class _Selector(selectors.SelectSelector):
    """Where a loop would wait for its next timer, lets the time pass instead."""

    def __init__(self, clock: FakeClock, loop: "_Loop") -> None:
        super().__init__()
        self._fake = clock
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._loop.has_threads and timeout:
            return super().select()  # what a thread does takes no time here; it wakes the loop
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self._fake.advance(timeout)
        return ready


class FakeProvider:
    """A provider that answers from a script and keeps what it was asked.

    script: an answer per call: a text, a Response, a ProviderError to raise, or seconds to wait
    before the following entry. Once it is used up, `default` answers.
    """

    def __init__(self, name: str, script: Iterable[Script] = (), default: str = "answer") -> None:
        self.name = name
        self.requests: list[Request] = []
        self._script = list(script)
        self._default = default

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        await request.progress.sending()
        while self._script and isinstance(self._script[0], float):
            await asyncio.sleep(self._script.pop(0))  # type: ignore[arg-type]
        entry = self._script.pop(0) if self._script else self._default
        if isinstance(entry, ProviderError):
            raise entry
        if isinstance(entry, Response):
            return entry
        return Response(text=str(entry), usage=Usage(input=10, output=5), model=request.model)


class ProviderContract:
    """What every provider keeps to; set `provider` to one that can answer, and inherit."""

    provider: Provider

    def test_its_name_is_a_word(self) -> None:
        from .types.agents import NAME

        assert NAME.fullmatch(self.provider.name)

    def test_it_answers_a_request_with_a_response(self) -> None:
        response = asyncio.run(_complete(self.provider, _request(self.provider)))
        assert isinstance(response, Response)
        assert isinstance(response.text, str)

    def test_it_leaves_the_request_as_it_is(self) -> None:
        request = _request(self.provider)
        asyncio.run(_complete(self.provider, request))
        assert request == _request(self.provider)

    def test_it_says_what_it_misses_without_a_call(self) -> None:
        if isinstance(self.provider, NeedsSetup):
            missing = self.provider.missing()
            assert missing is None or missing.strip()


class LimiterContract:
    """What every limiter keeps to; set `limiter` to one with a free place, and inherit."""

    limiter: Limiter

    def test_it_grants_a_permit_and_hears_the_end(self) -> None:
        async def use() -> None:
            await self.limiter.acquire(_call())
            self.limiter.ended(_call(), Outcome())

        FakeClock().run(asyncio.wait_for(use(), DAY))

    def test_a_cancelled_wait_leaves_the_next_caller_its_place(self) -> None:
        async def use() -> None:
            waiting = asyncio.ensure_future(self.limiter.acquire(_call()))
            await asyncio.sleep(0)
            if not waiting.cancel() and waiting.done():
                self.limiter.ended(_call(), Outcome(started=False))
            await asyncio.gather(waiting, return_exceptions=True)
            await self.limiter.acquire(_call())
            self.limiter.ended(_call(), Outcome())

        FakeClock().run(asyncio.wait_for(use(), DAY))

    def test_a_forecast_is_a_time_and_takes_no_permit(self) -> None:
        async def use() -> None:
            if isinstance(self.limiter, ForecastLimiter):
                for _ in range(100):
                    assert 0 <= self.limiter.forecast(_call()) < DAY
            await self.limiter.acquire(_call())
            self.limiter.ended(_call(), Outcome())

        FakeClock().run(asyncio.wait_for(use(), DAY))


class AgentsContract:
    """What a plugin's agents keep to; set `plugin` to its module, and inherit.

    Beside it are the agents of all other installed plugins, which its own may need or change.
    """

    plugin: Any

    def test_each_agent_says_who_it_is_and_where_it_runs(self) -> None:
        for agent in self._own():
            assert agent.title.strip(), f"{agent.name} has no title"
            assert agent.goal.strip(), f"{agent.name} has no goal"
            assert agent.prompt.strip(), f"{agent.name} has no prompt"
            assert agent.routes, f"{agent.name} has no route"

    def test_together_with_all_others_they_are_a_team(self) -> None:
        TeamGraph(agent for agent, _ in self._host().agents().values())

    def test_they_are_the_same_each_time(self) -> None:
        assert self._own() == self._own()

    def _own(self) -> list[Agent]:
        """List the agents that the plugin supplies or changes."""
        found = self._host().agents().values()
        return [agent for agent, owner in found if owner == "tested"]

    def _host(self) -> Host:
        others = (each for each in installed() if each.value != self.plugin.__name__)
        host = Host(others)
        host.register("tested", self.plugin)
        return host


class ObserverContract:
    """What every observer keeps to; set `observer` to one, and inherit."""

    observer: Observer

    def test_it_hears_every_event_and_gives_nothing_back(self, tmp_path: Path) -> None:
        for event in sample_events(str(tmp_path)):
            assert self.observer.notify(event) is None  # type: ignore[func-returns-value]

    def test_a_call_of_no_team_and_a_later_versions_event_do_it_no_harm(self) -> None:
        for event in (*(e for e in sample_events() if isinstance(e, CallEvent)), Event(at=1.0)):
            self.observer.notify(event)


class FakeWorkspace:
    """A workspace whose files are in memory alone."""

    root = ""

    def __init__(self, files: Mapping[str, str] = MappingProxyType({})) -> None:
        self.texts = dict(files)

    def files(self) -> list[str]:
        return sorted(self.texts)

    def read(self, path: str) -> str:
        if path not in self.texts:
            raise ValueError(f"{path}: there is no such file")
        return self.texts[path]

    def write(self, path: str, text: str) -> None:
        self.texts[path] = text

    def delete(self, path: str) -> None:
        self.read(path)
        del self.texts[path]


class ToolContract:
    """What every tool keeps to; set `tool`, and `arguments` that fit it, and inherit.

    files: what is in the workspace, path to text.
    """

    tool: Tool
    arguments: Mapping[str, Any] = MappingProxyType({})
    files: Mapping[str, str] = MappingProxyType({})

    def test_a_model_can_be_told_of_it(self) -> None:
        check_tool("tested", self.tool)

    def test_its_arguments_fit(self) -> None:
        assert not arguments_fault(self.tool.parameters, self.arguments)

    def test_a_call_gives_a_result(self) -> None:
        result, _ = self._call()
        assert isinstance(result, ToolResult)
        assert not result.is_error, result.text

    def test_it_changes_no_file_where_it_says_so(self) -> None:
        _, workspace = self._call()
        if self.tool.read_only:
            assert workspace.texts == dict(self.files)

    def _call(self) -> tuple[ToolResult, FakeWorkspace]:
        workspace = FakeWorkspace(self.files)
        work = Work("tested", workspace=workspace)
        return asyncio.run(self.tool.call(self.arguments, work)), workspace


def sample_events(folder: str = "runs/sample") -> tuple[Event, ...]:
    """Return one event of each kind, as a run of two agents in a folder might emit them."""
    call: dict[str, Any] = {"call": 1, "agent": "writer", "provider": "one", "model": "m"}
    route, cause = "one/m", Cause.OVERLOADED
    tool: dict[str, Any] = {"agent": "writer", "step": "key", "call": "1", "tool": "lint"}
    tool["arguments"] = {"path": "a"}
    limits: dict[str, Any] = {"step": "key", "waited": 0.5, "max_output_tokens": 100}
    return (
        RunStarted(
            at=0.0,
            folder=folder,
            request="Write it.",
            agents=("writer", "tester"),
            first_choices=(("writer", "one"), ("tester", "one")),
            needs=(("tester", ("writer",)),),
        ),
        DeliverableKept(at=0.0, agent="tester", file="deliverables/02-tester.md"),
        AgentStarted(at=0.0, agent="writer"),
        CallWaiting(at=0.0, **call),
        CallHeld(at=0.0, reason="interval", seconds=0.5, **call),
        CallStarted(at=0.5, **limits, **call),
        CallText(at=0.6, delta="text", **call),
        CallEnded(at=1.0, took=0.5, text="text", usage=Usage(10, 5), **limits, **call),
        RoundStarted(at=1.0, agent="writer", round=1, rounds=40),
        ConsentAsked(at=1.0, plugin="linting", **tool),
        ConsentDecided(
            at=1.0, agent="writer", step="key", call="1", tool="lint", consent=Consent.ONCE
        ),
        ToolStarted(at=1.0, **tool),
        ToolEnded(at=1.2, text="done", is_error=False, took=0.2, tree="tree", **tool),
        CheckStarted(at=1.2, agent="writer", command="pytest", number=1, checks=1),
        RepairStarted(at=1.4, agent="writer", repair=1, repairs=2),
        WorkspaceVerified(
            at=1.5,
            agent="writer",
            tree="tree",
            sandbox="box",
            when=0.0,
            checks=(Check(command="pytest", code=0, output="1 passed", seconds=0.5),),
        ),
        Retrying(at=1.0, agent="writer", route=route, cause=cause, delay=1.0),
        RouteOpened(at=2.0, route=route, cause=cause, seconds=30.0),
        RouteProbed(at=2.0, route=route, agent="writer"),
        RouteClosed(at=2.0, route=route),
        DeploymentClosed(at=2.0, provider="one", deployment="B", cause=cause),
        FellBack(at=2.0, agent="writer", route=route, to="two", cause=cause),
        Hedged(at=2.0, agent="writer", route=route, to="two", after=4.0),
        Rerouted(
            at=2.0,
            agent="writer",
            route=route,
            to="two",
            balance=Balance.SPILL,
            wait=9.0,
            takes=4.0,
            saves=0.01,
        ),
        StepReused(at=2.0, agent="writer", step="key"),
        WorkTouched(at=2.0, touched=(("writer", "new title"),), revise=("writer",)),
        AgentDone(at=3.0, agent="writer", route=route, file="deliverables/01-writer.md"),
        AgentFailed(at=3.0, agent="tester", error="all routes failed"),
        AgentBlocked(at=3.0, agent="tester", by="writer"),
        WorkspaceLeft(
            at=4.0,
            files=("a",),
            changes=(WorkspaceChange(agent="writer", files=(("a", "A"),), patch="+text\n"),),
        ),
        CostsCompared(at=4.0, elsewhere=((route, 0.5),), cached=0.0),
        RunEnded(at=4.0, done=1, failed=1, blocked=0),
    )


async def _complete(provider: Provider, request: Request) -> Response:
    try:
        return await provider.complete(request)
    finally:
        if isinstance(provider, Closeable):
            await provider.aclose()


def _request(provider: Provider) -> Request:
    """Ask as the dispatcher does, which always names the model."""
    return Request(
        system="Answer.",
        messages=(Message("user", "Hello"),),
        model=provider.model if isinstance(provider, HasModel) else "",
        max_output_tokens=64,
    )


def _call() -> Call:
    return Call(number=1, agent="tester", provider="tested", model="m", input_tokens=1)
