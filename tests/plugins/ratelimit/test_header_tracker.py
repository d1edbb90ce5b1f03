"""A vendor's bucket, tracked by the headers of its replies."""

from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.ratelimit.header_tracker import (
    LONGEST,
    MOST,
    ROUNDED,
    HeaderTracker,
    RateLimitHeaders,
)
from rolecall_plugins.ratelimit.token_bucket import Spending

LIMIT = 60.0  # one a second


def left(tracker: HeaderTracker, now: float) -> float:
    """Find what may be spending right now."""
    low, high = 0.0, LIMIT
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if tracker.wait(middle, now) > 0 else (middle, high)
    return low


def test_until_the_first_headers_everything_passes() -> None:
    assert HeaderTracker(0.0).wait(10**9, 0.0) == 0.0


def test_the_level_is_what_remained_and_the_refill_since_without_own_sends() -> None:
    tracker = HeaderTracker(0.0)
    first = tracker.spend(1, 0.0)
    tracker.spend(5, 3.0)
    tracker.update(first, RateLimitHeaders(LIMIT, 20.0), 4.0)
    assert left(tracker, 4.0) == pytest.approx(20 - ROUNDED + 4 - 5, abs=0.01)
    assert left(tracker, 10.0) == pytest.approx(20 - ROUNDED + 10 - 5, abs=0.01)


def test_headers_older_than_the_last_are_ignored() -> None:
    tracker = HeaderTracker(0.0)
    first, second = tracker.spend(1, 0.0), tracker.spend(1, 1.0)
    tracker.update(second, RateLimitHeaders(LIMIT, 10.0), 2.0)
    tracker.update(first, RateLimitHeaders(LIMIT, 50.0), 3.0)
    assert left(tracker, 3.0) == pytest.approx(10 - ROUNDED + 2, abs=0.01)


def test_what_is_reserved_for_a_call_on_its_way_is_not_free() -> None:
    tracker = HeaderTracker(0.0)
    tracker.update(tracker.spend(1, 0.0), RateLimitHeaders(LIMIT, 20.0), 0.0)
    tracker.reserve(15)
    assert tracker.wait(10, 0.0) == pytest.approx(5 + ROUNDED)
    tracker.reserve(-15)
    assert tracker.wait(10, 0.0) == 0.0


def test_a_corrected_spending_moves_the_level_unless_newer_headers_described_it() -> None:
    tracker = HeaderTracker(0.0)
    first, second = tracker.spend(1, 0.0), tracker.spend(10, 0.0)
    tracker.update(first, RateLimitHeaders(LIMIT, 40.0), 0.0)
    tracker.correct(second, 4, 0.0)
    tracker.correct(first, 30, 0.0)
    assert left(tracker, 0.0) == pytest.approx(40 - ROUNDED - 4, abs=0.01)


def test_a_debt_that_headers_show_as_zero_is_remembered() -> None:
    tracker = HeaderTracker(0.0)
    tracker.update(tracker.spend(1, 0.0), RateLimitHeaders(LIMIT, 5.0), 0.0)
    tracker.update(tracker.spend(25, 0.0), RateLimitHeaders(LIMIT, 0.0), 0.0)
    assert tracker.wait(1, 0.0) == pytest.approx(21, abs=1)


def test_what_others_take_is_expected_to_go_on() -> None:
    tracker, level, now = HeaderTracker(0.0), LIMIT, 0.0
    for _ in range(200):
        now += 2.0
        level = min(LIMIT, level + 2.0 - 1.0) - 1.0  # half of the refill goes to somebody else
        tracker.update(tracker.spend(1, now), RateLimitHeaders(LIMIT, max(level, 0.0)), now)
    assert tracker._bucket.drain == pytest.approx(0.5, abs=0.1)


def test_alone_no_margin_is_left() -> None:
    tracker, level, now = HeaderTracker(0.0), LIMIT, 0.0
    for _ in range(100):
        now += 2.0
        level = min(LIMIT, level + 2.0) - 2.0
        tracker.update(tracker.spend(2, now), RateLimitHeaders(LIMIT, level), now)
    assert tracker._bucket.margin < 1.0


@given(
    st.lists(
        st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 100.0), st.floats(0.0, 60.0)), max_size=40
    )
)
def test_whatever_headers_say_a_wait_ends(replies: list[tuple[float, float, float]]) -> None:
    tracker, now = HeaderTracker(0.0), 0.0
    for pause, amount, remaining in replies:
        now += pause
        tracker.update(tracker.spend(amount, now), RateLimitHeaders(LIMIT, remaining), now)
        assert 0 <= tracker._bucket.drain <= MOST * tracker._bucket.rate
        assert 0.0 <= tracker.wait(1.0, now) < 10**6


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
    tracker, now = HeaderTracker(0.0), 0.0
    replies: list[tuple[float, int, Spending, RateLimitHeaders]] = []

    def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds
        while replies and replies[0][0] <= now:
            _, _, spending, headers = heappop(replies)
            tracker.update(spending, headers, now)

    for number, (pause, amount, latency) in enumerate([(0.0, 1, 0.0), *calls]):
        before = now
        pass_by(pause)
        while (wait := tracker.wait(amount, now)) > 0:
            pass_by(wait)
        level = min(LIMIT, level + now - before) - amount
        assert level >= -1e-3
        headers = RateLimitHeaders(LIMIT, round(level))
        heappush(replies, (now + latency, number, tracker.spend(amount, now), headers))
        pass_by(0.0)


def test_a_bucket_for_a_day_refills_by_the_day() -> None:
    tracker = HeaderTracker(0.0)
    tracker.update(tracker.spend(1, 0.0), RateLimitHeaders(10.0, 0.0, 86_400.0), 0.0)
    assert tracker.wait(1, 0.0) == pytest.approx(8640.0)


def test_a_limit_that_is_lowered_is_followed() -> None:
    tracker = HeaderTracker(0.0)
    tracker.update(tracker.spend(1, 0.0), RateLimitHeaders(LIMIT, 50.0), 0.0)
    tracker.update(tracker.spend(1, 0.0), RateLimitHeaders(10.0, 9.0), 0.0)
    assert left(tracker, 0.0) <= 10
    assert tracker.wait(500, 10**6) == 0.0


def test_of_calls_that_are_never_answered_not_all_are_remembered() -> None:
    tracker = HeaderTracker(0.0)
    tracker.update(tracker.spend(1, 0.0), RateLimitHeaders(LIMIT, 50.0), 0.0)
    lost = tracker.spend(0, 0.0)
    for _ in range(2 * LONGEST):
        last = tracker.spend(0, 1.0)
    tracker.update(lost, RateLimitHeaders(LIMIT, 3.0), 1.0)
    assert left(tracker, 1.0) > 40
    tracker.update(last, RateLimitHeaders(LIMIT, 20.0), 1.0)
    assert left(tracker, 1.0) <= 20
    assert len(tracker._log) <= LONGEST
