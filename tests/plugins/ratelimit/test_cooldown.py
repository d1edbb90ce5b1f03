"""The cooldown after a refusal, and the half-open probe that ends it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from locks import locked

from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.cooldown import Cooldown
from rolecall_plugins.ratelimit.shared_state import FileState, LocalState


def cooling(clock: FakeClock, retry_after: float | None = 7.0) -> Cooldown:
    cooldown = Cooldown("m", LocalState(), clock.now, 60.0)
    assert cooldown.refused("call", clock.now() - 1, retry_after) > 0
    return cooldown


def test_everybody_waits_until_the_moment_that_the_vendor_named() -> None:
    clock = FakeClock()
    cooldown = cooling(clock)
    assert cooldown.wait() == ("429, retry after 7 s", 7.0)
    clock.advance(7.0)
    assert cooldown.wait()[1] == 0.0


def test_other_processes_wait_as_well(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = (
        Cooldown("m", FileState(tmp_path / "p", clock.now), clock.now, 60.0) for _ in range(2)
    )
    one.refused("call", clock.now() - 1, 7.0)
    assert two.wait() == ("429, retry after 7 s", 7.0)


def test_in_each_process_that_waited_one_call_probes() -> None:
    clock, state = FakeClock(), LocalState()
    one, two = (Cooldown("m", state, clock.now, 60.0) for _ in range(2))
    one.refused("call", clock.now() - 1, 7.0)
    assert two.wait()[1] == 7.0
    clock.advance(7.0)
    for cooldown in (one, two):
        assert cooldown.wait()[1] == 0.0
        cooldown.admitted("first")
        assert cooldown.wait("second")[1] > 0


def test_one_call_probes_even_while_the_probe_of_the_last_cooldown_is_under_way() -> None:
    clock, state = FakeClock(), LocalState()
    one, two = (Cooldown("m", state, clock.now, 60.0) for _ in range(2))
    one.refused("call", clock.now() - 1, 7.0)
    clock.advance(7.0)
    one.admitted("slow")
    one.started("slow")
    clock.advance(30.0)
    assert one.wait()[1] == 0.0
    two.refused("call", clock.now() - 1, 7.0)
    assert one.wait()[1] == 7.0
    clock.advance(7.0)
    assert one.wait("first")[1] == 0.0
    one.admitted("first")
    assert one.wait("second")[1] > 0


def test_a_cooldown_holds_while_another_process_has_the_file(tmp_path: Path) -> None:
    clock = FakeClock()
    state = FileState(tmp_path / "p", clock.now)
    state.use(lambda record: 0.0)
    cooldown = Cooldown("m", state, clock.now, 60.0)
    with locked(tmp_path / "p"):
        cooldown.refused("call", clock.now() - 1, 7.0)
        assert cooldown.wait()[1] == 7.0
    assert cooldown.wait()[1] == 7.0


def test_then_one_call_probes_and_the_others_follow_its_answer() -> None:
    clock = FakeClock()
    cooldown = cooling(clock)
    clock.advance(7.0)
    cooldown.admitted("first")
    reason, wait = cooldown.wait()
    assert (reason, wait) == ("429, one call goes first", float("inf"))
    assert cooldown.wait("first")[1] == 0.0
    cooldown.started("first")
    assert 0 < cooldown.wait()[1] <= 2.0
    cooldown.answered("first")
    assert cooldown.wait()[1] == 0.0


def test_they_follow_as_well_when_the_probe_was_not_refused_in_the_time_that_takes() -> None:
    clock = FakeClock()
    cooldown = cooling(clock)
    clock.advance(7.0)
    cooldown.admitted("first")
    cooldown.started("first")
    clock.advance(cooldown.wait()[1])
    assert cooldown.wait()[1] == 0.0


def test_where_the_probe_is_cancelled_another_call_probes() -> None:
    clock = FakeClock()
    cooldown = cooling(clock)
    clock.advance(7.0)
    cooldown.admitted("first")
    cooldown.cancelled("first")
    assert cooldown.wait()[1] == 0.0
    cooldown.admitted("second")
    assert cooldown.wait("third")[1] > 0


def test_where_the_probe_is_refused_all_wait_again() -> None:
    clock = FakeClock()
    cooldown = cooling(clock)
    clock.advance(7.0)
    cooldown.admitted("first")
    cooldown.started("first")
    clock.advance(0.1)
    cooldown.refused("first", clock.now() - 0.1, 5.0)
    assert cooldown.wait()[1] == 5.0


def test_where_no_time_is_named_cooldowns_double_until_a_call_is_answered() -> None:
    clock = FakeClock()
    cooldown = Cooldown("m", LocalState(), clock.now, 60.0)
    waits = []
    for _ in range(4):
        clock.advance(100)
        waits.append(cooldown.refused("call", clock.now(), None))
    assert waits == [1.0, 2.0, 4.0, 8.0]
    cooldown.answered("call")
    clock.advance(100)
    assert cooldown.refused("call", clock.now(), None) == 1.0


def test_refusals_of_calls_that_were_under_way_say_nothing_new() -> None:
    clock = FakeClock()
    cooldown = Cooldown("m", LocalState(), clock.now, 60.0)
    sent = clock.now()
    clock.advance(1)
    assert cooldown.refused("one", sent, None) == 1.0
    assert cooldown.refused("two", sent, None) == 0.0
    assert cooldown.wait()[1] == 1.0


@pytest.mark.parametrize("asked", [3600.0, 61.0])
def test_nobody_waits_longer_than_they_may(asked: float) -> None:
    clock = FakeClock()
    assert cooling(clock, asked).wait()[1] == 60.0


def test_nobody_waits_longer_than_they_may_because_another_process_may() -> None:
    clock, state = FakeClock(), LocalState()
    Cooldown("m", state, clock.now, 3600.0).refused("call", clock.now() - 1, 3600.0)
    assert Cooldown("m", state, clock.now, 60.0).wait()[1] <= 60.0


def test_refusals_without_end_make_no_cooldown_longer_than_the_longest() -> None:
    clock = FakeClock()
    cooldown = Cooldown("m", LocalState(), clock.now, 60.0)
    for _ in range(1100):
        clock.advance(60.0)
        assert 0 < cooldown.refused("call", clock.now(), None) <= 60.0


@given(st.lists(st.tuples(st.floats(0, 90), st.none() | st.floats(0, 90)), max_size=20))
def test_whatever_is_refused_a_wait_ends_within_the_longest(
    refusals: list[tuple[float, float | None]],
) -> None:
    clock = FakeClock()
    cooldown = Cooldown("m", LocalState(), clock.now, 60.0)
    for started, retry_after in refusals:
        clock.advance(10.0)
        cooldown.refused("call", clock.now() - started, retry_after)
        assert 0 <= cooldown.wait()[1] <= 60.0
    clock.advance(60.0)
    assert cooldown.wait("first")[1] == 0.0
