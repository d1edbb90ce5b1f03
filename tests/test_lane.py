"""One provider's pauses: everyone waits until the vendor's word, and no longer."""

import asyncio
from typing import Any

import pytest
from attrs import evolve

from rolecall import Call, Cause, Outcome, ProviderSettings, Settings
from rolecall.testing import FakeClock
from rolecall_plugins._gap import LocalGap
from rolecall_plugins.pacing import Pacing

CLAUDE = Call(number=1, agent="architect", provider="claude", model="m")
GEMINI = evolve(CLAUDE, provider="gemini")
REFUSED = Outcome(cause=Cause.RATE_LIMITED, retry_after=7.0)


def paced(clock: FakeClock, **settings: Any) -> Pacing:
    return Pacing(Settings(interval=0.5, **settings), LocalGap(clock.now), clock.now)


async def permit(pacing: Pacing, clock: FakeClock, call: Call) -> float:
    await pacing.acquire(call)
    return clock.now()


def refused(outcome: Outcome, *calls: Call, **settings: Any) -> list[float]:
    """Give the seconds after a refusal at which these calls get their permits."""
    clock = FakeClock()
    pacing = paced(clock, **settings)

    async def run() -> list[float]:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, outcome)
        start = clock.now()
        granted = await asyncio.gather(*(permit(pacing, clock, call) for call in calls))
        return [round(at - start, 3) for at in granted]

    return clock.run(run())


def test_all_callers_of_the_provider_pause_until_its_word_and_come_back_one_by_one() -> None:
    assert refused(REFUSED, GEMINI, GEMINI, GEMINI) == [7.0, 7.5, 8.0]


def test_other_providers_do_not_wait_for_it() -> None:
    assert refused(REFUSED, GEMINI, CLAUDE) == [7.0, 0.5]


def test_without_a_word_the_pauses_grow() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> list[float]:
        waits = []
        for _ in range(4):
            before = clock.now()
            waits.append(await permit(pacing, clock, GEMINI) - before)
            pacing.ended(GEMINI, Outcome(cause=Cause.RATE_LIMITED))
        return waits

    assert clock.run(run()) == pytest.approx([0.0, 1.0, 2.0, 4.0])


def test_nobody_is_held_longer_than_they_may_wait() -> None:
    assert refused(evolve(REFUSED, retry_after=3600.0), GEMINI, max_wait=20.0) == [20.0]


@pytest.mark.parametrize("cause", [None, Cause.EMPTY, Cause.OVERLOADED, Cause.QUOTA_EXHAUSTED])
def test_only_a_rate_limit_pauses(cause: Cause | None) -> None:
    assert refused(Outcome(cause=cause, retry_after=7.0), GEMINI) == [0.5]


def test_a_call_in_line_for_the_gap_takes_no_turn_while_its_provider_pauses() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> tuple[float, float]:
        await pacing.acquire(GEMINI)
        start = clock.now()
        first = asyncio.ensure_future(permit(pacing, clock, GEMINI))
        second = asyncio.ensure_future(permit(pacing, clock, CLAUDE))
        await asyncio.sleep(0.1)
        pacing.ended(GEMINI, REFUSED)
        return await first - start, await second - start

    assert clock.run(run()) == pytest.approx((7.1, 0.5))


def test_a_waiting_call_is_told_why_and_for_how_long() -> None:
    told: list[tuple[str, float]] = []
    call = evolve(GEMINI, held=lambda reason, seconds: told.append((reason, round(seconds, 3))))
    refused(REFUSED, call)
    assert ("rate limit", 7.0) in told


def test_a_call_cancelled_in_a_pause_gives_its_place_back() -> None:
    clock = FakeClock()
    pacing = paced(clock, providers={"gemini": ProviderSettings(concurrency=1)})

    async def run() -> float:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, REFUSED)
        waiting = asyncio.ensure_future(pacing.acquire(GEMINI))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        start = clock.now()
        return await permit(pacing, clock, GEMINI) - start

    assert clock.run(run()) == pytest.approx(6.0)
