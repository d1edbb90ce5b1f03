"""What we give to the tests of others: the clock, the provider, and the contracts."""

import asyncio
import io
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve
from building import REQUEST, Gate, Heard, KeyedProvider, agent, plugin
from rich.console import Console

import rolecall.types.events
from rolecall import (
    Call,
    CallProgress,
    Event,
    Outcome,
    PluginError,
    ProviderError,
    Request,
    Response,
    Settings,
    TeamError,
    ToolResult,
    Usage,
    Work,
)
from rolecall.testing import (
    AgentsContract,
    FakeClock,
    FakeProvider,
    LimiterContract,
    ObserverContract,
    ProviderContract,
    ToolContract,
    sample_events,
)
from rolecall_plugins import claude, gemini
from rolecall_plugins.report.writer import Report
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread
from rolecall_plugins.team import roles
from rolecall_plugins.terminal.lines import DebugLines, ProgressLines
from rolecall_plugins.terminal.live import LiveView


class TestFakeProvider(ProviderContract):
    provider = FakeProvider("one")


class TestKeyedProvider(ProviderContract):
    provider = KeyedProvider("one", "ONE_API_KEY is not set")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with serve_in_thread(Scenario()) as served:
        yield served


class SimulatedContract(ProviderContract):
    """The contract, kept by a provider of ours that calls the simulator."""

    plugin: ClassVar[Any]

    @pytest.fixture(autouse=True)
    def _simulated(self, simulator: Simulator) -> None:
        variables = {
            "ANTHROPIC_API_KEY": "simulated",
            "GEMINI_API_KEY": "simulated",
            "ANTHROPIC_API_BASE": simulator.anthropic_base,
            "GEMINI_API_BASE": simulator.gemini_base,
        }
        (made,) = self.plugin.rolecall_providers(Settings(environment=variables))
        self.provider = made


class TestClaude(SimulatedContract):
    plugin = claude


class TestGemini(SimulatedContract):
    plugin = gemini


class TestRoles(AgentsContract):
    plugin = roles


class TestHeard(ObserverContract):
    observer = Heard()


class TestProgressLines(ObserverContract):
    observer = ProgressLines(io.StringIO(), Settings())


class TestDebugLines(ObserverContract):
    observer = DebugLines(io.StringIO())


class TestReport(ObserverContract):
    observer = Report()


class TestLiveView(ObserverContract):
    observer = LiveView(Console(file=io.StringIO()), Settings())


class TestGate(LimiterContract):
    limiter = Gate()


class TestSlowGate(LimiterContract):
    limiter = Gate(delay=3600.0)


def test_hours_pass_in_no_time() -> None:
    clock = FakeClock(start=5.0)

    async def wait() -> str:
        await clock.sleep(3600)
        await asyncio.sleep(3600)
        return "done"

    before = time.monotonic()
    assert clock.run(wait()) == "done"
    assert clock.now() == 5.0 + 7200
    assert time.monotonic() - before < 5


def test_what_waits_on_the_fake_clock_wakes_up_in_order() -> None:
    clock, woken = FakeClock(), []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(seconds)

    async def everyone() -> None:
        await asyncio.gather(*(wait(seconds) for seconds in (3, 1, 2)))

    clock.run(everyone())
    assert woken == [1, 2, 3]


def test_timeouts_keep_to_the_fake_clock() -> None:
    clock = FakeClock()

    async def hang() -> None:
        async with asyncio.timeout(60):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        clock.run(hang())
    assert clock.now() == 1060


def test_a_stall_lets_time_pass_at_once() -> None:
    clock = FakeClock()
    clock.advance(2.5)
    assert clock.now() == 1002.5


def answers(provider: FakeProvider, times: int = 1, clock: FakeClock | None = None) -> list[Any]:
    async def ask() -> list[Any]:
        return [await provider.complete(REQUEST) for _ in range(times)]

    return (clock or FakeClock()).run(ask())


def test_a_fake_provider_answers_from_its_script_and_then_with_its_default() -> None:
    whole = Response("whole")
    texts = answers(FakeProvider("one", ["text", whole], default="default"), 4)
    assert texts[0] == Response("text", Usage(10, 5))
    assert texts[1] is whole
    assert [each.text for each in texts[2:]] == ["default", "default"]


def test_a_fake_provider_raises_the_errors_of_its_script() -> None:
    error = ProviderError("timeout", "late")
    with pytest.raises(ProviderError) as caught:
        answers(FakeProvider("one", [error]))
    assert caught.value is error


def test_a_fake_provider_waits_as_its_script_says() -> None:
    clock = FakeClock()
    answers(FakeProvider("one", [1.5, 2.0, "text", "at once"]), 2, clock)
    assert clock.now() == 1003.5


def test_a_fake_provider_keeps_what_it_was_asked() -> None:
    provider = FakeProvider("one")
    answers(provider, 2)
    assert provider.requests == [REQUEST, REQUEST]


def test_a_fake_provider_tells_when_it_sends() -> None:
    told: list[str] = []

    class Noting(CallProgress):
        async def sending(self) -> None:
            told.append("sending")

    request = Request(system="", messages=(), progress=Noting())
    FakeClock().run(FakeProvider("one").complete(request))
    assert told == ["sending"]


def check(contract: type, test: str, **subject: Any) -> None:
    """Run one test of a contract on something."""
    case = type("Case", (contract,), subject)()
    getattr(case, test)()


class Rude(FakeProvider):
    """A provider that breaks whatever of the contract it is told to."""

    def __init__(self, answer: Any = None, missing: Any = None) -> None:
        super().__init__("Rude Provider")
        self._answer = answer
        self._missing = missing

    def missing(self) -> Any:
        return self._missing

    async def complete(self, request: Request) -> Any:
        return self._answer


@pytest.mark.parametrize(
    ("test", "provider"),
    [
        ("test_its_name_is_a_word", Rude()),
        ("test_it_answers_a_request_with_a_response", Rude("a text")),
        ("test_it_says_what_it_misses_without_a_call", Rude(missing="")),
        ("test_it_says_what_it_misses_without_a_call", Rude(missing=" ")),
    ],
)
def test_the_contract_of_providers_finds_what_breaks_it(test: str, provider: Rude) -> None:
    with pytest.raises(AssertionError):
        check(ProviderContract, test, provider=provider)


def test_the_contract_of_providers_finds_a_changed_request() -> None:
    class Changing(FakeProvider):
        async def complete(self, request: Request) -> Response:
            object.__setattr__(request, "system", "Changed.")
            return Response("text")

    with pytest.raises(AssertionError):
        check(ProviderContract, "test_it_leaves_the_request_as_it_is", provider=Changing("one"))


class OnePlace:
    """A limiter with a single place, which a cancelled caller may take with it."""

    name = "one-place"

    def __init__(self, loses_it: bool) -> None:
        self._place = asyncio.Semaphore(1)
        self._loses_it = loses_it

    async def acquire(self, call: Call) -> None:
        await self._place.acquire()
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            if not self._loses_it:
                self._place.release()
            raise

    def ended(self, call: Call, outcome: Outcome) -> None:
        self._place.release()


CANCELLED = "test_a_cancelled_wait_leaves_the_next_caller_its_place"


def test_the_contract_of_limiters_is_kept_by_one_that_gives_the_place_back() -> None:
    check(LimiterContract, CANCELLED, limiter=OnePlace(loses_it=False))


def test_the_contract_of_limiters_finds_a_place_that_a_cancelled_caller_keeps() -> None:
    with pytest.raises(TimeoutError):
        check(LimiterContract, CANCELLED, limiter=OnePlace(loses_it=True))


def test_the_contract_of_limiters_finds_a_limiter_that_never_grants() -> None:
    class Closed(Gate):
        async def acquire(self, call: Call) -> None:
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        check(LimiterContract, "test_it_grants_a_permit_and_hears_the_end", limiter=Closed())


def test_the_contract_of_limiters_finds_a_limiter_that_raises() -> None:
    class Raising(Gate):
        async def acquire(self, call: Call) -> None:
            raise RuntimeError("too many")

    with pytest.raises(RuntimeError, match="too many"):
        check(LimiterContract, "test_it_grants_a_permit_and_hears_the_end", limiter=Raising())


class Foreseeing(OnePlace):
    """A limiter that forecasts, and may give a permit away by it."""

    def __init__(self, forecast: float, takes_it: bool = False) -> None:
        super().__init__(loses_it=False)
        self._forecast = forecast
        self._takes_it = takes_it

    def forecast(self, call: Call) -> float:
        if self._takes_it:
            self._place._value = 0
        return self._forecast


FORECAST = "test_a_forecast_is_a_time_and_takes_no_permit"


def test_the_contract_of_limiters_is_kept_by_one_that_forecasts_and_one_that_does_not() -> None:
    check(LimiterContract, FORECAST, limiter=Foreseeing(1.0))
    check(LimiterContract, FORECAST, limiter=OnePlace(loses_it=False))


@pytest.mark.parametrize("forecast", [float("nan"), float("inf"), -1.0])
def test_the_contract_of_limiters_finds_a_forecast_that_is_no_time(forecast: float) -> None:
    with pytest.raises(AssertionError):
        check(LimiterContract, FORECAST, limiter=Foreseeing(forecast))


def test_the_contract_of_limiters_finds_a_forecast_that_takes_a_permit() -> None:
    with pytest.raises(TimeoutError):
        check(LimiterContract, FORECAST, limiter=Foreseeing(1.0, takes_it=True))


@pytest.mark.parametrize("lacking", ["title", "goal", "prompt", "routes"])
def test_the_contract_of_agents_finds_one_that_says_too_little(lacking: str) -> None:
    poor = plugin(agents=[evolve(agent("a"), **{lacking: () if lacking == "routes" else " "})])
    test = "test_each_agent_says_who_it_is_and_where_it_runs"
    with pytest.raises(AssertionError, match="a has no"):
        check(AgentsContract, test, plugin=poor)


def test_the_contract_of_agents_finds_a_need_that_nobody_meets() -> None:
    lost = plugin(agents=[agent("a", "nobody")])
    with pytest.raises(TeamError, match="a needs 'nobody'"):
        check(AgentsContract, "test_together_with_all_others_they_are_a_team", plugin=lost)


def test_the_contract_of_agents_finds_the_name_of_another() -> None:
    twin = plugin(agents=[agent("solution-architect")])
    with pytest.raises(PluginError, match="two agents are called 'solution-architect'"):
        check(AgentsContract, "test_together_with_all_others_they_are_a_team", plugin=twin)


def test_the_contract_of_agents_finds_those_who_change() -> None:
    numbers = iter(range(9))
    restless = plugin(agents=lambda: [agent("a", prompt=f"You are number {next(numbers)}.")])
    with pytest.raises(AssertionError):
        check(AgentsContract, "test_they_are_the_same_each_time", plugin=restless)


def test_the_contract_of_observers_finds_one_that_raises_or_is_async(tmp_path: Path) -> None:
    class Giving:
        def notify(self, event: Event) -> str:
            return "something"

    class Breaking:
        def notify(self, event: Event) -> None:
            raise KeyError(event)

    test = "test_it_hears_every_event_and_gives_nothing_back"
    with pytest.raises(AssertionError):
        getattr(type("Case", (ObserverContract,), {"observer": Giving()})(), test)(tmp_path)
    with pytest.raises(KeyError):
        getattr(type("Case", (ObserverContract,), {"observer": Breaking()})(), test)(tmp_path)


def test_the_contract_of_observers_finds_one_that_knows_only_todays_events() -> None:
    class Strict:
        def notify(self, event: Event) -> None:
            assert type(event) in {type(each) for each in sample_events()}

    test = "test_a_call_of_no_team_and_a_later_versions_event_do_it_no_harm"
    with pytest.raises(AssertionError):
        check(ObserverContract, test, observer=Strict())


def test_there_is_a_sample_of_every_event() -> None:
    kinds = {
        each
        for each in vars(rolecall.types.events).values()
        if isinstance(each, type) and issubclass(each, Event) and not each.__subclasses__()
    }
    assert {type(each) for each in sample_events()} == kinds


class Shout:
    name = "shout"
    description = "Write a file in capitals."
    parameters: ClassVar[Mapping[str, Any]] = {"type": "object"}
    read_only = False

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        assert work.workspace is not None
        for path in work.workspace.files():
            work.workspace.write(path, work.workspace.read(path).upper())
        return ToolResult("done")


class TestShout(ToolContract):
    tool = Shout()
    files: ClassVar[Mapping[str, str]] = {"a": "text"}


def test_the_contract_of_tools_finds_one_that_writes_although_it_only_reads() -> None:
    class Sly(Shout):
        read_only = True

    test = "test_it_changes_no_file_where_it_says_so"
    check(ToolContract, test, tool=Shout(), files={"a": "text"})
    with pytest.raises(AssertionError):
        check(ToolContract, test, tool=Sly(), files={"a": "text"})


def test_the_contract_of_tools_finds_one_that_fails() -> None:
    class Failing(Shout):
        async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
            return ToolResult("no such thing", is_error=True)

    with pytest.raises(AssertionError, match="no such thing"):
        check(ToolContract, "test_a_call_gives_a_result", tool=Failing())
