"""Which of its routes an agent is asked at, by each rule."""

import asyncio
from collections.abc import Mapping
from math import inf
from typing import Any

import pytest
from building import Dispatching, failing
from hypothesis import given
from hypothesis import strategies as st

from rolecall import (
    Balance,
    Call,
    CallStarted,
    FellBack,
    Outcome,
    PluginError,
    Price,
    Rerouted,
    Settings,
)
from rolecall.storage.history import AgentHistory, Past, RouteHistory
from rolecall.testing import FakeProvider

KNOWN = Past(
    agents={"writer": AgentHistory(seconds=4.0, calls=1, output=100)},
    routes={
        "one": RouteHistory(seconds=4.0, output=100),
        "two": RouteHistory(seconds=2.0, output=100),
        "three": RouteHistory(seconds=1.0, output=100),
    },
)


class Queues:
    """A limiter that holds each provider's calls for so many seconds, and forecasts that."""

    name = "queues"

    def __init__(self, **waits: float) -> None:
        self.waits = waits

    async def acquire(self, call: Call) -> None:
        if wait := self.waits.get(call.provider, 0.0):
            call.on_wait("queue", wait)
            await asyncio.sleep(wait)

    def forecast(self, call: Call) -> float:
        return self.waits.get(call.provider, 0.0)

    def ended(self, call: Call, outcome: Outcome) -> None:
        pass


def dispatching(
    rule: str, waits: Mapping[str, float] | None = None, count: int = 3, **more: Any
) -> Dispatching:
    providers = [FakeProvider(name) for name in ("one", "two", "three")[:count]]
    more.setdefault("past", KNOWN)
    own = more.pop("settings", Settings(balance=Balance(rule)))
    return Dispatching(*providers, settings=own, limiters=[Queues(**(waits or {}))], **more)


@pytest.mark.parametrize(
    ("rule", "waits", "route"),
    [
        ("fixed", {"one": 1000.0}, "one"),
        ("spill", {}, "one"),
        ("spill", {"one": 2.0}, "one"),  # "two" would answer no earlier than that
        ("spill", {"one": 2.1}, "two"),
        ("spill", {"one": 9.0, "two": 8.0}, "one"),
        ("spill", {"one": 9.0, "two": 3.0}, "three"),
        ("spill", {"one": inf, "two": inf}, "three"),
        ("fastest", {}, "three"),
        ("fastest", {"three": 1.5}, "two"),
        ("fastest", {"three": 9.0, "two": 9.0}, "one"),
    ],
)
def test_a_rule_chooses_by_the_forecast_wait_and_the_learned_time(
    rule: str, waits: dict[str, float], route: str
) -> None:
    if rule == "fixed":
        waits = {"one": 5.0}
    assert dispatching(rule, waits).step().route == route


@pytest.mark.parametrize(
    ("prices", "route"),
    [
        ({"one": Price(3, 3), "two": Price(2, 2), "three": Price(2, 2)}, "two"),
        ({"one": Price(3, 3), "three": Price(2, 2)}, "three"),  # nobody knows what "two" costs
        ({}, "one"),
    ],
)
def test_the_cheapest_is_by_what_a_call_is_expected_to_cost(
    prices: dict[str, Price], route: str
) -> None:
    settings = Settings(balance=Balance.CHEAPEST, prices=prices)
    assert dispatching("cheapest", settings=settings).step().route == route


def test_the_cheapest_is_not_one_that_never_answers() -> None:
    prices = {"one": Price(3, 3), "two": Price(1, 1), "three": Price(2, 2)}
    settings = Settings(balance=Balance.CHEAPEST, prices=prices)
    assert dispatching("cheapest", {"two": inf}, settings=settings).step().route == "three"


def test_a_choice_says_why_it_was_made() -> None:
    chosen = dispatching("spill", {"one": 9.0, "two": 0.5})
    chosen.step()
    assert chosen.events.of(Rerouted) == [
        Rerouted(
            at=0.0,
            agent="writer",
            route="one",
            to="two",
            balance=Balance.SPILL,
            wait=9.0,
            takes=2.5,
        )
    ]
    assert chosen.events.of(Rerouted)[0].why == "spill, answer in 2.5 s, the other waits 9.0 s"
    assert not chosen.events.of(FellBack)


def test_an_agents_own_rule_wins_over_the_teams() -> None:
    assert dispatching("fixed", balance=Balance.FASTEST).step().route == "three"
    assert dispatching("fastest", balance=Balance.FIXED).step().route == "one"


def test_an_agent_that_needs_a_tier_leaves_its_first_route_only_within_that() -> None:
    alone = Settings(balance=Balance.FASTEST)
    assert dispatching("fastest", settings=alone, tier="complex").step().route == "one"
    within = Settings(balance=Balance.FASTEST, tiers={"complex": ("two",), "other": ("three",)})
    assert dispatching("fastest", settings=within, tier="complex").step().route == "two"


def test_where_the_chosen_route_fails_the_others_are_asked_in_their_order() -> None:
    providers = [
        FakeProvider("one"),
        FakeProvider("two", failing("auth")),
        FakeProvider("three", failing("auth")),
    ]
    asked = Dispatching(*providers, settings=Settings(balance=Balance.FASTEST), past=KNOWN)
    assert asked.step().route == "one"
    assert asked.order == ["three", "two", "one"]
    assert [(event.route, event.to) for event in asked.events.of(FellBack)] == [
        ("three", "two"),
        ("two", "one"),
    ]


class Refused(Queues):
    """Lets a call wait that it had not foreseen to wait, as after another call's 429."""

    def __init__(self) -> None:
        super().__init__()
        self.given_back = 0

    async def acquire(self, call: Call) -> None:
        if call.provider == "one":
            self.waits = {"one": 30.0}
        try:
            await super().acquire(call)
        except asyncio.CancelledError:
            self.given_back += 1
            raise


@pytest.mark.parametrize(
    ("rule", "order", "took"),
    [("fixed", ["one"], 30.0), ("spill", ["two"], 0.0), ("cheapest", ["one"], 30.0)],
)
def test_an_agent_that_turns_out_to_wait_for_long_goes_elsewhere(
    rule: str, order: list[str], took: float
) -> None:
    limiter = Refused()
    asked = Dispatching(
        FakeProvider("one"),
        FakeProvider("two"),
        settings=Settings(balance=Balance(rule)),
        limiters=[limiter],
        past=KNOWN,
    )
    asked.step()
    assert asked.order == order
    assert [event.waited for event in asked.events.of(CallStarted)] == [took]
    assert limiter.given_back == (rule == "spill")


def test_an_agent_that_is_sent_from_one_queue_to_the_next_comes_to_rest() -> None:
    class Everywhere(Queues):
        """Foresees nothing, and then lets everyone wait."""

        async def acquire(self, call: Call) -> None:
            call.on_wait("queue", 30.0)
            await asyncio.sleep(30.0)

    asked = Dispatching(
        FakeProvider("one"),
        FakeProvider("two"),
        settings=Settings(balance=Balance.FASTEST),
        limiters=[Everywhere()],
        past=KNOWN,
    )
    asked.step()
    assert asked.clock.now() == 1030.0


def test_a_retry_that_would_be_late_is_made_elsewhere() -> None:
    one = FakeProvider("one", failing("rate_limited", retry_after=20.0))
    for rule, order in (("spill", ["one", "two"]), ("fixed", ["one", "one"])):
        asked = Dispatching(
            one, FakeProvider("two"), settings=Settings(balance=Balance(rule)), past=KNOWN
        )
        asked.step()
        assert asked.order == order
        one._script = failing("rate_limited", retry_after=20.0)


def test_a_forecast_that_breaks_is_the_limiters_fault() -> None:
    class Broken(Queues):
        def forecast(self, call: Call) -> float:
            raise RuntimeError("boom")

    asked = Dispatching(
        FakeProvider("one"),
        FakeProvider("two"),
        settings=Settings(balance=Balance.SPILL),
        limiters=[Broken()],
    )
    with pytest.raises(PluginError, match="the limiter 'queues' broke: RuntimeError: boom"):
        asked.step()


@given(
    waits=st.lists(st.floats(0, 100), min_size=3, max_size=3),
    seconds=st.lists(st.floats(0.1, 100), min_size=3, max_size=3),
)
def test_no_route_would_have_answered_before_the_fastest(
    waits: list[float], seconds: list[float]
) -> None:
    names = ("one", "two", "three")
    past = Past(
        agents=KNOWN.agents,
        routes={
            name: RouteHistory(seconds=took, output=100)
            for name, took in zip(names, seconds, strict=True)
        },
    )
    asked = dispatching("fastest", dict(zip(names, waits, strict=True)), past=past)
    ends = {name: wait + took for name, wait, took in zip(names, waits, seconds, strict=True)}
    assert ends[asked.step().route] == pytest.approx(min(ends.values()))
