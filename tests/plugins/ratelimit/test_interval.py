"""The last start, and the file in which processes share them."""

import logging
import math
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.interval import (
    LastStart,
    LocalInterval,
    MinInterval,
    SharedInterval,
)
from rolecall_plugins.ratelimit.lock import LockedFile
from rolecall_plugins.ratelimit.shared_file import ASKS

INTERVAL = 0.5

not_windows = pytest.mark.skipif(sys.platform == "win32", reason="a way of other systems")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "pacing"


def take(last: LastStart, now: float) -> LastStart | float:
    """Take a permit an interval after the last one."""
    wait = last.permit + INTERVAL - now
    return wait if wait > 0 else LastStart(now, last.sent)


@pytest.mark.parametrize("make", [LocalInterval, lambda now: SharedInterval(Path("pacing"), now)])
def test_what_was_taken_has_to_be_waited_for(
    clock: FakeClock, make: Callable[[Callable[[], float]], MinInterval]
) -> None:
    interval = make(clock.now)
    assert interval.attempt(take) == 0
    clock.advance(0.2)
    assert interval.attempt(take) == pytest.approx(0.3)
    clock.advance(0.3)
    assert interval.attempt(take) == 0


@pytest.mark.parametrize("make", [LocalInterval, lambda now: SharedInterval(Path("pacing"), now)])
def test_what_is_noted_has_to_be_waited_for(
    clock: FakeClock, make: Callable[[Callable[[], float]], MinInterval]
) -> None:
    interval = make(clock.now)
    interval.note(take)
    assert interval.attempt(take) == pytest.approx(INTERVAL)


def test_others_wait_for_what_one_took(clock: FakeClock, path: Path) -> None:
    one, other = SharedInterval(path, clock.now), SharedInterval(path, clock.now)
    assert one.attempt(take) == 0
    assert other.attempt(take) == pytest.approx(INTERVAL)


def test_a_note_is_for_the_own_process(clock: FakeClock, path: Path) -> None:
    one, other = SharedInterval(path, clock.now), SharedInterval(path, clock.now)
    one.note(take)
    assert other.attempt(take) == 0


def test_both_kinds_of_stamps_are_shared(clock: FakeClock, path: Path) -> None:
    SharedInterval(path, clock.now).attempt(lambda last, now: LastStart(now - 2, now - 1))
    other = SharedInterval(path, clock.now)
    other.attempt(lambda last, now: last)
    assert other.attempt(lambda last, now: now - last.permit) == 2
    assert other.attempt(lambda last, now: now - last.sent) == 1


def test_where_all_is_known_the_file_is_left_alone(clock: FakeClock, path: Path) -> None:
    interval = SharedInterval(path, clock.now)
    interval.attempt(take)
    path.unlink()
    interval.attempt(take)
    assert not path.exists()


@given(
    st.one_of(
        st.binary(max_size=40),
        st.tuples(st.floats(), st.floats()).map(lambda last: struct.pack("<dd", *last)),
    )
)
def test_no_content_of_the_file_makes_anyone_wait_longer(content: bytes) -> None:
    clock = FakeClock()
    path = Path("pacing")
    path.write_bytes(content)
    interval = SharedInterval(path, clock.now)
    assert 0 <= interval.attempt(take) <= INTERVAL
    clock.advance(INTERVAL)
    assert interval.attempt(take) == 0
    assert SharedInterval(path, clock.now).attempt(take) == pytest.approx(INTERVAL)


@pytest.mark.parametrize("stamp", [1e9, math.inf, math.nan])
def test_stamps_of_before_a_reboot_count_for_nothing(
    clock: FakeClock, path: Path, stamp: float
) -> None:
    path.parent.mkdir()
    path.write_bytes(struct.pack("<dd", stamp, stamp))
    assert SharedInterval(path, clock.now).attempt(take) == 0


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_file_that_is_lost_is_made_anew(
    clock: FakeClock, path: Path, damage: Callable[[Path], object]
) -> None:
    one, other = SharedInterval(path, clock.now), SharedInterval(path, clock.now)
    one.attempt(take)
    other.attempt(take)
    damage(path)
    assert other.attempt(take) > 0
    clock.advance(INTERVAL)
    assert other.attempt(take) == 0
    assert one.attempt(take) == pytest.approx(INTERVAL)


def test_an_older_file_makes_nobody_forget_what_is_known(clock: FakeClock, path: Path) -> None:
    one, other = SharedInterval(path, clock.now), SharedInterval(path, clock.now)
    one.attempt(take)
    old = path.read_bytes()
    clock.advance(INTERVAL)
    one.attempt(lambda last, now: LastStart(now, now))
    path.write_bytes(old)
    one.attempt(lambda last, now: last)
    assert one.attempt(take) == pytest.approx(INTERVAL)
    assert other.attempt(take) == pytest.approx(INTERVAL)


def in_its_place(path: Path) -> None:
    path.mkdir(parents=True)


def above_it(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")


@pytest.mark.parametrize("spoil", [in_its_place, above_it])
def test_a_file_that_cannot_be_used_is_warned_of_once(
    clock: FakeClock, path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(path)
    interval = SharedInterval(path, clock.now)
    for _ in range(3):
        assert interval.attempt(take) == 0
        assert interval.attempt(take) == pytest.approx(INTERVAL)
        clock.advance(INTERVAL)
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert str(path) in warning.getMessage()
    assert warning.getMessage().endswith("calls are paced within this process only")


def test_a_file_that_can_be_used_again_is_used_again(clock: FakeClock, path: Path) -> None:
    interval = SharedInterval(path, clock.now)
    in_its_place(path)
    assert interval.attempt(take) == 0
    path.rmdir()
    clock.advance(INTERVAL)
    assert interval.attempt(take) == 0
    assert SharedInterval(path, clock.now).attempt(take) == pytest.approx(INTERVAL)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device")
def test_a_full_disk_is_no_reason_to_take_twice(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    interval = SharedInterval(Path("/dev/full"), clock.now)
    assert interval.attempt(take) == 0
    assert interval.attempt(take) == pytest.approx(INTERVAL)
    assert "No space left" in caplog.text


@not_windows
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="root may do all")
def test_a_file_that_must_not_be_written_is_warned_of(
    clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.touch(0o400)
    assert SharedInterval(path, clock.now).attempt(take) == 0
    assert "Permission denied" in caplog.text


def test_a_lock_that_someone_holds_is_soon_asked_for_again(clock: FakeClock, path: Path) -> None:
    interval = SharedInterval(path, clock.now)
    with LockedFile(path):
        assert 0 < interval.attempt(take) < 0.001
    assert interval.attempt(take) == 0


def test_a_lock_that_is_never_released_is_given_up(
    clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interval = SharedInterval(path, clock.now)
    with LockedFile(path):
        waits = []
        while wait := interval.attempt(take):
            waits.append(wait)
        assert 0.5 < sum(waits) < 1.5
        assert waits == sorted(waits)
        clock.advance(INTERVAL)
        assert interval.attempt(take) == 0
    (warning,) = caplog.records
    assert "held by a process that does not go on" in warning.getMessage()


def test_a_lock_that_is_free_again_is_used_again(clock: FakeClock, path: Path) -> None:
    interval = SharedInterval(path, clock.now)
    with LockedFile(path):
        while interval.attempt(take):
            pass
    clock.advance(INTERVAL)
    assert interval.attempt(take) == 0
    assert SharedInterval(path, clock.now).attempt(take) == pytest.approx(INTERVAL)
    with LockedFile(path):
        clock.advance(INTERVAL)
        assert interval.attempt(take) > 0


def test_asking_now_and_then_in_vain_is_not_giving_up(clock: FakeClock, path: Path) -> None:
    interval = SharedInterval(path, clock.now)
    for _ in range(2 * ASKS):
        with LockedFile(path):
            assert interval.attempt(take) > 0
        assert interval.attempt(take) == 0
        clock.advance(3600)


def test_one_at_a_time_has_the_file(path: Path) -> None:
    with LockedFile(path), pytest.raises(BlockingIOError), LockedFile(path):
        pytest.fail("two had it")
    with LockedFile(path):
        pass


@not_windows
def test_a_fork_does_not_keep_the_lock(path: Path) -> None:
    with LockedFile(path) as file:
        forked = os.dup(file)
    with LockedFile(path):
        os.close(forked)
