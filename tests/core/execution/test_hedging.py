"""Where a route is late to begin its answer, the next one is asked as well."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from building import Dispatching, Gate
from hypothesis import given
from hypothesis import strategies as st

from rolecall import (
    Call,
    CallEnded,
    CallStarted,
    Cause,
    Hedged,
    Outcome,
    Price,
    ProviderError,
    Request,
    Response,
    Settings,
    Usage,
)
from rolecall.storage.history import Past, RouteHistory
from rolecall.testing import FakeProvider

# 95 % of what "one" answers begins within a second.
KNOWN = Past(routes={"one": RouteHistory(seconds=30.0, output=1000, first=[1.0] * 20)})
HEDGING = Settings(hedge=True, attempts=1)


class Streaming(FakeProvider):
    """A provider that begins to answer after `first` seconds and ends `rest` seconds later."""

    def __init__(
        self, name: str, first: float, rest: float = 1.0, error: Cause | None = None
    ) -> None:
        super().__init__(name)
        self.first, self.rest, self.error = first, rest, error
        self.cancelled = 0

    async def complete(self, request: Request) -> Response:
        try:
            await request.progress.sending()
            await asyncio.sleep(self.first)
            request.progress.text("answer")
            await asyncio.sleep(self.rest)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise ProviderError(self.error, "broken")
        return Response(f"answer of {self.name}", usage=Usage(10, 5))


def hedged(one: Streaming, two: FakeProvider, **more: Any) -> Dispatching:
    more = {"settings": HEDGING, "past": KNOWN} | more
    return Dispatching(one, two, **more)


def test_the_first_answer_wins_and_the_loser_is_cancelled() -> None:
    one, two = Streaming("one", 30.0), Streaming("two", 0.5)
    asked = hedged(one, two)
    assert asked.step().route == "two"
    assert asked.calls == [("one", 0.0), ("two", 1.0)]
    assert asked.events.of(Hedged) == [
        Hedged(at=1.0, agent="writer", route="one", to="two", after=1.0)
    ]
    assert (one.cancelled, two.cancelled) == (1, 0)
    ends = {end.provider: (end.cause, end.at) for end in asked.events.of(CallEnded)}
    assert ends == {"one": (Cause.SUPERSEDED, 2.5), "two": (None, 2.5)}


def test_the_late_one_may_still_win() -> None:
    one, two = Streaming("one", 1.5), Streaming("two", 30.0)
    asked = hedged(one, two)
    assert asked.step().route == "one"
    assert two.cancelled == 1
    ends = {end.provider: end.cause for end in asked.events.of(CallEnded)}
    assert ends == {"one": None, "two": Cause.SUPERSEDED}


def test_an_answer_that_has_begun_in_time_is_waited_for() -> None:
    asked = hedged(Streaming("one", 0.9, rest=100.0), Streaming("two", 0.1))
    assert asked.step().route == "one"
    assert asked.order == ["one"]


@pytest.mark.parametrize(
    "more",
    [
        {"settings": Settings(attempts=1)},
        {"past": Past(routes={"one": RouteHistory(30.0, 1000, [1.0] * 9)})},
        {"tier": "complex"},
    ],
    ids=["off", "unknown", "tier"],
)
def test_nobody_else_is_asked_where_that_is_not_wanted_or_lateness_unknown(more: Any) -> None:
    asked = hedged(Streaming("one", 30.0), Streaming("two", 0.1), **more)
    assert asked.step().route == "one"
    assert asked.order == ["one"]


def test_waiting_for_a_permit_is_not_being_late() -> None:
    asked = hedged(Streaming("one", 0.5), Streaming("two", 0.1), limiters=[Gate(delay=60.0)])
    assert asked.step().route == "one"
    assert asked.order == ["one"]


def test_a_second_call_that_fails_leaves_the_first_to_answer() -> None:
    asked = hedged(Streaming("one", 9.0), Streaming("two", 0.1, error=Cause.AUTH))
    assert asked.step().route == "one"
    assert asked.order == ["one", "two"]


def test_a_first_call_that_fails_leaves_the_second_to_answer() -> None:
    asked = hedged(Streaming("one", 2.0, error=Cause.OVERLOADED), Streaming("two", 9.0))
    assert asked.step().route == "two"
    assert asked.order == ["one", "two"]


def test_the_limiter_hears_of_both() -> None:
    gate = Gate()
    hedged(Streaming("one", 30.0), Streaming("two", 0.5), limiters=[gate]).step()
    told = {call.provider: outcome for call, outcome in gate.told}
    assert [call.provider for call in gate.asked] == ["one", "two"]
    assert (told["one"].cancelled, told["two"].cause) == (True, None)


def test_the_budget_pays_for_both_and_no_second_call_breaks_it() -> None:
    prices = {"one": Price(1.0, 1.0), "two": Price(1.0, 1.0)}
    settings = Settings(hedge=True, attempts=1, prices=prices, max_output_tokens=16_384)
    asked = hedged(Streaming("one", 30.0), Streaming("two", 0.5), settings=settings)
    asked.step()
    (beaten,) = [start for start in asked.events.of(CallStarted) if start.provider == "one"]
    assert beaten.worst > 0.0
    tight = hedged(
        Streaming("one", 30.0),
        Streaming("two", 0.5),
        settings=Settings(hedge=True, prices=prices, budget=beaten.worst * 1.5),
    )
    assert tight.step().route == "one"
    assert tight.order == ["one"]


def test_a_run_that_is_interrupted_ends_both_calls_and_says_of_none_that_it_lost() -> None:
    one, two = Streaming("one", 30.0), Streaming("two", 30.0)
    asked = hedged(one, two)

    async def interrupt() -> None:
        step = asyncio.create_task(asked.stepping())
        await asyncio.sleep(5.0)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step

    asked.clock.run(interrupt())
    assert (one.cancelled, two.cancelled) == (1, 1)
    assert asked.events.of(CallEnded) == []


class Counting(Gate):
    """Counts the permits that are held."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0

    async def acquire(self, call: Call) -> None:
        await super().acquire(call)
        self.held += 1

    def ended(self, call: Call, outcome: Outcome) -> None:
        super().ended(call, outcome)
        self.held -= 1


SECONDS = st.floats(0.0, 20.0)
CAUSES = st.sampled_from([None, Cause.OVERLOADED, Cause.AUTH])


@given(times=st.lists(SECONDS, min_size=4, max_size=4), causes=st.tuples(CAUSES, CAUSES))
def test_whatever_happens_every_call_ends_and_every_permit_is_given_back(
    times: Sequence[float], causes: tuple[Cause | None, Cause | None]
) -> None:
    gate = Counting()
    one = Streaming("one", times[0], times[1], causes[0])
    two = Streaming("two", times[2], times[3], causes[1])
    asked = hedged(one, two, limiters=[gate])
    if None in causes:
        assert asked.step().response.text.startswith("answer of ")
    else:
        with pytest.raises(Exception, match="broken"):
            asked.step()
    started = [event.call for event in asked.events.of(CallStarted)]
    assert sorted(event.call for event in asked.events.of(CallEnded)) == sorted(started)
    assert (gate.held, len(gate.told)) == (0, len(gate.asked))
