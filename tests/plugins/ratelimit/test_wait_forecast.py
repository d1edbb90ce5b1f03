"""The forecast of a wait comes true, and changes nothing."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall import Call, Cause, ForecastLimiter, Order, Outcome, ProviderSettings, Settings, Usage
from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.interval import LocalInterval
from rolecall_plugins.ratelimit.limiter import PacingLimiter
from rolecall_plugins.ratelimit.provider_limiter import FIRST_GUESS
from rolecall_plugins.ratelimit.shared_interval import SharedInterval

INTERVAL = 0.5
ROUNDING = 0.001
CALL = Call(number=0, agent="tester", provider="one", model="m")


def paced(clock: FakeClock, **changed: Any) -> PacingLimiter:
    own = Settings(interval=INTERVAL, **changed)
    return PacingLimiter(own, LocalInterval(clock.now), clock.now)


@frozen
class Caller:
    """A call that comes after a pause; what its reply says, and whether it is refused."""

    pause: float
    provider: str
    model: str
    tokens: int
    asked: float | None
    priority: float
    left: int | None
    refused: bool


CALLERS = st.builds(
    Caller,
    pause=st.sampled_from([0.0, 0.0, 0.1, 0.5, 3.0]),
    provider=st.sampled_from(["one", "two"]),
    model=st.sampled_from(["m", "n"]),
    tokens=st.integers(0, 300),
    asked=st.sampled_from([None, None, 990.0]),
    priority=st.sampled_from([0.0, 0.0, 5.0]),
    left=st.none() | st.integers(0, 60),
    refused=st.booleans(),
)
LIMITS = st.fixed_dictionaries(
    {
        "one": st.builds(
            ProviderSettings,
            concurrency=st.none() | st.integers(1, 3),
            requests_per_minute=st.none() | st.integers(1, 20),
            tokens_per_minute=st.none() | st.integers(300, 1000),
        )
    }
)


def as_call(number: int, caller: Caller) -> Call:
    return evolve(
        CALL,
        number=number,
        provider=caller.provider,
        model=caller.model,
        input_tokens=caller.tokens,
        asked=caller.asked,
        priority=caller.priority,
    )


def outcome(caller: Caller) -> Outcome:
    if caller.refused:
        return Outcome(cause=Cause.RATE_LIMITED, retry_after=4.0)
    headers = {}
    if caller.left is not None:
        headers = {"x-ratelimit-limit-requests": "60"}
        headers["x-ratelimit-remaining-requests"] = f"{caller.left}"
    return Outcome(usage=Usage(input=caller.tokens), headers=headers)


def forecast_and_wait(
    before: list[Caller], waiting: list[Caller], own: Caller, **changed: Any
) -> tuple[float, float]:
    """End some calls, queue others; return what is forecast for one more, and what it waits.

    Those that wait take as long as calls are expected to, and are answered without headers.
    """
    clock = FakeClock()
    limiter = paced(clock, **changed)

    async def use(number: int, caller: Caller, ends_as: Outcome, seconds: float) -> None:
        call = as_call(number, caller)
        await limiter.acquire(call)
        await asyncio.sleep(seconds)
        limiter.ended(call, ends_as)

    async def run() -> tuple[float, float]:
        for number, caller in enumerate(before):
            await asyncio.sleep(caller.pause)
            took = 0.2 if caller.refused else FIRST_GUESS
            await use(number, caller, outcome(caller), took)
        others = []
        for number, caller in enumerate(waiting, start=100):
            await asyncio.sleep(caller.pause)
            answer = Outcome(usage=Usage(input=caller.tokens))
            others.append(asyncio.ensure_future(use(number, caller, answer, FIRST_GUESS)))
        await asyncio.sleep(own.pause + 0.01)
        call = as_call(999, own)
        forecast = limiter.forecast(call)
        assert limiter.forecast(call) == forecast
        began = clock.now()
        await limiter.acquire(call)
        waited = clock.now() - began
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return forecast, waited

    return clock.run(run())


@settings(max_examples=150)
@given(
    st.lists(CALLERS, max_size=4),
    st.lists(CALLERS, max_size=12),
    CALLERS,
    LIMITS,
    st.sampled_from(Order),
)
def test_a_call_waits_for_as_long_as_was_forecast(
    before: list[Caller],
    waiting: list[Caller],
    own: Caller,
    limits: dict[str, ProviderSettings],
    order: Order,
) -> None:
    forecast, waited = forecast_and_wait(before, waiting, own, providers=limits, order=order)
    # A call that another one's end lets start keeps that one's distance from all others: then two
    # things happen at the same moment, and who is first is open.
    at_once = INTERVAL if limits["one"].concurrency else 0.0
    assert waited == pytest.approx(forecast, abs=ROUNDING + at_once)


def test_a_limiter_that_nobody_used_lets_a_call_start_at_once() -> None:
    clock = FakeClock()
    assert isinstance(paced(clock), ForecastLimiter)
    assert clock.run(forecasts(paced(clock), CALL)) == [0.0]


async def forecasts(limiter: PacingLimiter, *calls: Call) -> list[float]:
    return [limiter.forecast(call) for call in calls]


def test_who_would_overtake_others_waits_less() -> None:
    clock = FakeClock()
    limiter = paced(clock)

    async def run() -> list[float]:
        waiting = [asyncio.ensure_future(limiter.acquire(CALL)) for _ in range(5)]
        await asyncio.sleep(0.1)
        urgent = evolve(CALL, priority=100.0)
        found = await forecasts(limiter, CALL, urgent)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return found

    assert clock.run(run()) == pytest.approx([2.4, 0.4])


def test_a_model_that_cools_down_is_forecast_to_wait_and_another_one_is_not() -> None:
    clock = FakeClock()
    limiter = paced(clock)

    async def run() -> list[float]:
        await limiter.acquire(CALL)
        limiter.ended(CALL, Outcome(cause=Cause.RATE_LIMITED, retry_after=7.0))
        return await forecasts(limiter, CALL, evolve(CALL, model="n"))

    assert clock.run(run()) == pytest.approx([7.0, INTERVAL])


def test_a_call_that_a_days_limit_holds_up_is_forecast_to_wait_until_there_is_room() -> None:
    clock = FakeClock()
    limiter = paced(clock, providers={"one": ProviderSettings(requests_per_day=1)}, max_wait=60.0)

    async def run() -> list[float]:
        await limiter.acquire(CALL)
        limiter.ended(CALL, Outcome())
        return await forecasts(limiter, CALL)

    assert clock.run(run()) == pytest.approx([86_400.0])


def test_with_more_waiting_than_are_simulated_those_behind_are_taken_to_go_on_as_before() -> None:
    clock = FakeClock()
    limiter = paced(clock, providers={"one": ProviderSettings(concurrency=2)})

    async def run() -> list[float]:
        waiting = [asyncio.ensure_future(limiter.acquire(CALL)) for _ in range(1000)]
        await asyncio.sleep(0)
        found = await forecasts(limiter, CALL)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return found

    assert clock.run(run()) == pytest.approx([1000 / 2 * FIRST_GUESS], rel=0.05)


def test_a_forecast_knows_the_starts_of_other_processes(tmp_path: Path) -> None:
    os.utime(tmp_path, (0, 0))
    clock = FakeClock()

    def limiter() -> PacingLimiter:
        shared = SharedInterval(tmp_path / "starts", clock.now)
        return PacingLimiter(Settings(interval=INTERVAL), shared, clock.now)

    one, other = limiter(), limiter()

    async def run() -> list[float]:
        await one.acquire(CALL)
        await asyncio.sleep(0.2)
        return await forecasts(other, CALL)

    assert clock.run(run()) == pytest.approx([INTERVAL - 0.2])


def test_a_forecast_makes_no_limit_grow() -> None:
    clock = FakeClock()
    limiter = paced(clock)
    limited = Outcome(cause=Cause.RATE_LIMITED, retry_after=1.0, limits={"requests": 6.0})

    async def run() -> list[float]:
        await limiter.acquire(CALL)
        limiter.ended(CALL, limited)
        await asyncio.sleep(1.0)
        await limiter.acquire(CALL)
        limiter.ended(CALL, Outcome())
        found = []
        for _ in range(10):
            found += [clock.now() + each for each in await forecasts(limiter, CALL)]
            await asyncio.sleep(0.5)
        return found

    found = clock.run(run())
    assert found == pytest.approx(10 * found[:1])
