"""The pause after a refusal, and who goes first after it."""

import pytest

from rolecall.testing import FakeClock
from rolecall_plugins._pause import Pause
from rolecall_plugins._shelf import LocalShelf


def paused(clock: FakeClock, retry_after: float | None = 7.0) -> Pause:
    pause = Pause(LocalShelf(), clock.now, 60.0)
    assert pause.refused("call", clock.now() - 1, retry_after) > 0
    return pause


def test_everybody_waits_until_the_vendors_word() -> None:
    clock = FakeClock()
    pause = paused(clock)
    assert pause.wait() == ("429, retry after 7 s", 7.0)
    clock.advance(7.0)
    assert pause.wait()[1] == 0.0


def test_other_processes_wait_as_well() -> None:
    clock, shelf = FakeClock(), LocalShelf()
    Pause(shelf, clock.now, 60.0).refused("call", clock.now(), 7.0)
    assert Pause(shelf, clock.now, 60.0).wait()[1] == 7.0


def test_then_one_goes_first_and_the_others_follow_its_answer() -> None:
    clock = FakeClock()
    pause = paused(clock)
    clock.advance(7.0)
    pause.took("first")
    reason, wait = pause.wait()
    assert (reason, wait) == ("429, one call goes first", float("inf"))
    assert pause.wait("first")[1] == 0.0
    pause.started("first")
    assert 0 < pause.wait()[1] <= 2.0
    pause.ended("first")
    assert pause.wait()[1] == 0.0


def test_they_follow_as_well_when_it_was_not_refused_in_the_time_that_takes() -> None:
    clock = FakeClock()
    pause = paused(clock)
    clock.advance(7.0)
    pause.took("first")
    pause.started("first")
    clock.advance(pause.wait()[1])
    assert pause.wait()[1] == 0.0


def test_where_the_first_gives_up_another_one_goes_first() -> None:
    clock = FakeClock()
    pause = paused(clock)
    clock.advance(7.0)
    pause.took("first")
    pause.given_up("first")
    assert pause.wait()[1] == 0.0
    pause.took("second")
    assert pause.wait("third")[1] > 0


def test_where_the_first_is_refused_all_wait_again() -> None:
    clock = FakeClock()
    pause = paused(clock)
    clock.advance(7.0)
    pause.took("first")
    pause.started("first")
    clock.advance(0.1)
    pause.refused("first", clock.now() - 0.1, 5.0)
    assert pause.wait()[1] == 5.0


def test_without_a_word_pauses_grow_until_a_call_is_answered() -> None:
    clock = FakeClock()
    pause = Pause(LocalShelf(), clock.now, 60.0)
    waits = []
    for _ in range(4):
        clock.advance(100)
        waits.append(pause.refused("call", clock.now(), None))
    assert waits == [1.0, 2.0, 4.0, 8.0]
    pause.ended("call")
    clock.advance(100)
    assert pause.refused("call", clock.now(), None) == 1.0


def test_those_that_were_under_way_tell_nothing_new() -> None:
    clock = FakeClock()
    pause = Pause(LocalShelf(), clock.now, 60.0)
    sent = clock.now()
    clock.advance(1)
    assert pause.refused("one", sent, None) == 1.0
    assert pause.refused("two", sent, None) == 0.0
    assert pause.wait()[1] == 1.0


@pytest.mark.parametrize("asked", [3600.0, 61.0])
def test_nobody_waits_longer_than_they_may(asked: float) -> None:
    clock = FakeClock()
    assert paused(clock, asked).wait()[1] == 60.0
