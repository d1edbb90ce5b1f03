"""A limit that a vendor keeps to itself."""

import pytest

from rolecall_plugins._learned import FEWEST, Learned


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


def test_a_refusal_after_few_calls_teaches_nothing() -> None:
    learned, now = used(FEWEST - 1)
    learned.refused(1, None, 1.0, now)
    assert learned.wait(1, now) == 0.0


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


def test_it_does_not_grow_where_it_is_not_in_the_way() -> None:
    learned, now = used(3)
    learned.refused(1, 60.0, 0.0, now)
    for _ in range(60):
        now += 10.0
        assert learned.wait(1, now) == 0.0
        learned.spend(1, now)
    assert learned._bucket.capacity == 60.0
