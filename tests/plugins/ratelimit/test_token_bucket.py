"""A vendor's bucket: it refills evenly, is never over-full, and may be in debt."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.ratelimit.token_bucket import TokenBucket

CAPACITY = 60.0  # one a second


def bucket(level: float = CAPACITY) -> TokenBucket:
    made = TokenBucket(0.0)
    made.set_limit(CAPACITY, 1.0)
    made.set_level(level, 0.0)
    return made


def test_until_a_capacity_is_known_everything_passes() -> None:
    assert TokenBucket(0.0).wait(10**9, 0.0) == 0.0


def test_what_is_missing_has_to_be_waited_for() -> None:
    assert bucket(10.0).wait(25.0, 0.0) == pytest.approx(15.0)
    assert bucket(10.0).wait(25.0, 6.0) == pytest.approx(9.0)


def test_what_was_reserved_or_is_left_as_a_margin_is_not_free() -> None:
    own = bucket(10.0)
    own.reserve(4.0)
    own.margin = 3.0
    assert own.wait(3.0, 0.0) == 0.0
    assert own.wait(5.0, 0.0) == pytest.approx(2.0)
    own.reserve(-4.0)
    assert own.wait(5.0, 0.0) == 0.0


def test_what_others_take_slows_the_refill() -> None:
    own = bucket(0.0)
    own.drain = 0.5
    assert own.wait(10.0, 0.0) == pytest.approx(20.0)


def test_what_is_larger_than_the_bucket_passes_alone_once_it_is_full() -> None:
    own = bucket(20.0)
    assert own.wait(500.0, 0.0) == pytest.approx(40.0)
    assert own.wait(500.0, 40.0) == 0.0
    own.reserve(1.0)
    assert own.wait(500.0, 40.0) == math.inf


def test_a_debt_is_refilled_before_anything_passes() -> None:
    own = bucket()
    own.spend(90.0, 0.0)
    assert own.level == -30.0
    assert own.wait(1.0, 0.0) == pytest.approx(31.0)


def test_a_corrected_amount_moves_the_level() -> None:
    own = bucket()
    spending = own.spend(50.0, 0.0)
    own.correct(spending, 30.0, 0.0)
    own.correct(spending, 40.0, 0.0)
    assert (own.level, spending.amount) == (20.0, 40.0)


def test_a_smaller_capacity_spills_what_is_above_it() -> None:
    own = bucket()
    own.set_limit(10.0, 1.0)
    assert own.level == 10.0


@given(
    st.floats(0.0, CAPACITY),
    st.lists(st.tuples(st.floats(0.0, 90.0), st.floats(0.0, CAPACITY)), max_size=20),
)
def test_who_waits_as_long_as_asked_overdraws_nothing(
    level: float, calls: list[tuple[float, float]]
) -> None:
    own, now = bucket(level), 0.0
    for pause, amount in calls:
        now += pause
        now += own.wait(amount, now)
        own.spend(amount, now)
        assert -1e-3 <= own.level <= CAPACITY
