"""One step of an agent: what is done about each cause, in which order, and how long it takes."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from building import (
    REQUEST,
    TRUNCATED,
    CappedProvider,
    Dispatching,
    Gate,
    KeyedProvider,
    ask,
    failing,
)
from hypothesis import given
from hypothesis import strategies as st

from rolecall import (
    Action,
    AllRoutesFailed,
    Answer,
    Call,
    CallEnded,
    CallFailed,
    Cause,
    FellBack,
    Outcome,
    PluginError,
    ProviderError,
    Request,
    Response,
    Retrying,
    RouteClosed,
    RouteOpened,
    RouteProbed,
    Settings,
    Stop,
)
from rolecall.testing import FakeProvider

PATIENT = Settings(max_wait=1e6, breaker_failures=100)


class Longest(random.Random):
    """Draws the highest number there is, so that waiting times are exact."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Shortest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return a


def one(*script: Any) -> FakeProvider:
    return FakeProvider("one", script)


def two(*script: Any) -> FakeProvider:
    return FakeProvider("two", script)


def test_an_answer_says_all_that_there_is_to_keep_of_it() -> None:
    answer = Response("text", cost=0.5)
    dispatching = Dispatching(one(*failing("timeout")), two(answer), settings=Settings(attempts=1))
    assert dispatching.step() == Answer(answer, "two", "writer", call=2)


def test_the_first_route_that_answers_is_named_with_its_model() -> None:
    class WithModel(FakeProvider):
        model = "the-default"

    answer = Response("text")
    provider = WithModel("one", [answer])
    asked = ask(provider, two())
    assert (asked.answer, asked.route, asked.order) == (answer, "one/the-default", ["one"])
    assert [request.model for request in provider.requests] == ["the-default"]


def test_what_a_route_means_is_asked_once_however_often_it_is_called() -> None:
    class Changing(FakeProvider):
        asked = 0

        @property
        def model(self) -> str:
            self.asked += 1
            return f"model-{self.asked}"

    provider = Changing("one", failing("timeout", 2))
    dispatching = Dispatching(provider, settings=PATIENT)
    answers = [dispatching.step().route for _ in range(2)]
    assert (answers, provider.asked) == (["one/model-1"] * 2, 1)


# How often a route that keeps failing for a cause is asked, before the next one is or none.
@pytest.mark.parametrize(
    ("cause", "calls"),
    [
        ("empty", ["one", "one", "two"]),
        ("thinking_only", ["one", "one", "one", "two"]),
        ("truncated", ["one", "two"]),  # as an error, without a text to go on from
        ("safety", ["one", "two"]),
        ("refusal", ["one"]),
        ("bad_tool_call", ["one", "one", "two"]),
        ("bad_schema", ["one", "two"]),  # as an error, without a text to mend
        ("rate_limited", ["one", "one", "one", "two"]),
        ("quota_exhausted", ["one", "two"]),
        ("overloaded", ["one", "one", "one", "two"]),
        ("server_error", ["one", "one", "one", "two"]),
        ("timeout", ["one", "one", "one", "two"]),
        ("connection", ["one", "one", "one", "two"]),
        ("bad_payload", ["one", "one", "one", "two"]),
        ("auth", ["one", "two"]),
        ("missing_key", ["one", "two"]),
        ("forbidden", ["one", "two"]),
        ("unknown_model", ["one", "two"]),
        ("context_overflow", ["one", "two"]),
        ("invalid_request", ["one"]),
        ("plugin_error", ["one"]),
        ("superseded", ["one", "two"]),
    ],
)
def test_each_cause_has_its_number_of_calls(cause: str, calls: list[str]) -> None:
    asked = ask(one(*failing(cause, 9)), two("text"))
    assert asked.order == calls
    if calls[-1] == "two":
        assert asked.answer is not None
        (hop,) = asked.events.of(FellBack)
        assert (hop.route, hop.to, hop.cause, hop.asked) == ("one", "two", cause, True)
    else:
        assert type(asked.error) is CallFailed
        assert f"writer: stopped: one: {cause} (as the vendor says {cause})" in str(asked.error)
        assert asked.events.of(FellBack) == []


def test_every_cause_is_in_the_table_above() -> None:
    (mark,) = test_each_cause_has_its_number_of_calls.pytestmark  # type: ignore[attr-defined]
    assert [cause for cause, _ in mark.args[1]] == list(Cause)


@pytest.mark.parametrize(
    ("response", "calls"),
    [
        (Response(" \n"), ["one", "one", "two"]),
        (Response("", stop=Stop.LENGTH), ["one", "one", "one", "two"]),
        (Response("a bomb", stop=Stop.SAFETY), ["one", "two"]),
        (Response("no", stop=Stop.REFUSAL), ["one"]),
        (Response("", stop=Stop.BAD_TOOL_CALL), ["one", "one", "two"]),
    ],
)
def test_a_success_that_is_no_answer_is_a_failure(response: Response, calls: list[str]) -> None:
    assert ask(one(*[response] * 9), two("text")).order == calls


def test_a_blank_answer_is_retried_once_and_then_falls_back() -> None:
    asked = ask(one(Response(""), Response("")), two("text"))
    assert asked.order == ["one", "one", "two"]
    assert asked.took == 0


def test_a_blank_answer_that_is_followed_by_a_text_is_no_reason_to_fall_back() -> None:
    asked = ask(one(Response(""), "text"), two())
    assert (asked.order, asked.route) == (["one", "one"], "one")


def test_blank_answers_apart_are_each_the_first_of_their_kind_only_once() -> None:
    settings = evolve(PATIENT, attempts=9)
    script = [Response(""), *failing("timeout"), Response(""), "never asked"]
    assert ask(one(*script), two("text"), settings=settings).order == ["one"] * 3 + ["two"]


def test_the_attempts_at_a_route_are_counted_over_all_causes() -> None:
    script = [*failing("timeout"), Response(""), *failing("overloaded"), "never asked"]
    assert ask(one(*script), two("text")).order == ["one"] * 3 + ["two"]


def test_the_next_route_has_attempts_of_its_own() -> None:
    asked = ask(one(*failing("timeout", 9)), two(*failing("timeout", 2), "text"))
    assert asked.order == ["one"] * 3 + ["two"] * 3


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_user_says_how_often_a_route_is_asked(attempts: int) -> None:
    settings = evolve(PATIENT, attempts=attempts)
    assert ask(one(*failing("timeout", 9)), two(), settings=settings).order == (
        ["one"] * attempts + ["two"]
    )


def test_backoff_doubles_with_every_retry_up_to_its_longest() -> None:
    settings = evolve(PATIENT, attempts=8)
    asked = ask(one(*failing("timeout", 7), "text"), settings=settings, rng=Longest())
    delays = [event.delay for event in asked.events.of(Retrying)]
    assert delays == [1, 2, 4, 8, 16, 30, 30]
    assert [event.at for event in asked.events.of(Retrying)] == [0, 1, 3, 7, 15, 31, 61]
    assert [at for _, at in asked.calls] == [0, 1, 3, 7, 15, 31, 61, 91]


def test_backoff_is_drawn_from_the_whole_span_down_to_nothing() -> None:
    asked = ask(one(*failing("timeout", 2), "text"), rng=Shortest())
    assert asked.took == 0


def test_backoff_comes_from_the_generator_that_is_passed_in() -> None:
    asked = ask(one(*failing("timeout", 2), "text"), rng=random.Random(7))
    rng = random.Random(7)
    assert [event.delay for event in asked.events.of(Retrying)] == [
        rng.uniform(0, 1),
        rng.uniform(0, 2),
    ]


@given(st.integers(0, 2**32))
def test_backoff_keeps_to_its_bounds(seed: int) -> None:
    asked = ask(one(*failing("timeout", 2), "text"), rng=random.Random(seed))
    first, second = (event.delay for event in asked.events.of(Retrying))
    assert 0 <= first <= 1
    assert 0 <= second <= 2
    assert asked.took == pytest.approx(first + second)


def test_the_vendors_word_on_waiting_is_kept_to() -> None:
    script = [*failing("rate_limited", retry_after=7.5), *failing("timeout", retry_after=0.0)]
    asked = ask(one(*script, "text"), rng=Longest())
    assert [at for _, at in asked.calls] == [0, 7.5, 7.5]


def test_a_call_that_takes_time_is_waited_for_before_the_backoff() -> None:
    asked = ask(one(3.0, *failing("timeout"), "text"), rng=Longest())
    assert [at for _, at in asked.calls] == [0, 4]


def test_all_waiting_together_is_bounded() -> None:
    settings = Settings(max_wait=10, attempts=9)
    script = failing("rate_limited", 9, retry_after=4.0)
    asked = ask(one(*script), two("text"), settings=settings)
    assert asked.order == ["one"] * 3 + ["two"]  # a third wait of 4 s would make it 12
    assert asked.took == 8


def test_a_wait_that_is_too_long_is_not_even_begun() -> None:
    script = failing("rate_limited", retry_after=121.0)
    asked = ask(one(*script), two("text"))
    assert (asked.order, asked.took) == (["one", "two"], 0)
    assert asked.events.of(Retrying) == []


def test_a_wait_that_fits_exactly_is_waited_for() -> None:
    script = failing("rate_limited", 2, retry_after=4.0)
    asked = ask(one(*script, "text"), settings=Settings(max_wait=8))
    assert (asked.order, asked.took) == (["one"] * 3, 8)


def test_the_bound_on_waiting_is_shared_by_all_routes() -> None:
    settings = Settings(max_wait=10)
    long = failing("rate_limited", 9, retry_after=6.0)
    asked = ask(one(*long), two(*long), settings=settings)
    assert (asked.order, asked.took) == (["one", "one", "two"], 6)


def test_what_is_not_to_be_retried_falls_back_at_once() -> None:
    asked = ask(one(*failing("server_error", retryable=False)), two("text"))
    assert (asked.order, asked.took) == (["one", "two"], 0)


def test_thinking_that_used_up_the_budget_gets_twice_as_much() -> None:
    provider = one(*failing("thinking_only", 2), "text")
    asked = ask(provider, request=evolve(REQUEST, max_output_tokens=1000))
    assert [request.max_output_tokens for request in provider.requests] == [1000, 2000, 4000]
    assert (asked.took, asked.route) == (0, "one")


def test_the_budget_grows_up_to_the_models_ceiling_and_is_then_given_up() -> None:
    provider = CappedProvider("one", 1500, failing("thinking_only", 9))
    asked = ask(provider, two("text"), request=evolve(REQUEST, max_output_tokens=1000))
    assert [request.max_output_tokens for request in provider.requests] == [1000, 1500]
    assert asked.order == ["one", "one", "two"]


def test_a_ceiling_below_the_budget_leaves_nothing_to_enlarge() -> None:
    provider = CappedProvider("one", 500, failing("thinking_only", 9))
    asked = ask(provider, two("text"), request=evolve(REQUEST, max_output_tokens=1000))
    assert asked.order == ["one", "two"]


def test_a_ceiling_that_is_not_known_is_none() -> None:
    provider = CappedProvider("one", None, failing("thinking_only", 2))
    ask(provider, request=evolve(REQUEST, max_output_tokens=1000))
    assert [request.max_output_tokens for request in provider.requests] == [1000, 2000, 4000]


def test_the_next_route_starts_from_the_first_budget_again() -> None:
    second = two("text")
    ask(one(*failing("thinking_only", 9)), second)
    assert [each.max_output_tokens for each in second.requests] == [REQUEST.max_output_tokens]


def test_a_cut_answer_comes_back_to_be_continued() -> None:
    asked = ask(one(TRUNCATED), two())
    assert (asked.answer, asked.order) == (TRUNCATED, ["one"])
    (ended,) = asked.events.of(CallEnded)
    assert ended.cause is Cause.TRUNCATED


def test_a_cut_answer_can_be_asked_for_again_with_a_larger_budget() -> None:
    provider = one(TRUNCATED, "whole")
    settings = Settings(on={Cause.TRUNCATED: Action.ENLARGE})
    asked = ask(provider, settings=settings)
    assert asked.answer is not None
    assert asked.answer.text == "whole"
    assert provider.requests[1].max_output_tokens == 2 * REQUEST.max_output_tokens


@pytest.mark.parametrize(
    ("cause", "action", "calls"),
    [
        ("refusal", "fallback", ["one", "two"]),
        ("refusal", "retry_once", ["one", "one", "two"]),
        ("auth", "stop", ["one"]),
        ("timeout", "fallback", ["one", "two"]),
        ("empty", "retry", ["one", "one", "one", "two"]),
        ("empty", "stop", ["one"]),
        ("plugin_error", "fallback", ["one", "two"]),
    ],
)
def test_the_users_action_wins_over_the_default(cause: str, action: str, calls: list[str]) -> None:
    settings = Settings(on={Cause(cause): Action(action)})
    assert ask(one(*failing(cause, 9)), two("text"), settings=settings).order == calls


def test_a_provider_without_its_key_is_passed_over_without_a_permit() -> None:
    gate = Gate()
    provider = KeyedProvider("one", "ONE_API_KEY is not set")
    asked = ask(provider, two("text"), limiters=[gate])
    assert (provider.requests, asked.order) == ([], ["two"])
    assert [call.provider for call in gate.asked] == ["two"]
    (hop,) = asked.events.of(FellBack)
    assert hop.cause is Cause.MISSING_KEY


def test_without_any_route_left_each_routes_cause_is_listed() -> None:
    asked = ask(
        one(*failing("auth")),
        two(*failing("timeout", 9)),
        KeyedProvider("three", "no key"),
        rng=Shortest(),
    )
    assert isinstance(asked.error, AllRoutesFailed)
    assert [(route, error.cause) for route, error in asked.error.failures] == [
        ("one", "auth"),
        ("two", "timeout"),
        ("three", "missing_key"),
    ]
    assert str(asked.error) == (
        "writer: all routes failed: one: auth (as the vendor says auth); "
        "two: timeout (as the vendor says timeout); three: missing_key (no key)"
    )
    assert asked.error.exit_code == 4
    assert asked.error.__cause__ is asked.error.failures[-1][1]


def test_every_hop_is_told_from_one_route_to_the_next() -> None:
    asked = ask(one(*failing("auth")), two(*failing("forbidden")), FakeProvider("three"))
    hops = [(hop.route, hop.to, hop.cause) for hop in asked.events.of(FellBack)]
    assert hops == [("one", "two", "auth"), ("two", "three", "forbidden")]
    assert asked.order == ["one", "two", "three"]


def test_a_cause_that_stops_ends_the_agent_though_routes_are_left() -> None:
    asked = ask(one(*failing("auth")), two(*failing("refusal")), FakeProvider("three"))
    assert type(asked.error) is CallFailed
    assert [(route, error.cause) for route, error in asked.error.failures] == [
        ("one", "auth"),
        ("two", "refusal"),
    ]
    assert asked.order == ["one", "two"]


def test_an_agent_without_routes_fails() -> None:
    asked = ask(one(), routes=[])
    assert isinstance(asked.error, AllRoutesFailed)
    assert str(asked.error) == "writer: all routes failed: it has none"


def test_each_route_is_asked_for_its_own_model() -> None:
    provider = one(*failing("auth"), "text")
    asked = ask(provider, routes=["one/large", "one/small"])
    assert [request.model for request in provider.requests] == ["large", "small"]
    assert asked.route == "one/small"


class Rubbish(FakeProvider):
    """A provider that breaks its contract."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        super().__init__("one")
        self._answer = answer

    async def complete(self, request: Request) -> Any:
        self.requests.append(request)
        return self._answer()


@pytest.mark.parametrize("answer", [{}.popitem, lambda: None, lambda: "text", dict, object])
def test_a_provider_that_breaks_its_contract_stops_its_agent(answer: Callable[[], Any]) -> None:
    asked = ask(Rubbish(answer), two())
    assert type(asked.error) is CallFailed
    assert asked.order == ["one"]
    assert "one: plugin_error (the provider 'one' broke: " in str(asked.error)


def test_every_attempt_asks_every_limiter_and_is_told_to_each_once() -> None:
    gates = [Gate("first"), Gate("second")]
    asked = ask(one(*failing("timeout", 9)), two(Response(""), "text"), limiters=gates)
    numbers = [call.number for call in gates[0].asked]
    assert numbers == list(range(1, len(asked.calls) + 1)) == [1, 2, 3, 4, 5]
    for gate in gates:
        assert [call.number for call in gate.asked] == numbers
        assert [call.number for call, _ in gate.told] == numbers
        assert [outcome.cause for _, outcome in gate.told] == [
            *["timeout"] * 3,
            "empty",
            None,
        ]


def test_a_limiter_that_breaks_ends_the_step_and_asks_no_other_route() -> None:
    class Broken(Gate):
        async def acquire(self, call: Call) -> None:
            raise ZeroDivisionError("no rate")

    asked = ask(one(), two(), limiters=[Broken()])
    assert isinstance(asked.error, PluginError)
    assert str(asked.error) == "the limiter 'gate' broke: ZeroDivisionError: no rate"
    assert asked.calls == []


def test_a_limiter_that_breaks_at_the_end_costs_no_answer() -> None:
    class Broken(Gate):
        def ended(self, call: Call, outcome: Outcome) -> None:
            raise ZeroDivisionError("no rate")

    asked = ask(one(), limiters=[Broken()])
    assert asked.error is None


def test_a_route_that_keeps_failing_is_left_alone_by_the_next_step() -> None:
    dispatching = Dispatching(one(*failing("timeout", 9)), two())
    dispatching.step()
    dispatching.step()
    assert dispatching.order == ["one"] * 3 + ["two", "two"]
    (opened,) = dispatching.events.of(RouteOpened)
    assert (opened.route, opened.cause, opened.seconds) == ("one", "timeout", 30.0)
    assert [hop.asked for hop in dispatching.events.of(FellBack)] == [True, False]


def test_a_route_that_is_spent_is_left_alone_at_once() -> None:
    dispatching = Dispatching(one(*failing("quota_exhausted")), two())
    dispatching.step()
    dispatching.step()
    assert dispatching.order == ["one", "two", "two"]


def test_a_route_whose_vendor_asks_for_more_patience_than_there_is_is_left_alone() -> None:
    dispatching = Dispatching(one(*failing("rate_limited", retry_after=121.0)), two())
    dispatching.step()
    dispatching.step()
    assert dispatching.order == ["one", "two", "two"]
    (opened,) = dispatching.events.of(RouteOpened)
    assert (opened.cause, opened.seconds) == ("rate_limited", 121.0)


def test_the_last_route_of_an_agent_is_asked_although_it_is_left_alone() -> None:
    dispatching = Dispatching(one(*failing("auth"), "text"))
    with pytest.raises(AllRoutesFailed):
        dispatching.step()
    (opened,) = dispatching.events.of(RouteOpened)
    dispatching.step()
    assert dispatching.order == ["one", "one"]
    (probe,) = dispatching.events.of(RouteProbed)
    assert dispatching.events.index(probe) > dispatching.events.index(opened)


def test_a_route_is_asked_where_the_others_lack_their_key() -> None:
    dispatching = Dispatching(one(*failing("auth"), "text"), KeyedProvider("two", "no key"))
    with pytest.raises(AllRoutesFailed):
        dispatching.step()
    dispatching.step()
    assert dispatching.order == ["one", "one"]


def test_after_its_rest_a_route_is_probed_and_closed_by_an_answer() -> None:
    dispatching = Dispatching(one(*failing("auth"), "text"), two())
    dispatching.step()
    dispatching.clock.advance(30)
    dispatching.step()
    dispatching.step()
    assert dispatching.order == ["one", "two", "one", "one"]
    (closed,) = dispatching.events.of(RouteClosed)
    assert closed.route == "one"


def test_a_probe_that_fails_is_not_retried() -> None:
    dispatching = Dispatching(one(*failing("timeout", 9)), two())
    dispatching.step()
    dispatching.clock.advance(30)
    dispatching.step()
    assert dispatching.order == ["one"] * 3 + ["two", "one", "two"]
    assert [event.seconds for event in dispatching.events.of(RouteOpened)] == [30.0, 60.0]


def test_a_route_that_others_find_down_meanwhile_is_not_retried() -> None:
    script = [*failing("timeout"), *failing("auth"), "text", "text", "text"]
    dispatching = Dispatching(one(*script), two(), rng=Longest())

    async def both() -> None:
        await asyncio.gather(dispatching.stepping(), dispatching.stepping())

    dispatching.clock.run(both())
    assert dispatching.order == ["one", "one", "two", "two"]


def test_a_probe_that_is_cancelled_leaves_room_for_another_one() -> None:
    dispatching = Dispatching(one(*failing("auth"), 60.0, "text", "text"), two())
    dispatching.step()
    dispatching.clock.advance(30)

    async def cancel() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(dispatching.stepping(), 1)

    dispatching.clock.run(cancel())
    dispatching.step()
    assert dispatching.order == ["one", "two", "one", "one"]


def test_the_number_of_failures_and_the_rest_are_the_users() -> None:
    settings = Settings(breaker_failures=1, breaker_cooldown=5.0)
    dispatching = Dispatching(one(*failing("timeout", 9)), two(), settings=settings)
    dispatching.step()
    (opened,) = dispatching.events.of(RouteOpened)
    assert opened.seconds == 5.0


def test_a_step_that_is_cancelled_gives_its_permit_back_once() -> None:
    gate = Gate()
    dispatching = Dispatching(one(60.0, "text"), limiters=[gate])

    async def cancel() -> None:
        step = asyncio.ensure_future(dispatching.stepping())
        await asyncio.sleep(1)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step

    dispatching.clock.run(cancel())
    assert (len(gate.asked), len(gate.told)) == (1, 1)


def test_an_error_that_a_vendor_words_is_the_reason_given() -> None:
    error = ProviderError("invalid_request", "messages: at least one is required")
    asked = ask(one(error))
    assert "invalid_request (messages: at least one is required)" in str(asked.error)
