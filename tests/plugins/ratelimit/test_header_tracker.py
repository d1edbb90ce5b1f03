"""A vendor's bucket, mirrored from what its replies tell."""

from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.ratelimit.header_tracker import LONGEST, MOST, ROUNDED, Mirror, Told
from rolecall_plugins.ratelimit.token_bucket import Spent

LIMIT = 60.0  # one a second


def left(mirror: Mirror, now: float) -> float:
    """Find what may be spent right now."""
    low, high = 0.0, LIMIT
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if mirror.wait(middle, now) > 0 else (middle, high)
    return low


def test_until_the_vendor_says_a_word_everything_passes() -> None:
    assert Mirror(0.0).wait(10**9, 0.0) == 0.0


def test_the_level_is_what_remained_and_the_refill_since_without_own_sends() -> None:
    mirror = Mirror(0.0)
    first = mirror.spend(1, 0.0)
    mirror.spend(5, 3.0)
    mirror.hear(first, Told(LIMIT, 20.0), 4.0)
    assert left(mirror, 4.0) == pytest.approx(20 - ROUNDED + 4 - 5, abs=0.01)
    assert left(mirror, 10.0) == pytest.approx(20 - ROUNDED + 10 - 5, abs=0.01)


def test_a_word_of_before_the_last_is_ignored() -> None:
    mirror = Mirror(0.0)
    first, second = mirror.spend(1, 0.0), mirror.spend(1, 1.0)
    mirror.hear(second, Told(LIMIT, 10.0), 2.0)
    mirror.hear(first, Told(LIMIT, 50.0), 3.0)
    assert left(mirror, 3.0) == pytest.approx(10 - ROUNDED + 2, abs=0.01)


def test_what_is_kept_for_a_call_on_its_way_is_not_free() -> None:
    mirror = Mirror(0.0)
    mirror.hear(mirror.spend(1, 0.0), Told(LIMIT, 20.0), 0.0)
    mirror.keep(15)
    assert mirror.wait(10, 0.0) == pytest.approx(5 + ROUNDED)
    mirror.keep(-15)
    assert mirror.wait(10, 0.0) == 0.0


def test_a_corrected_spending_moves_the_level_unless_the_vendor_told_since() -> None:
    mirror = Mirror(0.0)
    first, second = mirror.spend(1, 0.0), mirror.spend(10, 0.0)
    mirror.hear(first, Told(LIMIT, 40.0), 0.0)
    mirror.amend(second, 4, 0.0)
    mirror.amend(first, 30, 0.0)
    assert left(mirror, 0.0) == pytest.approx(40 - ROUNDED - 4, abs=0.01)


def test_a_debt_that_is_told_as_nothing_is_kept_in_mind() -> None:
    mirror = Mirror(0.0)
    mirror.hear(mirror.spend(1, 0.0), Told(LIMIT, 5.0), 0.0)
    mirror.hear(mirror.spend(25, 0.0), Told(LIMIT, 0.0), 0.0)
    assert mirror.wait(1, 0.0) == pytest.approx(21, abs=1)


def test_what_others_take_is_expected_to_go_on() -> None:
    mirror, level, now = Mirror(0.0), LIMIT, 0.0
    for _ in range(200):
        now += 2.0
        level = min(LIMIT, level + 2.0 - 1.0) - 1.0  # half of the refill goes to somebody else
        mirror.hear(mirror.spend(1, now), Told(LIMIT, max(level, 0.0)), now)
    assert mirror._bucket.drain == pytest.approx(0.5, abs=0.1)


def test_alone_nothing_is_left_standing() -> None:
    mirror, level, now = Mirror(0.0), LIMIT, 0.0
    for _ in range(100):
        now += 2.0
        level = min(LIMIT, level + 2.0) - 2.0
        mirror.hear(mirror.spend(2, now), Told(LIMIT, level), now)
    assert mirror._bucket.reserve < 1.0


@given(
    st.lists(
        st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 100.0), st.floats(0.0, 60.0)), max_size=40
    )
)
def test_whatever_is_told_a_wait_ends(told: list[tuple[float, float, float]]) -> None:
    mirror, now = Mirror(0.0), 0.0
    for pause, amount, remaining in told:
        now += pause
        mirror.hear(mirror.spend(amount, now), Told(LIMIT, remaining), now)
        assert 0 <= mirror._bucket.drain <= MOST * mirror._bucket.rate
        assert 0.0 <= mirror.wait(1.0, now) < 10**6


@given(
    st.floats(5.0, LIMIT),
    st.lists(
        st.tuples(st.floats(0.0, 10.0), st.integers(1, 30), st.floats(0.0, 20.0)), max_size=30
    ),
)
def test_alone_with_a_vendor_it_never_overdraws_whatever_order_the_replies_come_in(
    level: float, calls: list[tuple[float, int, float]]
) -> None:
    """Each call comes after a pause, costs an amount, and is answered after its latency."""
    mirror, now = Mirror(0.0), 0.0
    replies: list[tuple[float, int, Spent, Told]] = []

    def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds
        while replies and replies[0][0] <= now:
            _, _, spent, word = heappop(replies)
            mirror.hear(spent, word, now)

    for number, (pause, amount, latency) in enumerate([(0.0, 1, 0.0), *calls]):
        before = now
        pass_by(pause)
        while (wait := mirror.wait(amount, now)) > 0:
            pass_by(wait)
        level = min(LIMIT, level + now - before) - amount
        assert level >= -1e-3
        word = Told(LIMIT, round(level))
        heappush(replies, (now + latency, number, mirror.spend(amount, now), word))
        pass_by(0.0)


def test_a_bucket_for_a_day_refills_by_the_day() -> None:
    mirror = Mirror(0.0)
    mirror.hear(mirror.spend(1, 0.0), Told(10.0, 0.0, 86_400.0), 0.0)
    assert mirror.wait(1, 0.0) == pytest.approx(8640.0)


def test_a_limit_that_is_lowered_is_followed() -> None:
    mirror = Mirror(0.0)
    mirror.hear(mirror.spend(1, 0.0), Told(LIMIT, 50.0), 0.0)
    mirror.hear(mirror.spend(1, 0.0), Told(10.0, 9.0), 0.0)
    assert left(mirror, 0.0) <= 10
    assert mirror.wait(500, 10**6) == 0.0


def test_of_calls_that_are_never_answered_not_all_are_remembered() -> None:
    mirror = Mirror(0.0)
    mirror.hear(mirror.spend(1, 0.0), Told(LIMIT, 50.0), 0.0)
    lost = mirror.spend(0, 0.0)
    for _ in range(2 * LONGEST):
        last = mirror.spend(0, 1.0)
    mirror.hear(lost, Told(LIMIT, 3.0), 1.0)
    assert left(mirror, 1.0) > 40
    mirror.hear(last, Told(LIMIT, 20.0), 1.0)
    assert left(mirror, 1.0) <= 20
    assert len(mirror._log) <= LONGEST
