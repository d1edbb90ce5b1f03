"""Agents call tools through both vendors; opens a port on this machine's loopback."""

import asyncio
import json
from collections.abc import Coroutine, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from acting import SETTINGS, TOOLS
from attrs import evolve
from building import Ran, agent, run
from vendors import provider

from rolecall import (
    Attachment,
    CallStarted,
    Cause,
    Message,
    ProviderError,
    Request,
    Response,
    Settings,
    Stop,
    ToolCall,
    ToolEnded,
    ToolResult,
    ToolSpec,
    Verbatim,
    WorkspaceVerified,
)
from rolecall.execution.judge import judge
from rolecall.testing import FakeClock
from rolecall_plugins.providers.writing import anthropic_request, gemini_request
from rolecall_plugins.simulator.scenario import Fault, FunctionCall, Round, Scenario, Script
from rolecall_plugins.simulator.server import Simulator, serve_in_thread

# The client library's own warnings are not ours to judge.
pytestmark = pytest.mark.filterwarnings("ignore")

VENDORS = ["claude", "gemini"]
ROUNDS = (
    Round(
        "I write first.",
        [
            FunctionCall("workspace_write", {"path": "a.py", "content": "é = 1\n"}),
            FunctionCall("workspace_write", {"path": "b.py", "content": "b = 2\n"}),
        ],
    ),
    Round(calls=[FunctionCall("workspace_list")]),
    Round("I read it.", [FunctionCall("workspace_read", {"path": "a.py"})]),
    Round("# Done\n\nBoth files are written."),
)
SCENARIO = Scenario(scripts={"*": [Script(ROUNDS)]})
LOOK = ToolSpec("look", "Look.", {"type": "object", "properties": {"path": {"type": "string"}}})
ASK = Request("You look.", (Message("user", "Go."),), max_output_tokens=2000, tools=(LOOK,))


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with serve_in_thread(SCENARIO) as served:
        yield served


class Spied:
    """A vendor's provider that keeps what it is asked and answers; calls may fail before they go.

    spent: the numbers of the calls that fail. stream: whether answers are streamed.
    """

    def __init__(self, inner: Any, spent: tuple[int, ...] = (), stream: bool = True) -> None:
        self.name, self.model = inner.name, inner.model
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self._inner, self._spent, self._stream = inner, spent, stream

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        if len(self.requests) in self._spent:
            await request.progress.sending()
            raise ProviderError(Cause.QUOTA_EXHAUSTED, "spent")
        response: Response = await self._inner.complete(evolve(request, stream=self._stream))
        self.responses.append(response)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def at(served: Simulator, name: str) -> Any:
    bases = {"ANTHROPIC_API_BASE": served.anthropic_base, "GEMINI_API_BASE": served.gemini_base}
    return provider(name, **bases)


def act(
    folder: Path,
    *providers: Spied,
    request: str = "Build it.",
    settings: Settings = SETTINGS,
    **more: Any,
) -> Ran:
    routes = [each.name for each in providers]
    coder = agent("coder", tools=("workspace",), routes=routes, **more)

    def within(_: FakeClock, running: Coroutine[Any, Any, Any]) -> Any:
        async def closing() -> Any:
            try:
                return await running
            finally:
                for each in providers:
                    await each.aclose()

        return asyncio.run(closing())

    return run(
        folder,
        [coder],
        *providers,
        settings=settings,
        tools=TOOLS,
        request=request,
        within=within,
    )


def ask(served: Simulator, name: str, request: Request) -> Response:
    made = at(served, name)

    async def asking() -> Response:
        try:
            response: Response = await made.complete(evolve(request, model=made.model))
            return response
        finally:
            await made.aclose()

    return asyncio.run(asking())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", VENDORS)
def test_an_agent_works_with_tools_until_it_ends(
    tmp_path: Path, simulator: Simulator, name: str, stream: bool
) -> None:
    spied = Spied(at(simulator, name), stream=stream)
    ran = act(tmp_path / "run", spied)
    assert ran.outcome.done == ("coder",)
    assert ran.read("deliverables/01-coder.md") == "# Done\n\nBoth files are written.\n"
    assert ran.read("workspace/a.py") == "é = 1\n"
    told = [(event.tool, event.text) for event in ran.events.of(ToolEnded)]
    assert told[2:] == [("workspace.list", "a.py\nb.py"), ("workspace.read", "é = 1\n")]
    assert [each.text for each in spied.responses[:3]] == ["I write first.", "", "I read it."]
    assert [each.stop for each in spied.responses] == [Stop.TOOL_USE] * 3 + [Stop.END]
    assert all(arrival.status == 200 for arrival in simulator.arrivals)


@pytest.mark.parametrize(("first", "second"), [("claude", "gemini"), ("gemini", "claude")])
def test_a_fallback_in_mid_loop_takes_over_and_hands_back(
    tmp_path: Path, simulator: Simulator, first: str, second: str
) -> None:
    falling, other = Spied(at(simulator, first), spent=(2,)), Spied(at(simulator, second))
    ran = act(tmp_path / "run", falling, other)
    assert ran.outcome.done == ("coder",)
    called = [event.provider for event in ran.events.of(CallStarted)]
    assert called[:3] == [first, first, second]
    assert len(ran.events.of(ToolEnded)) == 4
    assert ran.read("workspace/b.py") == "b = 2\n"
    assert all(arrival.status == 200 for arrival in simulator.arrivals)
    taken_over = other.requests[0]
    assert {part.provider for part in kept(taken_over)} == {first}
    write = (anthropic_request if second == "claude" else gemini_request).write
    sent = json.dumps(write(taken_over, second))
    for part in kept(taken_over):
        assert json.dumps(part.payload)[1:-1] not in sent


def kept(request: Request) -> list[Verbatim]:
    """List what the parts of a conversation came with."""
    parts = (part for message in request.messages for part in message.parts)
    return [part.verbatim for part in parts if isinstance(part, ToolCall) and part.verbatim]


def test_what_gemini_signed_goes_back_to_gemini(tmp_path: Path, simulator: Simulator) -> None:
    spied = Spied(at(simulator, "gemini"))
    act(tmp_path / "run", spied)
    sent = spied.requests[1].messages[1].parts
    first = next(part for part in sent if isinstance(part, ToolCall))
    assert first.verbatim is not None
    assert first.verbatim.provider == "gemini"
    assert set(first.verbatim.payload) == {"thoughtSignature"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("name", "variant", "why"),
    [
        ("claude", "malformed", "no JSON object"),
        ("claude", "unfitting", "do not fit"),
        ("claude", "uninvited", "there is no tool"),
        ("gemini", "unfitting", "do not fit"),
        ("gemini", "uninvited", "there is no tool"),
    ],
)
def test_a_wrong_call_is_told_to_the_model_which_goes_on(
    tmp_path: Path, name: str, variant: str, why: str, stream: bool
) -> None:
    fault = Fault.parse(f"{name}:bad_tool_call:1@variant={variant}")
    with serve_in_thread(evolve(SCENARIO, faults=(fault,))) as served:
        ran = act(tmp_path / "run", Spied(at(served, name), stream=stream))
    assert ran.outcome.done == ("coder",)
    first = ran.events.of(ToolEnded)[0]
    assert first.is_error
    assert why in first.text


@pytest.mark.parametrize("name", VENDORS)
def test_two_calls_of_one_id_are_two_calls(name: str) -> None:
    fault = Fault.parse(f"{name}:bad_tool_call:1@variant=same_id")
    with serve_in_thread(Scenario(faults=(fault,))) as served:
        calls = ask(served, name, ASK).tool_calls
        assert len(calls) == len({call.id for call in calls}) == 2
        results = tuple(ToolResult("A", False, call.id, call.name) for call in calls)
        turns = (Message("assistant", parts=calls), Message("user", parts=results))
        assert ask(served, name, evolve(ASK, messages=(*ASK.messages, *turns))).text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", VENDORS)
def test_an_agent_that_never_stops_calling_is_ended_by_its_rounds(
    tmp_path: Path, name: str, stream: bool
) -> None:
    fault = Fault.parse(f"{name}:bad_tool_call@variant=endless")
    with serve_in_thread(Scenario(faults=(fault,))) as served:
        spied = Spied(at(served, name), stream=stream)
        ran = act(tmp_path / "run", spied, settings=evolve(SETTINGS, max_rounds=5))
    assert len(spied.requests) == 5
    assert "it wanted tools in all of its 5 rounds" in str(ran.outcome.failed["coder"])
    assert [event.tool for event in ran.events.of(ToolEnded)] == ["workspace.list"] * 5


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", VENDORS)
def test_many_calls_of_one_answer_are_all_made_and_each_is_answered(
    tmp_path: Path, name: str, stream: bool
) -> None:
    fault = Fault.parse(f"{name}:bad_tool_call:1@variant=parallel")
    with serve_in_thread(Scenario(faults=(fault,))) as served:
        spied = Spied(at(served, name), stream=stream)
        ran = act(tmp_path / "run", spied)
    assert ran.outcome.done == ("coder",)
    said, told = spied.requests[1].messages[-2:]
    calls = [part for part in said.parts if isinstance(part, ToolCall)]
    results = [part for part in told.parts if isinstance(part, ToolResult)]
    assert len(calls) == 24
    assert len({call.id for call in calls}) == 24
    assert [result.call for result in results] == [call.id for call in calls]
    assert {event.tool for event in ran.events.of(ToolEnded)} == set(TOOLS)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", VENDORS)
def test_a_call_with_its_result_that_is_only_written_down_was_never_made(
    tmp_path: Path, name: str, stream: bool
) -> None:
    fault = Fault.parse(f"{name}:bad_tool_call@variant=written_out")
    with serve_in_thread(Scenario(faults=(fault,))) as served:
        spied = Spied(at(served, name), stream=stream)
        settings = evolve(SETTINGS, verify=("exit 0",))
        ran = act(tmp_path / "run", spied, settings=settings, verify=True, plan=True)
    assert len(spied.requests) == 1
    assert ran.events.of(ToolEnded) == ran.events.of(WorkspaceVerified) == []
    plan = ran.read("PLAN.md")
    assert "All tests passed" in plan  # its words stand, and nothing of rolecall's bears them out
    assert "by rolecall" not in plan
    assert not (ran.folder / "workspace").exists()


@pytest.mark.parametrize("variant", ["malformed", "unexpected"])
def test_a_call_that_gemini_itself_rejects_is_a_bad_one(variant: str) -> None:
    fault = Fault.parse(f"gemini:bad_tool_call:1@variant={variant}")
    with serve_in_thread(Scenario(faults=(fault,))) as served:
        response = ask(served, "gemini", ASK)
    assert (response.stop, response.parts) == (Stop.BAD_TOOL_CALL, ())


@pytest.mark.parametrize("name", VENDORS)
def test_a_call_that_nobody_offered_any_tool_for_is_a_bad_one(name: str) -> None:
    fault = Fault.parse(f"{name}:bad_tool_call:1@variant=uninvited")
    with serve_in_thread(Scenario(faults=(fault,))) as served:
        request = evolve(ASK, tools=())
        assert judge(ask(served, name, request), request) is Cause.BAD_TOOL_CALL


def test_each_round_reads_from_claudes_cache_what_the_last_one_sent(tmp_path: Path) -> None:
    many = [FunctionCall("workspace_list") for _ in range(12)]  # further than the vendor looks back
    script = Script([*(Round(calls=many) for _ in range(5)), Round("# Done")])
    with serve_in_thread(Scenario(scripts={"*": [script]})) as served:
        spied = Spied(at(served, "claude"))
        act(tmp_path / "run", spied, request="Build it. " * 1000)
    usages = [response.usage for response in spied.responses]
    assert len(usages) == 6
    for before, usage in pairwise(usages):
        assert usage.cache_read == before.input
        assert usage.cache_write == usage.input - before.input


@pytest.mark.parametrize("name", VENDORS)
def test_a_result_that_answers_no_call_is_the_vendors_to_refuse(
    simulator: Simulator, name: str
) -> None:
    lost = Message("user", parts=(ToolResult("A", False, "gone", "look"),))
    with pytest.raises(ProviderError) as caught:
        ask(simulator, name, evolve(ASK, messages=(*ASK.messages, lost)))
    assert caught.value.cause is Cause.INVALID_REQUEST


@pytest.mark.parametrize("name", VENDORS)
def test_an_attachment_that_no_vendor_takes_is_refused_before_anything_is_sent(
    simulator: Simulator, name: str
) -> None:
    archive = Message("user", "Unpack it.", (Attachment("application/zip", b"PK", "a.zip"),))
    with pytest.raises(ProviderError, match=r"a\.zip of type application/zip") as caught:
        ask(simulator, name, evolve(ASK, messages=(archive,)))
    assert caught.value.cause is Cause.INVALID_REQUEST
    assert simulator.arrivals == []


@pytest.mark.parametrize("name", VENDORS)
def test_a_text_is_attached(simulator: Simulator, name: str) -> None:
    notes = Message("user", "Look at this.", (Attachment("text/plain", b"A note.", "a.txt"),))
    assert ask(simulator, name, evolve(ASK, messages=(notes,))).tool_calls == ()
