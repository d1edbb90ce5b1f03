"""Rate limits, on a clock that the test moves."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.limits import DAY, Limits, QuotaMeter


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Callable[..., QuotaMeter]:
    return lambda **limits: QuotaMeter(Limits(**limits), clock)


def left(meter: QuotaMeter) -> dict[str, int]:
    return {level.family: level.remaining for level in meter.levels()}


def test_a_minutes_worth_is_granted_at_once_and_not_one_more(
    meter: Callable[..., QuotaMeter],
) -> None:
    limited = meter(requests_per_minute=3)
    assert [limited.enter(1) for _ in range(3)] == [None, None, None]
    denial = limited.enter(1)
    assert denial is not None
    assert (denial.family, denial.limit) == ("requests", 3)
    assert denial.wait == pytest.approx(20.0)


def test_whoever_waits_as_told_is_admitted(meter: Callable[..., QuotaMeter], clock: Clock) -> None:
    limited = meter(input_tokens_per_minute=450_000)
    assert limited.enter(450_000) is None
    denial = limited.enter(1234)
    assert denial is not None
    clock.now += denial.wait
    assert limited.enter(1234) is None


def test_a_refused_call_costs_nothing(meter: Callable[..., QuotaMeter]) -> None:
    limited = meter(requests_per_minute=10, input_tokens_per_minute=100)
    assert limited.enter(80) is None
    before = left(limited)
    assert limited.enter(80) is not None
    assert left(limited) == before


def test_a_call_larger_than_the_whole_limit_is_hopeless(meter: Callable[..., QuotaMeter]) -> None:
    denial = meter(input_tokens_per_minute=100).enter(101)
    assert denial is not None
    assert denial.hopeless


def test_output_is_charged_afterwards_and_debts_are_waited_out(
    meter: Callable[..., QuotaMeter], clock: Clock
) -> None:
    limited = meter(output_tokens_per_minute=60)
    assert limited.enter(5) is None
    limited.leave(90)
    assert left(limited)["output-tokens"] == 0
    denial = limited.enter(5)
    assert denial is not None
    assert denial.wait == pytest.approx(31.0)
    clock.now += 31.0
    assert limited.enter(5) is None


def test_tokens_are_input_and_output(meter: Callable[..., QuotaMeter]) -> None:
    limited = meter(tokens_per_minute=1000)
    assert limited.enter(300) is None
    limited.leave(200)
    assert left(limited)["tokens"] == 500


def test_concurrency_counts_what_is_running(meter: Callable[..., QuotaMeter]) -> None:
    limited = meter(concurrency=2)
    assert limited.enter(1) is None
    assert limited.enter(1) is None
    denial = limited.enter(1)
    assert denial is not None
    assert denial.family == "concurrency"
    limited.leave(0)
    assert limited.enter(1) is None


def test_a_days_quota_comes_back_with_the_next_day(
    meter: Callable[..., QuotaMeter], clock: Clock
) -> None:
    limited = meter(requests_per_day=1)
    assert limited.enter(1) is None
    denial = limited.enter(1)
    assert denial is not None
    assert denial.family == "requests-per-day"
    assert 0 < denial.wait <= DAY
    clock.now += denial.wait
    assert limited.enter(1) is None


def test_levels_say_what_is_left_and_when_it_is_full_again(
    meter: Callable[..., QuotaMeter], clock: Clock
) -> None:
    limited = meter(requests_per_minute=60)
    assert limited.enter(1) is None
    assert limited.enter(1) is None
    level = limited.levels()[0]
    assert (level.limit, level.remaining) == (60, 58)
    assert level.reset == pytest.approx(2.0)
    clock.now += 100
    assert limited.levels()[0].remaining == 60


def test_without_limits_nothing_is_refused(meter: Callable[..., QuotaMeter]) -> None:
    limited = meter()
    assert all(limited.enter(1_000_000) is None for _ in range(1000))


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing(
    meter: Callable[..., QuotaMeter], clock: Clock
) -> None:
    limited = meter(requests_per_minute=2)
    assert limited.enter(1) is None
    clock.now -= 1000
    assert left(limited)["requests"] == 1


@given(st.integers(1, 50), st.lists(st.tuples(st.floats(0, 30), st.integers(0, 40)), max_size=60))
def test_never_more_is_granted_than_was_full_and_flowed_back(
    limit: int, calls: list[tuple[float, int]]
) -> None:
    clock = Clock()
    limited = QuotaMeter(Limits(input_tokens_per_minute=limit), clock)
    granted, began = 0, clock.now
    for pause, tokens in calls:
        clock.now += pause
        if limited.enter(tokens) is None:
            granted += tokens
        assert granted <= limit + (clock.now - began + 0.01 * len(calls)) * limit / 60
