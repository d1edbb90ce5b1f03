"""A limit that a vendor keeps to itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.ratelimit.adaptive_limit import FEWEST, AdaptiveLimit


def used(calls: int, every: float = 1.0) -> tuple[AdaptiveLimit, float]:
    limit = AdaptiveLimit(0.0)
    for number in range(calls):
        limit.spend(1, number * every)
    return limit, calls * every


def test_until_it_was_refused_everything_passes() -> None:
    limit, now = used(1000, 0.01)
    assert limit.wait(1, now) == 0.0


def test_a_limit_that_a_refusal_names_is_respected() -> None:
    limit, now = used(3)
    limit.refused(1, 30.0, 5.0, now)
    assert limit.wait(1, now) == pytest.approx(5.0)
    limit.spend(1, now + 5)
    assert limit.wait(1, now + 5) == pytest.approx(2.0)  # 30 a minute


def test_else_the_limit_is_what_passed_of_late() -> None:
    limit, now = used(120)  # one a second, for two minutes
    limit.refused(1, None, 1.0, now)
    limit.spend(1, now + 1)
    assert limit.wait(1, now + 1) == pytest.approx(1.0, rel=0.05)


@given(st.floats(0.3, 2.0), st.floats(0.01, 2.0))
def test_after_a_steady_time_the_guess_is_what_passed_in_a_minute(
    every: float, answered: float
) -> None:
    limit, now = used(500, every)
    now += answered - every
    limit.refused(1, None, 0.0, now)
    limit.spend(1, now)
    assert limit.wait(1, now) == pytest.approx(every, rel=0.1)


def test_where_the_bucket_was_full_at_first_what_passed_is_more_than_its_refill() -> None:
    limit, now = used(90, 0.3)  # in half a minute, of a bucket of sixty
    limit.refused(1, None, 0.0, now)
    limit.spend(1, now)
    assert limit.wait(1, now) == pytest.approx(1.0, rel=0.1)


def test_a_refusal_after_few_calls_teaches_nothing() -> None:
    limit, now = used(FEWEST - 1)
    limit.refused(1, None, 1.0, now)
    assert limit.wait(1, now) == 0.0


@pytest.mark.parametrize("refused", [0.0, 100.0])
def test_however_large_they_were_few_calls_teach_nothing(refused: float) -> None:
    limit = AdaptiveLimit(0.0)
    limit.spend(5000, 0.0)
    limit.refused(refused, None, 1.0, 1.0)
    assert limit.wait(5000, 1.0) == 0.0


def test_after_its_cooldown_the_refused_call_may_pass_again() -> None:
    limit, now = used(3)
    limit.refused(20, 60.0, 5.0, now)
    assert limit.wait(20, now) == pytest.approx(5.0)
    assert limit.wait(20, now + 5.0) == 0.0


def test_a_call_larger_than_what_was_learned_passes_alone() -> None:
    limit, now = used(3)
    limit.refused(1, 60.0, 0.0, now)
    assert limit.wait(500, now + 60.0) == 0.0


def test_another_refusal_lowers_the_guess() -> None:
    limit, now = used(3)
    limit.refused(1, 60.0, 0.0, now)
    limit.spend(1, now)
    limit.refused(1, 60.0, 0.0, now)
    limit.spend(1, now)
    assert limit.wait(1, now) == pytest.approx(1 / 0.9, rel=0.01)


def test_while_it_holds_calls_up_and_none_is_refused_the_guess_grows() -> None:
    limit, now = used(3)
    limit.refused(1, 60.0, 0.0, now)
    passed = 0
    until = now + 600
    while now < until:
        wait = limit.wait(1, now)
        if not wait:
            limit.spend(1, now)
            passed += 1
        now += max(wait, 0.001)
    assert passed > 700  # sixty a minute would be 600


@pytest.mark.parametrize("seconds", [3600.0, 86_400.0])
def test_it_does_not_grow_while_nobody_asks(seconds: float) -> None:
    limit, now = used(3)
    limit.refused(1, 60.0, 0.0, now)
    limit.spend(1, now)
    assert limit.wait(1, now) > 0  # and then gives up
    now += seconds
    limit.wait(1, now)
    assert limit._bucket.capacity <= 60.0 * 1.1


def test_it_does_not_grow_where_it_is_not_in_the_way() -> None:
    limit, now = used(3)
    limit.refused(1, 60.0, 0.0, now)
    for _ in range(60):
        now += 10.0
        assert limit.wait(1, now) == 0.0
        limit.spend(1, now)
    assert limit._bucket.capacity == 60.0
