"""A model for other programs."""

import asyncio
import gc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from building import TRUNCATED, Closing, Gate, Heard, Point, failing, plugin

from rolecall import (
    LLM,
    AllRoutesFailed,
    CallEnded,
    CallFailed,
    Host,
    PluginError,
    Request,
    Response,
    Settings,
    UsageError,
)
from rolecall.testing import FakeProvider


def llm(
    *providers: Any, routes: Sequence[str] | None = None, hooks: Any = None, **more: Any
) -> LLM:
    host = Host([])
    host.register("all", plugin(providers=lambda: list(providers), **(hooks or {})))
    if routes is None:
        routes = [provider.name for provider in providers]
    more.setdefault("settings", Settings())
    return LLM(*routes, host=host, **more)


def test_a_prompt_is_answered() -> None:
    provider = FakeProvider("one", ["42"])
    assert llm(provider, system="Be brief.").call("What is it?") == "42"
    (request,) = provider.requests
    assert (request.system, request.messages[0].text) == ("Be brief.", "What is it?")


def test_a_prompt_is_answered_in_an_event_loop() -> None:
    assert asyncio.run(llm(FakeProvider("one", ["42"])).acall("What is it?")) == "42"


def test_a_program_with_an_event_loop_may_call_without_awaiting() -> None:
    model = llm(FakeProvider("one", ["42"]))

    async def main() -> str:
        return model.call("What is it?")

    assert asyncio.run(main()) == "42"


def test_where_one_route_fails_the_next_answers() -> None:
    assert llm(FakeProvider("one", failing("auth")), FakeProvider("two", ["42"])).call("?") == "42"


def test_a_route_may_name_a_model() -> None:
    provider = FakeProvider("one")
    llm(provider, routes=["one/large"]).call("?")
    assert provider.requests[0].model == "large"


def test_the_settings_limits_apply() -> None:
    provider = FakeProvider("one")
    llm(provider, settings=Settings(max_output_tokens=7, timeout=8.0)).call("?")
    assert (provider.requests[0].max_output_tokens, provider.requests[0].timeout) == (7, 8.0)


def test_a_programs_own_limits_win_over_the_settings() -> None:
    provider = FakeProvider("one")
    own = {"temperature": 0.5, "max_output_tokens": 9, "timeout": 3.0}
    llm(provider, settings=Settings(max_output_tokens=7, temperature=1.0), **own).call("?")
    (asked,) = provider.requests
    assert (asked.temperature, asked.max_output_tokens, asked.timeout) == (0.5, 9, 3.0)


def test_a_limit_that_makes_no_sense_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"^LLM: .*max_output_tokens"):
        llm(FakeProvider("one"), max_output_tokens=0)


def test_a_cut_answer_is_completed() -> None:
    assert llm(FakeProvider("one", [TRUNCATED, "re it goes on"])).call("?") == (
        "cut off here it goes on"
    )


def test_an_answer_that_stays_cut_is_an_error_and_not_passed_on() -> None:
    model = llm(FakeProvider("one", [TRUNCATED] * 9), settings=Settings(continuations=1))
    with pytest.raises(CallFailed, match=r"^llm: stopped: one: truncated \(the output limit cut"):
        model.call("?")


def test_without_any_route_left_every_cause_is_told() -> None:
    model = llm(FakeProvider("one", failing("auth")), FakeProvider("two", failing("forbidden")))
    with pytest.raises(AllRoutesFailed, match=r"one: auth .*; two: forbidden"):
        model.call("?")


def test_every_call_asks_the_limiters_and_is_heard_by_the_observers() -> None:
    gate, ear, own = Gate(), Heard(), Heard()
    hooks = {"limiters": [gate], "observers": lambda: [ear]}
    model = llm(FakeProvider("one", [Response(""), "42"]), hooks=hooks, observers=[own])
    model.call("?")
    assert len(gate.asked) == len(gate.told) == 2
    assert len(ear.of(CallEnded)) == len(own.of(CallEnded)) == 2
    assert (model.ledger.total.calls, model.ledger.total.usage.output) == (2, 5)


def test_the_ledger_sums_all_calls() -> None:
    model = llm(FakeProvider("one"))
    for _ in range(3):
        model.call("?")
    assert model.ledger.total.calls == 3


def test_several_threads_may_call_at_once() -> None:
    together = Barrier(4)

    class Meeting(FakeProvider):
        async def complete(self, request: Request) -> Response:
            await asyncio.to_thread(together.wait, 10)
            return Response(request.messages[0].text.upper())

    model = llm(Meeting("one"))
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(model.call, "abcd")) == ["A", "B", "C", "D"]
    assert model.ledger.total.calls == 4


def test_no_connection_outlives_the_loop_it_was_made_in() -> None:
    provider = Closing("one")
    model = llm(provider)
    asyncio.run(model.acall("?"))
    asyncio.run(model.acall("?"))
    assert len(provider.closed) == 2
    assert provider.closed[0] is not provider.closed[1]


def test_calls_of_programs_without_a_loop_share_connections_that_end_with_the_model() -> None:
    provider = Closing("one")
    model = llm(provider)
    model.call("?")
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(model.call, "ab"))
    assert provider.closed == []
    del model
    gc.collect()
    assert len(provider.closed) == 1


def test_connections_are_kept_while_another_call_of_the_loop_is_under_way() -> None:
    provider = Closing("one", [0.0, "text"])  # a moment in which the other call begins
    model = llm(provider)

    async def both() -> None:
        await asyncio.gather(model.acall("?"), model.acall("?"))

    asyncio.run(both())
    assert len(provider.closed) == 1


def test_connections_serve_the_next_calls_of_the_loop() -> None:
    provider = Closing("one")
    model = llm(provider)

    async def one_after_the_other() -> None:
        await model.acall("?")
        await model.acall("?")
        assert not provider.closed

    asyncio.run(one_after_the_other())
    assert len(provider.closed) == 1


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^there is no provider 'onne'; did you mean 'one'"):
        llm(FakeProvider("one"), routes=["onne"])


@pytest.mark.parametrize("routes", [[], ["One!"], ["one/"]])
def test_what_names_no_route_is_an_error(routes: list[str]) -> None:
    with pytest.raises(UsageError, match="write PROVIDER or PROVIDER/MODEL"):
        llm(FakeProvider("one"), routes=routes)


def test_a_plugin_that_does_not_load_is_an_error() -> None:
    with pytest.raises(PluginError, match=r"'bad' .* does not load"):
        LLM("one", settings=Settings(), host=Host([Point("bad", ImportError("no"))]))
