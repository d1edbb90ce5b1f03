"""The pause after a refusal, and who goes first after it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.cooldown import Pause
from rolecall_plugins.ratelimit.lock import LockedFile
from rolecall_plugins.ratelimit.shared_state import LocalShelf, SharedShelf


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


def test_other_processes_wait_as_well(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = (Pause(SharedShelf(tmp_path / "p", clock.now), clock.now, 60.0) for _ in range(2))
    one.refused("call", clock.now() - 1, 7.0)
    assert two.wait() == ("429, retry after 7 s", 7.0)


def test_in_each_process_that_waited_one_goes_first() -> None:
    clock, shelf = FakeClock(), LocalShelf()
    one, two = (Pause(shelf, clock.now, 60.0) for _ in range(2))
    one.refused("call", clock.now() - 1, 7.0)
    assert two.wait()[1] == 7.0
    clock.advance(7.0)
    for pause in (one, two):
        assert pause.wait()[1] == 0.0
        pause.took("first")
        assert pause.wait("second")[1] > 0


def test_one_goes_first_even_where_the_first_of_the_last_pause_is_still_under_way() -> None:
    clock, shelf = FakeClock(), LocalShelf()
    one, two = (Pause(shelf, clock.now, 60.0) for _ in range(2))
    one.refused("call", clock.now() - 1, 7.0)
    clock.advance(7.0)
    one.took("slow")
    one.started("slow")
    clock.advance(30.0)
    assert one.wait()[1] == 0.0
    two.refused("call", clock.now() - 1, 7.0)
    assert one.wait()[1] == 7.0
    clock.advance(7.0)
    assert one.wait("first")[1] == 0.0
    one.took("first")
    assert one.wait("second")[1] > 0


def test_a_pause_holds_while_another_process_has_the_file(tmp_path: Path) -> None:
    clock = FakeClock()
    shelf = SharedShelf(tmp_path / "p", clock.now)
    shelf.use(lambda record: 0.0)
    pause = Pause(shelf, clock.now, 60.0)
    with LockedFile(tmp_path / "p"):
        pause.refused("call", clock.now() - 1, 7.0)
        assert pause.wait()[1] == 7.0
    assert pause.wait()[1] == 7.0


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


def test_nobody_waits_longer_than_they_may_because_another_process_may() -> None:
    clock, shelf = FakeClock(), LocalShelf()
    Pause(shelf, clock.now, 3600.0).refused("call", clock.now() - 1, 3600.0)
    assert Pause(shelf, clock.now, 60.0).wait()[1] <= 60.0


def test_refusals_without_end_make_no_pause_longer_than_the_longest() -> None:
    clock = FakeClock()
    pause = Pause(LocalShelf(), clock.now, 60.0)
    for _ in range(1100):
        clock.advance(60.0)
        assert 0 < pause.refused("call", clock.now(), None) <= 60.0


@given(st.lists(st.tuples(st.floats(0, 90), st.none() | st.floats(0, 90)), max_size=20))
def test_whatever_is_refused_a_wait_ends_within_the_longest(
    refusals: list[tuple[float, float | None]],
) -> None:
    clock = FakeClock()
    pause = Pause(LocalShelf(), clock.now, 60.0)
    for started, retry_after in refusals:
        clock.advance(10.0)
        pause.refused("call", clock.now() - started, retry_after)
        assert 0 <= pause.wait()[1] <= 60.0
    clock.advance(60.0)
    assert pause.wait("first")[1] == 0.0
