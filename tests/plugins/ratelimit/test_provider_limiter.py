"""One provider's limits: everyone waits as long as the vendor asks, and no longer."""

import asyncio
import math
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Call, Cause, Outcome, ProviderError, ProviderSettings, Settings, Usage
from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.interval import LocalInterval
from rolecall_plugins.ratelimit.limiter import PacingLimiter

CLAUDE = Call(number=1, agent="architect", provider="claude", model="m")
GEMINI = evolve(CLAUDE, provider="gemini")
REFUSED = Outcome(cause=Cause.RATE_LIMITED, retry_after=7.0)


def paced(clock: FakeClock, **settings: Any) -> PacingLimiter:
    return PacingLimiter(Settings(interval=0.5, **settings), LocalInterval(clock.now), clock.now)


async def permit(pacing: PacingLimiter, clock: FakeClock, call: Call) -> float:
    await pacing.acquire(call)
    return clock.now()


def refused(outcome: Outcome, *calls: Call, **settings: Any) -> list[float]:
    """Return the seconds after a refusal at which these calls get their permits."""
    clock = FakeClock()
    pacing = paced(clock, **settings)

    async def run() -> list[float]:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, outcome)
        start = clock.now()
        granted = await asyncio.gather(*(permit(pacing, clock, call) for call in calls))
        return [round(at - start, 3) for at in granted]

    return clock.run(run())


def test_all_calls_cool_down_as_long_as_the_vendor_asks_and_come_back_one_by_one() -> None:
    first, *others = refused(REFUSED, GEMINI, GEMINI, GEMINI)
    assert first == 7.0
    assert others == [8.5, 9.0]  # once the first would have been refused


def test_in_a_rehearsal_a_cooldown_passes_as_fast_as_everything_else() -> None:
    assert refused(REFUSED, GEMINI, rehearsal_speed=2.0) == [3.5]


def test_other_providers_do_not_wait_for_it() -> None:
    assert refused(REFUSED, GEMINI, CLAUDE) == [7.0, 0.5]


def test_where_no_time_is_named_the_cooldowns_double() -> None:
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
def test_only_a_rate_limit_begins_a_cooldown(cause: Cause | None) -> None:
    assert refused(Outcome(cause=cause, retry_after=7.0), GEMINI) == [0.5]


def test_a_call_that_waits_for_the_interval_takes_no_turn_in_a_cooldown() -> None:
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


def test_a_waiting_call_hears_why_and_for_how_long() -> None:
    heard: list[tuple[str, float]] = []
    call = evolve(GEMINI, on_wait=lambda reason, seconds: heard.append((reason, round(seconds, 3))))
    refused(REFUSED, call)
    assert ("429, retry after 7 s", 7.0) in heard


def test_a_call_cancelled_in_a_cooldown_gives_its_place_back() -> None:
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


def test_where_the_probe_is_cancelled_while_it_waits_for_the_interval_another_call_probes() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> list[float]:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, REFUSED)
        start = clock.now()
        waiting = [asyncio.ensure_future(permit(pacing, clock, GEMINI)) for _ in range(3)]
        await asyncio.sleep(6.9)
        await pacing.acquire(CLAUDE)
        await asyncio.sleep(0.2)
        waiting[0].cancel()
        _, *granted = await asyncio.gather(*waiting, return_exceptions=True)
        return [at - start for at in granted if isinstance(at, float)]

    assert clock.run(run()) == pytest.approx([7.4, 8.9])


def test_where_the_probe_is_never_sent_another_call_probes() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> list[float]:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, REFUSED)
        start = clock.now()
        waiting = [asyncio.ensure_future(permit(pacing, clock, GEMINI)) for _ in range(3)]
        await waiting[0]
        pacing.ended(GEMINI, Outcome(started=False))
        return [at - start for at in await asyncio.gather(*waiting)]

    assert clock.run(run()) == pytest.approx([7.0, 7.5, 9.0])


def test_once_the_probe_is_answered_the_others_follow() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> list[float]:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, REFUSED)
        start = clock.now()
        waiting = [asyncio.ensure_future(permit(pacing, clock, GEMINI)) for _ in range(3)]
        await waiting[0]
        await asyncio.sleep(0.1)
        pacing.ended(GEMINI, Outcome())
        return [at - start for at in await asyncio.gather(*waiting)]

    assert clock.run(run()) == pytest.approx([7.0, 7.5, 8.0])


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ProviderSettings(concurrency=2), "2 calls at once"),
        (ProviderSettings(requests_per_minute=2), "requests per minute"),
        (ProviderSettings(tokens_per_minute=2), "tokens per minute"),
    ],
)
def test_a_call_that_a_setting_holds_up_hears_which(limits: ProviderSettings, reason: str) -> None:
    clock = FakeClock()
    pacing = paced(clock, providers={"gemini": limits})
    heard: list[str] = []
    call = evolve(GEMINI, input_tokens=1, on_wait=lambda reason, seconds: heard.append(reason))

    async def run() -> None:
        for _ in range(2):
            await pacing.acquire(call)
        waiting = asyncio.ensure_future(pacing.acquire(call))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    clock.run(run())
    assert heard[-1] == reason


def test_no_more_calls_are_under_way_at_once_than_may_be() -> None:
    clock = FakeClock()
    pacing = paced(clock, providers={"gemini": ProviderSettings(concurrency=2)})

    async def use() -> float:
        granted = await permit(pacing, clock, GEMINI)
        await asyncio.sleep(10)
        pacing.ended(GEMINI, Outcome())
        return granted - 1000

    async def run() -> list[float]:
        return await asyncio.gather(*(use() for _ in range(5)))

    assert clock.run(run()) == pytest.approx([0.0, 0.5, 10.0, 10.5, 20.0], abs=0.01)


def test_tokens_are_estimated_before_a_call_and_corrected_after_it() -> None:
    clock = FakeClock()
    pacing = paced(clock, providers={"gemini": ProviderSettings(input_tokens_per_minute=1000)})
    call = evolve(GEMINI, input_tokens=900)

    async def run() -> list[float]:
        waiting = [asyncio.ensure_future(permit(pacing, clock, call)) for _ in range(3)]
        for each in waiting[:2]:
            await each
            await asyncio.sleep(10)
            pacing.ended(call, Outcome(usage=Usage(input=50, output=1)))
        return [at - 1000 for at in await asyncio.gather(*waiting)]

    assert clock.run(run()) == pytest.approx([0.0, 10.0, 20.0], abs=0.01)


def test_a_refusal_gives_the_tokens_back() -> None:
    clock = FakeClock()
    pacing = paced(clock, providers={"gemini": ProviderSettings(tokens_per_minute=1000)})
    call = evolve(GEMINI, input_tokens=900)

    async def run() -> float:
        await pacing.acquire(call)
        pacing.ended(call, evolve(REFUSED, retry_after=2.0))
        return await permit(pacing, clock, call) - 1000

    assert clock.run(run()) == pytest.approx(2.0)


def test_one_refusal_of_a_call_whose_tokens_nobody_estimated_teaches_no_limit() -> None:
    call = evolve(GEMINI, max_output_tokens=4000)
    assert refused(REFUSED, call) == [7.0]


def test_a_model_has_limits_of_its_own() -> None:
    clock = FakeClock()
    pacing = paced(clock)
    other = evolve(GEMINI, model="other")
    empty = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}

    async def run() -> tuple[float, float]:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, Outcome(headers=empty))
        start = clock.now()
        elsewhere = await permit(pacing, clock, other) - start
        return elsewhere, await permit(pacing, clock, GEMINI) - start

    elsewhere, here = clock.run(run())
    assert elsewhere == pytest.approx(0.5)
    assert here >= 1.0


def test_what_a_vendors_reply_leaves_slows_down_before_it_refuses() -> None:
    heard: list[str] = []
    call = evolve(GEMINI, on_wait=lambda reason, seconds: heard.append(reason))
    left = {
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "0",
    }
    granted = refused(Outcome(headers=left), call, call, call)
    assert granted == pytest.approx([1.0, 2.0, 3.0], abs=0.01)
    assert "requests per minute, by the vendor's headers" in heard


def test_a_limit_that_a_refusal_names_is_respected_from_then_on() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> list[float]:
        for _ in range(3):
            await pacing.acquire(GEMINI)
        for cause in (None, None, Cause.RATE_LIMITED):
            pacing.ended(GEMINI, Outcome(cause=cause, retry_after=2.0, limits={"requests": 20.0}))
        granted = []
        for _ in range(3):
            granted.append(await permit(pacing, clock, GEMINI))
            pacing.ended(GEMINI, Outcome())
        return granted

    first, second, third = clock.run(run())
    assert (second - first, third - second) == pytest.approx((3.0, 3.0), abs=0.01)


def test_a_limit_of_a_kind_that_nobody_knows_is_no_limit() -> None:
    assert refused(evolve(REFUSED, limits={"images": 5.0}), GEMINI) == [7.0]


def test_a_call_that_a_days_limit_would_hold_for_hours_is_refused() -> None:
    clock = FakeClock()
    one = ProviderSettings(requests_per_day=1)
    pacing = paced(clock, providers={"gemini": one}, max_wait=60.0)

    async def run() -> None:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, Outcome())
        await pacing.acquire(GEMINI)

    with pytest.raises(ProviderError, match=r"all requests per day .* 24\.0 h") as refusal:
        clock.run(run())
    assert refusal.value.cause == Cause.QUOTA_EXHAUSTED
    assert refusal.value.retry_after == pytest.approx(86_400.0)


def test_a_call_that_a_day_of_the_vendors_would_hold_for_hours_is_refused() -> None:
    left = {
        "x-ratelimit-limit-tokens": "100000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "24h",
    }
    with pytest.raises(ProviderError) as refusal:
        refused(Outcome(headers=left), evolve(GEMINI, input_tokens=50_000), max_wait=60.0)
    assert refusal.value.cause == Cause.QUOTA_EXHAUSTED


def test_an_agents_output_is_expected_from_what_it_wrote_before() -> None:
    clock = FakeClock()
    limited = ProviderSettings(output_tokens_per_minute=1000)
    pacing = paced(clock, providers={"gemini": limited})
    call = evolve(GEMINI, max_output_tokens=4000)

    async def run() -> list[float]:
        granted = []
        for _ in range(4):
            granted.append(await permit(pacing, clock, call))
            pacing.ended(call, Outcome(usage=Usage(input=1, output=400)))
        return granted

    first, second, third, fourth = (round(at - 1000.0, 3) for at in clock.run(run()))
    assert (first, second) == (0.0, 0.5)
    assert third >= 60.0
    assert fourth > third


OTHER = evolve(GEMINI, model="other")
EMPTY = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}


def test_a_model_that_waits_for_its_limit_holds_no_other_model_up() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> list[float]:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, Outcome(headers=EMPTY))
        start = clock.now()
        calls = (GEMINI, GEMINI, OTHER, OTHER)
        granted = await asyncio.gather(*(permit(pacing, clock, call) for call in calls))
        return [at - start for at in granted]

    first, second, *others = clock.run(run())
    assert others == pytest.approx([0.5, 1.0])
    assert (first, second) == pytest.approx((1.5, 2.5), abs=0.51)


def test_a_model_that_cools_down_holds_no_other_model_up() -> None:
    first, other, second = refused(REFUSED, GEMINI, OTHER, GEMINI)
    assert (first, other, second) == (7.0, 0.5, 8.5)


def test_all_models_of_a_provider_share_its_calls_at_once_first_come_first_served() -> None:
    clock = FakeClock()
    pacing = paced(clock, providers={"gemini": ProviderSettings(concurrency=1)})
    order: list[str] = []

    async def use(call: Call) -> None:
        await pacing.acquire(call)
        order.append(call.model)
        await asyncio.sleep(3)
        pacing.ended(call, Outcome())

    async def run() -> None:
        await asyncio.gather(*map(use, (GEMINI, OTHER, GEMINI, OTHER)))

    clock.run(run())
    assert order == ["m", "other", "m", "other"]


def test_a_call_that_waits_for_the_provider_is_recalled_by_its_models_cooldown() -> None:
    clock = FakeClock()
    pacing = paced(clock, providers={"gemini": ProviderSettings(concurrency=2)})

    async def run() -> tuple[float, float]:
        await pacing.acquire(GEMINI)
        await pacing.acquire(OTHER)
        start = clock.now()
        waiting = asyncio.ensure_future(permit(pacing, clock, GEMINI))
        other = asyncio.ensure_future(permit(pacing, clock, OTHER))
        await asyncio.sleep(1)
        pacing.ended(GEMINI, REFUSED)
        elsewhere = await other - start
        pacing.ended(OTHER, Outcome())
        return await waiting - start, elsewhere

    assert clock.run(run()) == pytest.approx((8.0, 1.0))


def test_a_probe_that_is_cancelled_is_no_answer() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> list[float]:
        await pacing.acquire(GEMINI)
        pacing.ended(GEMINI, REFUSED)
        start = clock.now()
        waiting = [asyncio.ensure_future(permit(pacing, clock, GEMINI)) for _ in range(3)]
        await waiting[0]
        await asyncio.sleep(0.1)
        pacing.ended(GEMINI, Outcome(cancelled=True))
        return [at - start for at in await asyncio.gather(*waiting)]

    assert clock.run(run()) == pytest.approx([7.0, 7.5, 9.0])


def test_a_cancelled_call_ends_no_row_of_refusals() -> None:
    clock = FakeClock()
    pacing = paced(clock)

    async def run() -> list[float]:
        waits = []
        for cancelled in (False, False, True, False):
            before = clock.now()
            waits.append(await permit(pacing, clock, GEMINI) - before)
            outcome = Outcome(cause=None if cancelled else Cause.RATE_LIMITED, cancelled=cancelled)
            pacing.ended(GEMINI, outcome)
        return [*waits, await permit(pacing, clock, GEMINI) - clock.now()]

    assert clock.run(run())[:4] == pytest.approx([0.0, 1.0, 2.0, 0.5])


ODD = st.sampled_from([math.nan, math.inf, -math.inf, -5, 0, 1e300, 10**400, "7", [7], None, {}])
NUMBERS = ODD | st.floats() | st.integers()
TEXTS = st.sampled_from(["0", "50", "-1", "nan", "inf", "1e999", "9" * 400, "many", "", "12h"])
HEADERS = st.dictionaries(
    st.builds(
        "anthropic-ratelimit-{}-{}".format,
        st.sampled_from(["requests", "tokens", "input-tokens"]),
        st.sampled_from(["limit", "remaining", "reset"]),
    ),
    TEXTS | ODD,
)
OUTCOMES = st.builds(
    Outcome,
    cause=st.sampled_from([None, Cause.RATE_LIMITED, Cause.TIMEOUT]),
    retry_after=NUMBERS,
    usage=st.builds(Usage, NUMBERS, NUMBERS) | ODD,
    headers=HEADERS | ODD,
    limits=st.dictionaries(st.sampled_from(["requests", "tokens", "images"]), NUMBERS) | ODD,
    cancelled=st.booleans(),
)


@given(st.lists(OUTCOMES, max_size=6))
def test_whatever_a_reply_says_of_limits_the_next_call_waits_no_longer_than_it_may(
    outcomes: list[Outcome],
) -> None:
    clock = FakeClock()
    limits = ProviderSettings(tokens_per_minute=1000, requests_per_day=100)
    pacing = paced(clock, providers={"gemini": limits}, max_wait=60.0)
    reasons: list[str] = []
    call = evolve(
        GEMINI,
        input_tokens=100,
        max_output_tokens=800,
        on_wait=lambda reason, seconds: reasons.append(f"{reason} {seconds:.3g}"),
    )

    async def run() -> None:
        for outcome in outcomes:
            before = clock.now()
            try:
                await pacing.acquire(call)
            except ProviderError:  # a limit per day is used up
                return
            assert clock.now() - before <= 125.0
            pacing.ended(call, outcome)

    clock.run(run())
    assert not [reason for reason in reasons if "nan" in reason or "inf s" in reason]


@pytest.mark.parametrize("retry_after", [-5.0, math.nan, 0.0, -math.inf])
def test_a_time_to_retry_that_has_passed_is_none(retry_after: float) -> None:
    assert refused(evolve(REFUSED, retry_after=retry_after), GEMINI) == [1.0]


@pytest.mark.parametrize("retry_after", [math.inf, 1e300, 86_400.0 * 365])
def test_an_absurd_time_to_retry_is_bounded_and_reads_well(retry_after: float) -> None:
    heard: list[str] = []
    call = evolve(GEMINI, on_wait=lambda reason, seconds: heard.append(reason))
    outcome = evolve(REFUSED, retry_after=retry_after)
    assert refused(outcome, call, max_wait=1200.0) == [1200.0]
    assert heard[0] == "429, retry after 1200 s"
