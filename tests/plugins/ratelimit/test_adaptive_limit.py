"""A limit that a vendor keeps to itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.ratelimit.adaptive_limit import FEWEST, Learned


def used(calls: int, every: float = 1.0) -> tuple[Learned, float]:
    learned = Learned(0.0)
    for number in range(calls):
        learned.spend(1, number * every)
    return learned, calls * every


def test_until_it_was_refused_everything_passes() -> None:
    learned, now = used(1000, 0.01)
    assert learned.wait(1, now) == 0.0


def test_a_limit_that_a_refusal_names_is_kept() -> None:
    learned, now = used(3)
    learned.refused(1, 30.0, 5.0, now)
    assert learned.wait(1, now) == pytest.approx(5.0)
    learned.spend(1, now + 5)
    assert learned.wait(1, now + 5) == pytest.approx(2.0)  # 30 a minute


def test_else_the_limit_is_what_passed_of_late() -> None:
    learned, now = used(120)  # one a second, for two minutes
    learned.refused(1, None, 1.0, now)
    learned.spend(1, now + 1)
    assert learned.wait(1, now + 1) == pytest.approx(1.0, rel=0.05)


@given(st.floats(0.3, 2.0), st.floats(0.01, 2.0))
def test_after_a_steady_time_the_guess_is_what_passed_in_a_minute(
    every: float, answered: float
) -> None:
    learned, now = used(500, every)
    now += answered - every
    learned.refused(1, None, 0.0, now)
    learned.spend(1, now)
    assert learned.wait(1, now) == pytest.approx(every, rel=0.1)


def test_where_the_bucket_was_full_at_first_what_passed_is_more_than_its_refill() -> None:
    learned, now = used(90, 0.3)  # in half a minute, of a bucket of sixty
    learned.refused(1, None, 0.0, now)
    learned.spend(1, now)
    assert learned.wait(1, now) == pytest.approx(1.0, rel=0.1)


def test_a_refusal_after_few_calls_teaches_nothing() -> None:
    learned, now = used(FEWEST - 1)
    learned.refused(1, None, 1.0, now)
    assert learned.wait(1, now) == 0.0


@pytest.mark.parametrize("refused", [0.0, 100.0])
def test_however_large_they_were_few_calls_teach_nothing(refused: float) -> None:
    learned = Learned(0.0)
    learned.spend(5000, 0.0)
    learned.refused(refused, None, 1.0, 1.0)
    assert learned.wait(5000, 1.0) == 0.0


def test_after_its_pause_the_refused_call_may_pass_again() -> None:
    learned, now = used(3)
    learned.refused(20, 60.0, 5.0, now)
    assert learned.wait(20, now) == pytest.approx(5.0)
    assert learned.wait(20, now + 5.0) == 0.0


def test_a_call_larger_than_what_was_learned_passes_alone() -> None:
    learned, now = used(3)
    learned.refused(1, 60.0, 0.0, now)
    assert learned.wait(500, now + 60.0) == 0.0


def test_another_refusal_lowers_the_guess() -> None:
    learned, now = used(3)
    learned.refused(1, 60.0, 0.0, now)
    learned.spend(1, now)
    learned.refused(1, 60.0, 0.0, now)
    learned.spend(1, now)
    assert learned.wait(1, now) == pytest.approx(1 / 0.9, rel=0.01)


def test_while_it_holds_calls_up_and_none_is_refused_the_guess_grows() -> None:
    learned, now = used(3)
    learned.refused(1, 60.0, 0.0, now)
    passed = 0
    until = now + 600
    while now < until:
        wait = learned.wait(1, now)
        if not wait:
            learned.spend(1, now)
            passed += 1
        now += max(wait, 0.001)
    assert passed > 700  # sixty a minute would be 600


@pytest.mark.parametrize("seconds", [3600.0, 86_400.0])
def test_it_does_not_grow_while_nobody_asks(seconds: float) -> None:
    learned, now = used(3)
    learned.refused(1, 60.0, 0.0, now)
    learned.spend(1, now)
    assert learned.wait(1, now) > 0  # and then gives up
    now += seconds
    learned.wait(1, now)
    assert learned._bucket.capacity <= 60.0 * 1.1


def test_it_does_not_grow_where_it_is_not_in_the_way() -> None:
    learned, now = used(3)
    learned.refused(1, 60.0, 0.0, now)
    for _ in range(60):
        now += 10.0
        assert learned.wait(1, now) == 0.0
        learned.spend(1, now)
    assert learned._bucket.capacity == 60.0
