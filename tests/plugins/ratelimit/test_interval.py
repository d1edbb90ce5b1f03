"""The last start in one process."""

import pytest

from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.interval import LastStart, LocalInterval

INTERVAL = 0.5


def take(last: LastStart, now: float) -> LastStart | float:
    """Take a permit an interval after the last one."""
    wait = last.permit + INTERVAL - now
    return wait if wait > 0 else LastStart(now, last.sent)


def test_a_permit_that_was_taken_has_to_be_waited_for() -> None:
    clock = FakeClock()
    interval = LocalInterval(clock.now)
    assert interval.attempt(take) == 0
    clock.advance(0.2)
    assert interval.attempt(take) == pytest.approx(0.3)
    clock.advance(0.3)
    assert interval.attempt(take) == 0


def test_what_is_noted_has_to_be_waited_for() -> None:
    interval = LocalInterval(FakeClock().now)
    interval.note(take)
    assert interval.attempt(take) == pytest.approx(INTERVAL)


def test_of_two_starts_the_later_permit_and_the_later_sending_count() -> None:
    assert LastStart(1.0, 4.0).or_later(LastStart(3.0, 2.0)) == LastStart(3.0, 4.0)
