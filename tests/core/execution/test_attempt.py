"""One HTTP attempt: permits, the provider's call, and what its reply is worth."""

import asyncio
import math
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from attrs import evolve
from building import REQUEST, Gate, Heard, KeyedProvider, agent, failing

from rolecall import (
    Call,
    CallContext,
    CallEnded,
    CallHeld,
    CallStarted,
    CallText,
    CallWaiting,
    Cause,
    Message,
    Outcome,
    PluginError,
    ProviderError,
    Request,
    Response,
    Route,
    RunError,
    Settings,
    Stop,
    Text,
    ToolCall,
    ToolSpec,
    Usage,
    Verbatim,
)
from rolecall.execution.attempt import Attempts, Step
from rolecall.execution.call_recorder import CallResult
from rolecall.execution.judge import judge
from rolecall.execution.pricing import ResolvedRoute
from rolecall.testing import FakeClock, FakeProvider


class Calling:
    """Attempts at one provider, and all that came of them."""

    def __init__(self, provider: Any, *limiters: Any, calls: int = 0, **environment: str) -> None:
        self.clock = FakeClock()
        self.events = Heard()
        self.provider = provider
        self.attempts = Attempts(
            CallContext(
                providers={provider.name: provider},
                limiters=limiters,
                settings=Settings(environment=environment),
                clock=self.clock,
                emit=self.events.notify,
                calls=calls,
            )
        )

    def call(self, request: Request = REQUEST, model: str = "") -> CallResult:
        return self.clock.run(self.calling(request, model))

    def calling(
        self, request: Request = REQUEST, model: str = ""
    ) -> Coroutine[Any, Any, CallResult]:
        route = ResolvedRoute(Route(self.provider.name, model), self.provider)
        return self.attempts.make(Step(agent(), "step", 7.0), route, request)

    @property
    def ended(self) -> CallEnded:
        (event,) = self.events.of(CallEnded)
        return event


class Answering:
    """A provider that is one function."""

    def __init__(self, answer: Any) -> None:
        self.name = "one"
        self._answer = answer

    async def complete(self, request: Request) -> Any:
        return await self._answer(request)


@pytest.mark.parametrize(
    ("response", "cause"),
    [
        (Response("text"), None),
        (Response(" text "), None),
        (Response(""), "empty"),
        (Response(" \n\t\u00a0\u2003"), "empty"),
        (Response("text", stop=Stop.LENGTH), "truncated"),
        (Response(" \n", stop=Stop.LENGTH), "thinking_only"),
        (Response("text", stop=Stop.SAFETY), "safety"),
        (Response("", stop=Stop.SAFETY), "safety"),
        (Response("text", stop=Stop.REFUSAL), "refusal"),
        (Response("", stop=Stop.BAD_TOOL_CALL), "bad_tool_call"),
    ],
)
def test_a_response_is_an_answer_only_if_it_says_something_whole(
    response: Response, cause: str | None
) -> None:
    assert judge(response) == cause


def test_an_answer_comes_back_with_its_events_in_order() -> None:
    calling = Calling(FakeProvider("one", [Response("text", Usage(3, 4), cost=0.5)]))
    result = calling.call(model="m")
    assert result.response == Response("text", Usage(3, 4), cost=0.5)
    assert result.error is None
    assert [type(event) for event in calling.events] == [CallWaiting, CallStarted, CallEnded]
    ended = calling.ended
    assert (ended.text, ended.usage, ended.cost, ended.cause) == ("text", Usage(3, 4), 0.5, None)
    assert (ended.provider, ended.model, ended.agent, ended.step) == ("one", "m", "writer", "step")


def test_a_reply_that_is_no_answer_comes_back_with_both() -> None:
    calling = Calling(FakeProvider("one", [Response("", detail="content_filter")]))
    result = calling.call()
    assert result.response == Response("", detail="content_filter")
    assert result.error is not None
    assert (result.error.cause, str(result.error)) == ("empty", "content_filter")


def test_a_reply_without_a_vendors_word_is_explained_in_ours() -> None:
    result = Calling(FakeProvider("one", [Response("")])).call()
    assert str(result.error) == "the reply holds no text"


def test_a_failure_comes_back_and_is_told() -> None:
    calling = Calling(FakeProvider("one", failing("overloaded", request_id="r-1")))
    result = calling.call()
    assert result.response is None
    assert (calling.ended.cause, calling.ended.detail) == (
        Cause.OVERLOADED,
        "as the vendor says overloaded",
    )
    assert calling.ended.request_id == "r-1"


class Priced(FakeProvider):
    """A provider whose tokens cost a dollar each."""

    def cost(self, model: str, usage: Usage) -> float | None:
        return float(usage.input + usage.output)


def test_the_tokens_that_were_told_before_a_call_broke_are_kept_and_priced() -> None:
    broken = ProviderError(Cause.CONNECTION, "reset", usage=Usage(3, 4))
    calling = Calling(Priced("one", [broken]))
    result = calling.call()
    assert (result.usage, result.cost, result.response) == (Usage(3, 4), 7.0, None)
    assert (calling.ended.usage, calling.ended.cost) == (Usage(3, 4), 7.0)


def test_a_limiter_hears_of_the_tokens_of_a_call_that_broke() -> None:
    broken = ProviderError(Cause.CONNECTION, "reset", usage=Usage(3, 4))
    gate = Gate("gate")
    Calling(FakeProvider("one", [broken]), gate).call()
    assert [outcome.usage for _, outcome in gate.told] == [Usage(3, 4)]


def test_an_answer_that_tells_no_tokens_has_an_unknown_cost() -> None:
    calling = Calling(Priced("one", [Response("text")]))
    result = calling.call()
    assert (result.usage, result.cost) == (None, None)
    assert (calling.ended.text, calling.ended.cost) == ("text", None)


@pytest.mark.parametrize(
    "response",
    [Response("text", Usage(3, 0)), Response("text", cost=-1.0), Response("text", cost=math.nan)],
)
def test_tokens_or_costs_that_no_answer_can_have_are_unknown(response: Response) -> None:
    result = Calling(Priced("one", [response])).call()
    assert (result.usage, result.cost) == (None, None)


def test_a_providers_cost_counts_where_its_answer_names_none() -> None:
    result = Calling(Priced("one", [Response("text", Usage(3, 4))])).call()
    assert result.response is not None
    assert result.cost == result.response.cost == 7.0


def test_the_provider_is_told_which_model_is_meant() -> None:
    calling = Calling(FakeProvider("one"))
    calling.call(model="another")
    assert [request.model for request in calling.provider.requests] == ["another"]


def test_calls_are_numbered_on_from_where_the_run_stopped() -> None:
    calling = Calling(FakeProvider("one"), calls=41)
    calling.call()
    calling.call()
    assert [event.call for event in calling.events.of(CallStarted)] == [42, 43]


def test_a_limiter_is_told_all_that_it_may_want_to_limit() -> None:
    gate = Gate()
    request = evolve(REQUEST, system="s" * 20, messages=(Message("user", "u" * 20),))
    Calling(FakeProvider("one"), gate).call(request, "m")
    assert gate.asked == [
        Call(
            number=1,
            agent="writer",
            provider="one",
            model="m",
            input_tokens=11,
            max_output_tokens=REQUEST.max_output_tokens,
            priority=7.0,
            began=1000.0,
        )
    ]


def test_every_limiter_is_asked_in_order_and_told_the_end_in_reverse() -> None:
    order: list[str] = []

    class Noting(Gate):
        async def acquire(self, call: Call) -> None:
            order.append(f"{self.name} asked")

        def ended(self, call: Call, outcome: Outcome) -> None:
            order.append(f"{self.name} told")

    Calling(FakeProvider("one"), Noting("first"), Noting("second")).call()
    assert order == ["first asked", "second asked", "second told", "first told"]


def test_a_limiter_hears_how_the_call_ended() -> None:
    headers = {"retry-after": "3"}
    gate = Gate()
    script = [
        Response("text", Usage(3, 4), headers={"requests-remaining": "9"}),
        *failing("rate_limited", retry_after=3.0, headers=headers),
    ]
    calling = Calling(FakeProvider("one", script), gate)
    calling.call()
    calling.call()
    (_, success), (_, failure) = gate.told
    assert success == Outcome(usage=Usage(3, 4))
    assert success.headers == {"requests-remaining": "9"}
    assert failure == Outcome(cause=Cause.RATE_LIMITED, retry_after=3.0)
    assert failure.headers == headers


def test_waiting_for_a_permit_is_not_calling() -> None:
    calling = Calling(FakeProvider("one", [2.0, "text"]), Gate(delay=5.0))
    calling.call()
    assert (calling.ended.waited, calling.ended.took) == (5.0, 2.0)


def test_why_a_call_waits_is_told_once_and_summed_by_reason() -> None:
    class Explaining(Gate):
        async def acquire(self, call: Call) -> None:
            call.on_wait("429, retry after 3 s", 3.0)
            await asyncio.sleep(1)
            call.on_wait("429, retry after 3 s", 2.0)
            await asyncio.sleep(2)
            call.on_wait("pacing", 0.5)
            await asyncio.sleep(0.5)

    calling = Calling(FakeProvider("one"), Explaining())
    calling.call()
    held = [(event.reason, event.seconds) for event in calling.events.of(CallHeld)]
    assert held == [("429, retry after 3 s", 3.0), ("pacing", 0.5)]
    assert calling.ended.held == (("429", 3.0), ("pacing", 0.5))


def test_a_limiter_that_wants_to_is_asked_again_at_the_sending() -> None:
    class Sending(Gate):
        async def sending(self, call: Call) -> None:
            self.sent = call.number
            await asyncio.sleep(0.5)

    gate = Sending()
    calling = Calling(FakeProvider("one", [2.0, "text"]), gate)
    calling.call()
    assert gate.sent == 1
    assert (calling.ended.waited, calling.ended.took) == (0.5, 2.0)


def test_waiting_for_the_sending_takes_nothing_off_the_calls_own_time() -> None:
    class Sending(Gate):
        async def sending(self, call: Call) -> None:
            await asyncio.sleep(100)

    calling = Calling(FakeProvider("one", [9.0, "text"]), Sending())
    assert calling.call(evolve(REQUEST, timeout=10.0)).error is None


def test_a_piece_of_a_streamed_answer_is_told_as_it_comes() -> None:
    async def stream(request: Request) -> Response:
        await asyncio.sleep(1)
        request.progress.text("one ")
        await asyncio.sleep(1)
        request.progress.text("two")
        return Response("one two")

    calling = Calling(Answering(stream))
    calling.call()
    assert [(event.at, event.delta) for event in calling.events.of(CallText)] == [
        (1.0, "one "),
        (2.0, "two"),
    ]
    assert calling.ended.first_text == 1.0


def test_a_call_that_takes_too_long_is_ended() -> None:
    calling = Calling(FakeProvider("one", [11.0, "too late"]))
    result = calling.call(evolve(REQUEST, timeout=10.0))
    assert result.error is not None
    assert (result.error.cause, str(result.error)) == ("timeout", "no whole answer within 10 s")
    assert calling.ended.took == 10.0


def test_a_provider_without_its_key_is_not_called_and_takes_no_permit() -> None:
    gate = Gate()
    calling = Calling(KeyedProvider("one", "ONE_API_KEY is not set"), gate)
    result = calling.call()
    assert result.error is not None
    assert (result.error.cause, str(result.error)) == ("missing_key", "ONE_API_KEY is not set")
    assert (calling.provider.requests, gate.asked, calling.events) == ([], [], [])


async def _raises(request: Request) -> Response:
    raise KeyError("choices")


async def _ends_it_all(request: Request) -> Response:
    raise SystemExit("enough")


async def _raises_what_few_catch(request: Request) -> Response:
    raise BaseException("odd")


async def _no_text(request: Request) -> Response:
    return Response(None)  # type: ignore[arg-type]


async def _no_wait(request: Request) -> Response:
    raise ProviderError("rate_limited", "wait", retry_after="3")  # type: ignore[arg-type]


async def _unknown_cause(request: Request) -> Response:
    raise ProviderError("tired", "the model is tired")


async def _cancels_itself(request: Request) -> Response:
    raise asyncio.CancelledError


def _returning(value: object) -> Any:
    async def answer(request: Request) -> object:
        return value

    return answer


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (_raises, "KeyError: 'choices'"),
        (_ends_it_all, "SystemExit: enough"),
        (_raises_what_few_catch, "BaseException: odd"),
        (_unknown_cause, "its error has no known cause: 'tired'"),
        (_cancels_itself, "it cancelled the call that it was to make"),
        (_no_text, "TypeError: text of a Response cannot be None"),
        (_no_wait, "TypeError: "),
        (_returning(None), "it returned None, not a Response"),
        (_returning("text"), "it returned 'text', not a Response"),
        (_returning(3), "it returned 3, not a Response"),
    ],
)
def test_a_provider_that_breaks_its_contract_is_named(answer: Any, why: str) -> None:
    gate = Gate()
    calling = Calling(Answering(answer), gate)
    result = calling.call()
    assert result.error is not None
    assert result.error.cause == "plugin_error"
    assert str(result.error).startswith(f"the provider 'one' broke: {why}")
    assert [outcome.cause for _, outcome in gate.told] == [Cause.PLUGIN_ERROR]
    assert calling.ended.cause is Cause.PLUGIN_ERROR


def test_an_error_of_ours_passes_through_a_provider() -> None:
    async def no_disk(request: Request) -> Response:
        raise RunError("the disk is full")

    with pytest.raises(RunError, match="the disk is full"):
        Calling(Answering(no_disk)).call()


class Preparing(FakeProvider):
    def __init__(self, name: str, error: Exception | None = None) -> None:
        super().__init__(name)
        self.prepared: list[threading.Thread] = []
        self._error = error

    def prepare(self) -> None:
        self.prepared.append(threading.current_thread())
        if self._error:
            raise self._error


def test_slow_imports_are_done_once_and_in_a_thread() -> None:
    calling = Calling(Preparing("one"))
    calling.call()
    calling.call()
    (thread,) = calling.provider.prepared
    assert thread is not threading.current_thread()


def test_slow_imports_that_fail_are_the_plugins_fault() -> None:
    calling = Calling(
        Preparing("one", ModuleNotFoundError("No module named 'sdk'")), gate := Gate()
    )
    result = calling.call()
    assert result.error is not None
    assert (result.error.cause, str(result.error)) == (
        "plugin_error",
        "the provider 'one' broke: ModuleNotFoundError: No module named 'sdk'",
    )
    assert (calling.provider.requests, gate.asked) == ([], [])


def test_a_limiter_that_breaks_is_named_and_those_before_it_are_told() -> None:
    class Broken(Gate):
        async def acquire(self, call: Call) -> None:
            raise ZeroDivisionError("no rate")

    before, after = Gate("before"), Gate("after")
    calling = Calling(FakeProvider("one"), before, Broken("broken"), after)
    with pytest.raises(
        PluginError, match=r"^the limiter 'broken' broke: ZeroDivisionError: no rate"
    ):
        calling.call()
    assert [outcome.started for _, outcome in before.told] == [False]
    assert (after.asked, after.told, calling.provider.requests) == ([], [], [])


def test_a_limiter_that_breaks_at_the_sending_is_named() -> None:
    class Broken(Gate):
        async def sending(self, call: Call) -> None:
            raise ZeroDivisionError("no rate")

    gate = Broken()
    with pytest.raises(PluginError, match=r"^the limiter 'gate' broke: ZeroDivisionError: no rate"):
        Calling(FakeProvider("one"), gate).call()
    assert len(gate.told) == 1


def test_a_limiter_that_breaks_at_the_end_costs_no_answer_and_keeps_the_end_from_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Gate):
        def ended(self, call: Call, outcome: Outcome) -> None:
            raise ZeroDivisionError("no rate")

    first, last = Gate("first"), Gate("last")
    calling = Calling(FakeProvider("one"), first, Broken("broken"), last)
    assert calling.call().response is not None
    assert "the limiter 'broken' broke: ZeroDivisionError: no rate" in caplog.text
    assert len(first.told) == len(last.told) == 1


def cancelled_after(seconds: float, calling: Calling) -> None:
    async def cancel() -> None:
        task = asyncio.ensure_future(calling.calling())
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    calling.clock.run(cancel())


def test_a_call_that_is_cancelled_on_its_way_gives_every_permit_back() -> None:
    first, second = Gate("first"), Gate("second")
    cancelled_after(1, Calling(FakeProvider("one", [60.0, "text"]), first, second))
    assert [len(gate.asked) for gate in (first, second)] == [1, 1]
    for gate in (first, second):
        ((_, outcome),) = gate.told
        assert (outcome.started, outcome.cancelled) == (True, True)


def test_a_wait_that_is_cancelled_gives_back_the_permits_it_had() -> None:
    first, second = Gate("first"), Gate("second", delay=60.0)
    calling = Calling(FakeProvider("one"), first, second)
    cancelled_after(1, calling)
    assert [outcome.started for _, outcome in first.told] == [False]
    assert (second.told, calling.provider.requests) == ([], [])


def test_a_cancelled_call_stays_cancelled_where_a_limiter_breaks_as_well() -> None:
    class Broken(Gate):
        def ended(self, call: Call, outcome: Outcome) -> None:
            raise ZeroDivisionError("no rate")

    cancelled_after(1, Calling(FakeProvider("one", [60.0, "text"]), Broken()))


KEY = "sk-ant-planted"


@pytest.mark.parametrize("where", ["text", "detail", "request_id"])
def test_a_key_that_a_vendor_echoes_goes_no_further(where: str) -> None:
    echo = evolve(Response("text"), **{where: f"you sent {KEY}"})
    calling = Calling(FakeProvider("one", [echo]), ANTHROPIC_API_KEY=KEY)
    result = calling.call()
    assert KEY not in repr(result)
    assert KEY not in repr(calling.events)
    assert "[secret]" in repr(result)


@pytest.mark.parametrize("request_id", [None, f"of {KEY}"])
def test_a_key_in_an_error_goes_no_further(request_id: str | None) -> None:
    error = ProviderError("auth", f"wrong key {KEY}", request_id=request_id)
    calling = Calling(FakeProvider("one", [error]), ANTHROPIC_API_KEY=KEY)
    result = calling.call()
    assert str(result.error) == "wrong key [secret]"
    assert KEY not in repr(calling.events)


def test_a_key_in_a_streamed_piece_goes_no_further() -> None:
    async def stream(request: Request) -> Response:
        request.progress.text(f"you sent {KEY}")
        return Response("text")

    calling = Calling(Answering(stream), ANTHROPIC_API_KEY=KEY)
    calling.call()
    assert "".join(event.delta for event in calling.events.of(CallText)) == "you sent [secret]"


def test_halves_of_a_surrogate_pair_are_joined_or_replaced() -> None:
    calling = Calling(FakeProvider("one", ["a \ud83d\ude00 and half \ud83d"]))
    result = calling.call()
    assert result.response is not None
    assert result.response.text == "a 😀 and half \ufffd"
    assert calling.ended.text == result.response.text


CALLED = Response("", stop=Stop.TOOL_USE, parts=(ToolCall("1", "lint"),))
OFFERED = Request("", (), tools=(ToolSpec("lint", "Check the style.", {"type": "object"}),))


def test_a_tool_call_is_an_answer_where_tools_were_offered() -> None:
    assert judge(CALLED, OFFERED) is None
    assert judge(CALLED, Request("", ())) is Cause.BAD_TOOL_CALL
    assert judge(Response("text", stop=Stop.TOOL_USE), OFFERED) is Cause.BAD_TOOL_CALL


def test_secrets_in_the_parts_of_an_answer_are_masked() -> None:
    parts = (
        ToolCall("1", "lint", {"path": "planted-secret-0"}),
        Text("planted-secret-0"),
        Verbatim("one", {"thought": "planted-secret-0"}),
        Verbatim("one", {"thought": "fine"}),
    )
    answer = Response("", stop=Stop.TOOL_USE, parts=parts)
    calling = Calling(FakeProvider("one", [answer]), ONE_API_KEY="planted-secret-0")
    response = calling.call(OFFERED).response
    assert response is not None
    assert "planted" not in repr(response.parts) + repr(calling.events)
    assert response.parts[3] == parts[3]
    assert calling.events.of(CallEnded)[0].parts == response.parts
