"""The last start of all processes, and whatever is done to the file that carries it."""

import logging
import os
import shutil
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.interval import LastStart
from rolecall_plugins.ratelimit.shared_interval import BLANK, TICK, SharedInterval

INTERVAL = 0.5
PROCESSES = 3
ROUNDING = 1e-6

not_windows = pytest.mark.skipif(sys.platform == "win32", reason="a way of other systems")
not_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may do all"
)


def take(last: LastStart, now: float) -> LastStart | float:
    """Take a permit an interval after the last one."""
    wait = last.permit + INTERVAL - now
    return wait if wait > 0 else LastStart(now, last.sent)


class Folder:
    """A folder whose time of change is told by a clock that needs no waiting."""

    def __init__(self, above: Path, clock: FakeClock) -> None:
        self.path = above / "rolecall" / "state"
        self._clock = clock
        self._above = above
        self._changed = -1
        os.utime(above, (0, 0))

    def interval(self) -> SharedInterval:
        """Create what one more process has."""
        return SharedInterval(self.path, self._clock.now, self._clock.now)

    def attempt(self, interval: SharedInterval) -> float:
        wait = interval.attempt(take)
        self.date()
        return wait

    def date(self) -> None:
        """Date a change that was just made by the clock."""
        now = int(self._clock.now() * 1e9)
        for folder in (self._above, self.path.parent, self.path):
            if folder.is_dir() and folder.stat().st_mtime > 1e6:
                os.utime(folder, ns=(now, now))

    def strike(self, damage: Callable[[Path], object]) -> None:
        for entry in [*self.path.iterdir()] if self.path.is_dir() else []:
            damage(entry)
        self.date()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def folder(tmp_path: Path, clock: FakeClock) -> Folder:
    return Folder(tmp_path, clock)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def truncate(path: Path) -> None:
    if path.is_file():
        path.write_bytes(b"")


def scribble(path: Path) -> None:
    if path.is_file():
        path.write_bytes(os.urandom(16))


def make_a_folder(path: Path) -> None:
    remove(path)
    (path / "inside").mkdir(parents=True)


def make_a_link(path: Path) -> None:
    remove(path)
    path.symlink_to("/dev/zero")


def make_a_pipe(path: Path) -> None:
    remove(path)
    os.mkfifo(path)


def rename(path: Path) -> None:
    path.rename(path.with_name(f"rubbish-{os.urandom(4).hex()}"))


HARMLESS = [truncate, scribble]
if sys.platform != "win32":
    HARMLESS += [make_a_folder, make_a_link, make_a_pipe]
LOSSES = [remove, rename]


def test_a_permit_that_was_taken_has_to_be_waited_for(clock: FakeClock, folder: Folder) -> None:
    one, other = folder.interval(), folder.interval()
    assert folder.attempt(one) == 0
    clock.advance(0.2)
    assert folder.attempt(one) == pytest.approx(0.3)
    assert folder.attempt(other) == pytest.approx(0.3)
    clock.advance(0.3)
    assert folder.attempt(other) == 0
    assert folder.attempt(one) == pytest.approx(INTERVAL)


def test_a_note_is_for_the_own_process(folder: Folder) -> None:
    one, other = folder.interval(), folder.interval()
    one.note(take)
    assert folder.attempt(one) == pytest.approx(INTERVAL)
    assert folder.attempt(other) == 0


def test_permits_and_sendings_are_both_shared(folder: Folder) -> None:
    folder.interval().attempt(lambda last, now: LastStart(now - 2, now - 1))
    other = folder.interval()
    other.attempt(lambda last, now: last)
    assert other.attempt(lambda last, now: now - last.permit) == pytest.approx(2)
    assert other.attempt(lambda last, now: now - last.sent) == pytest.approx(1)


def test_where_all_is_known_the_disk_is_left_alone(folder: Folder) -> None:
    interval = folder.interval()
    folder.attempt(interval)
    shutil.rmtree(folder.path)
    assert folder.attempt(interval) == pytest.approx(INTERVAL)
    assert not folder.path.exists()


@not_windows
def test_nobody_else_may_look_into_what_is_made(folder: Folder) -> None:
    folder.attempt(folder.interval())
    (made,) = folder.path.iterdir()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert made.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", HARMLESS)
def test_nothing_that_is_done_to_the_file_itself_changes_the_last_start(
    clock: FakeClock, folder: Folder, damage: Callable[[Path], object]
) -> None:
    one, other = folder.interval(), folder.interval()
    for _ in range(3):
        assert folder.attempt(one) == 0
        folder.strike(damage)
        assert folder.attempt(other) == pytest.approx(INTERVAL)
        clock.advance(INTERVAL)
        folder.strike(damage)
        assert folder.attempt(other) == 0
        clock.advance(INTERVAL)


@pytest.mark.parametrize("damage", [*LOSSES, lambda path: shutil.rmtree(path.parent)])
def test_after_a_loss_all_keep_an_interval_from_the_moment_of_the_loss(
    clock: FakeClock, folder: Folder, damage: Callable[[Path], object]
) -> None:
    one, other = folder.interval(), folder.interval()
    assert folder.attempt(one) == 0
    clock.advance(INTERVAL + 0.1)
    folder.strike(damage)
    newcomer = folder.interval()
    assert folder.attempt(newcomer) == pytest.approx(INTERVAL)
    clock.advance(0.3)
    for interval in (one, other, newcomer):
        assert 0 <= folder.attempt(interval) - (INTERVAL - 0.3) <= TICK + ROUNDING
    clock.advance(0.2 + TICK)
    assert folder.attempt(other) == 0
    assert folder.attempt(one) == pytest.approx(INTERVAL)
    assert folder.attempt(newcomer) == pytest.approx(INTERVAL)


def test_a_loss_is_warned_of_once(
    clock: FakeClock, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    interval = folder.interval()
    for _ in range(3):
        folder.attempt(interval)
        clock.advance(2 * INTERVAL)
        folder.strike(remove)
        folder.attempt(interval)
        clock.advance(2 * INTERVAL)
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert warning.getMessage().startswith(f"{folder.path} was lost: somebody deleted it")


def test_the_first_use_waits_for_nobody_and_warns_of_nothing(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    assert folder.attempt(folder.interval()) == 0
    assert caplog.records == []


def test_where_the_folder_changed_last_before_the_clock_began_the_start_is_shared_as_ever(
    tmp_path: Path, clock: FakeClock
) -> None:
    os.utime(tmp_path, (0, 0))
    one, other = (
        SharedInterval(tmp_path / "interval", clock.now, lambda: 1e9 + clock.now())
        for _ in range(2)
    )
    assert one.attempt(take) == 0
    clock.advance(0.2)
    assert other.attempt(take) == pytest.approx(INTERVAL - 0.2)


def test_a_start_that_a_dead_process_prepared_is_used_by_another(
    clock: FakeClock, folder: Folder
) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / BLANK).touch()
    folder.date()
    interval = folder.interval()
    assert folder.attempt(interval) == pytest.approx(INTERVAL)
    clock.advance(INTERVAL)
    assert folder.attempt(interval) == 0
    assert [path.name for path in folder.path.iterdir()] != [BLANK]


@pytest.mark.parametrize("moment", [10**15, 10**18])
def test_a_start_in_the_future_is_of_before_a_reboot(
    clock: FakeClock, folder: Folder, moment: int
) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / f"start-{moment}-{moment}").touch()
    folder.date()
    clock.advance(60.0)
    interval = folder.interval()
    for _ in range(2):
        assert folder.attempt(interval) == 0
        clock.advance(INTERVAL)
    assert len([*folder.path.iterdir()]) == 1


def test_a_calendar_that_is_set_back_holds_nobody_up(clock: FakeClock, folder: Folder) -> None:
    folder.path.mkdir(parents=True)
    ahead = clock.now() + 86_400.0
    os.utime(folder.path, (ahead, ahead))
    interval = folder.interval()
    assert folder.attempt(interval) == pytest.approx(INTERVAL)
    clock.advance(INTERVAL)
    assert folder.attempt(interval) == 0


def test_an_older_start_makes_nobody_forget_a_later_one(clock: FakeClock, folder: Folder) -> None:
    one = folder.interval()
    folder.attempt(one)
    (old,) = folder.path.iterdir()
    clock.advance(INTERVAL)
    folder.attempt(one)
    old.touch()
    clock.advance(0.1)
    assert folder.attempt(folder.interval()) == pytest.approx(INTERVAL - 0.1)
    folder.strike(lambda path: path != old and path.unlink())
    assert folder.attempt(one) == pytest.approx(INTERVAL - 0.1)


@given(st.lists(st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True), max_size=5))
def test_no_names_in_the_folder_hold_anyone_up_for_longer(names: list[str]) -> None:
    with TemporaryDirectory() as above:
        clock = FakeClock()
        folder = Folder(Path(above), clock)
        folder.path.mkdir(parents=True)
        for name in names:
            if name.strip("."):
                (folder.path / name).touch()
        folder.date()
        interval = folder.interval()
        assert 0 <= folder.attempt(interval) <= INTERVAL
        clock.advance(INTERVAL + TICK + ROUNDING)
        assert folder.attempt(interval) == 0
        assert folder.attempt(folder.interval()) == pytest.approx(INTERVAL)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 400).map(lambda milliseconds: milliseconds / 1000),
        st.integers(0, PROCESSES - 1) | st.sampled_from([*HARMLESS, *LOSSES]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(STEPS)
def test_whatever_is_done_between_them_no_two_starts_are_too_close(
    steps: list[tuple[float, int | Callable[[Path], object], bool]],
) -> None:
    """Each step comes after a pause: a process asks, perhaps a new one, or somebody strikes."""
    with TemporaryDirectory() as above:
        clock = FakeClock()
        folder = Folder(Path(above), clock)
        processes = [folder.interval() for _ in range(PROCESSES)]
        starts = []
        for pause, what, is_new in steps:
            clock.advance(pause)
            if callable(what):
                folder.strike(what)
                continue
            if is_new:
                processes[what] = folder.interval()
            if folder.attempt(processes[what]) == 0:
                starts.append(clock.now())
        assert all(later - sooner > 0.999 * INTERVAL for sooner, later in pairwise(starts))
        clock.advance(INTERVAL + TICK + ROUNDING)
        assert folder.attempt(processes[0]) == 0


@given(st.lists(st.integers(0, PROCESSES - 1), min_size=20, max_size=40))
def test_a_strike_in_every_interval_costs_no_more_than_itself(turns: list[int]) -> None:
    with TemporaryDirectory() as above:
        clock = FakeClock()
        folder = Folder(Path(above), clock)
        processes = [folder.interval() for _ in range(PROCESSES)]
        began, started = clock.now(), 0
        for turn in turns:
            while wait := folder.attempt(processes[turn]):
                clock.advance(min(wait, 0.2))
                folder.strike(remove)
            started += 1
        assert clock.now() - began <= started * (INTERVAL + 0.2 + TICK)


@not_windows
def test_a_folder_that_the_user_made_a_link_is_followed(
    clock: FakeClock, folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.path.parent.mkdir()
    folder.path.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    folder.date()
    os.utime(tmp_path / "elsewhere", (0, 0))
    assert folder.attempt(folder.interval()) == 0
    assert len([*tmp_path.glob("elsewhere/*")]) == 1


def test_what_else_lies_in_the_folder_is_left_alone(clock: FakeClock, folder: Folder) -> None:
    folder.path.mkdir(parents=True)
    for name in ("quotas", "starting", "start-up.txt", "notes"):
        (folder.path / name).touch()
    os.utime(folder.path, (0, 0))
    interval = folder.interval()
    for _ in range(3):
        assert folder.attempt(interval) == 0
        clock.advance(INTERVAL)
    assert len([*folder.path.iterdir()]) == 5


def test_a_folder_that_cannot_be_used_is_warned_of_once(
    clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    os.utime(tmp_path, (0, 0))
    interval = SharedInterval(tmp_path / "state" / "interval", clock.now, clock.now)
    for _ in range(3):
        assert interval.attempt(take) == 0
        assert interval.attempt(take) == pytest.approx(INTERVAL)
        clock.advance(INTERVAL)
    (warning,) = caplog.records
    assert str(tmp_path) in warning.getMessage()
    assert warning.getMessage().endswith("calls are paced within this process only")


@not_root
def test_a_folder_that_must_not_be_written_is_warned_of(
    clock: FakeClock, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.path.mkdir(parents=True)
    folder.path.chmod(0o500)
    folder.date()
    clock.advance(60.0)
    assert folder.attempt(folder.interval()) == 0
    assert "Permission denied" in caplog.text


@not_windows
def test_no_descriptor_is_left_open(clock: FakeClock, folder: Folder) -> None:
    interval = folder.interval()
    folder.attempt(interval)
    before = len(os.listdir("/dev/fd"))
    for _ in range(10):
        clock.advance(INTERVAL)
        folder.attempt(interval)
        folder.strike(remove)
    assert len(os.listdir("/dev/fd")) == before
