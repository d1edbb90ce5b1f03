"""What processes share about a provider, whatever happens to the file."""

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from locks import locked

from rolecall import ProviderSettings
from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.cooldown import Cooldown
from rolecall_plugins.ratelimit.quota import Quota, QuotaReservation
from rolecall_plugins.ratelimit.shared_folder import LARGEST
from rolecall_plugins.ratelimit.shared_state import VERSION, Cooling, FileState, QuotaRecord
from rolecall_plugins.ratelimit.token_bucket import DAY

LONGEST = 60.0

not_windows = pytest.mark.skipif(sys.platform == "win32", reason="a way of other systems")


def state(path: Path, clock: FakeClock, calendar: float = 0.0) -> FileState:
    return FileState(path, clock.now, lambda: calendar + clock.now())


def cool_down(own: FileState, until: float, model: str = "m") -> None:
    def change(record: QuotaRecord) -> None:
        record.cooldowns[model] = Cooling(until)

    own.amend(change)


def until(own: FileState, model: str = "m") -> float:
    """Return until when a model cools down."""
    return own.peek().cooldowns[model].until


def test_a_change_is_seen_by_another_process(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = state(tmp_path / "s" / "p", clock), state(tmp_path / "s" / "p", clock)
    assert two.peek() == QuotaRecord()
    cool_down(one, 1010.0)
    assert until(two) == 1010.0


def test_a_change_that_has_to_wait_is_not_kept(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = state(tmp_path / "p", clock), state(tmp_path / "p", clock)
    assert one.use(lambda record: 3.0) == 3.0
    assert not (tmp_path / "p").read_bytes()
    assert two.use(lambda record: 0.0) == 0.0


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"v":1}', b'{"v":2}', b"\xff\xfe", b'{"v":1,"used":{"a":[1]}}'],
)
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p").write_bytes(content)
    own = state(tmp_path / "p", FakeClock())
    assert own.peek() == QuotaRecord()
    cool_down(own, 1010.0)
    assert json.loads((tmp_path / "p").read_bytes())["cooldowns"]["m"]["until"] == 1010.0


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("damage", [Path.unlink, tear, lambda path: path.write_bytes(b"")])
def test_a_file_that_is_lost_or_torn_is_written_anew(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    own, other = (state(tmp_path / "p", FakeClock()) for _ in range(2))
    cool_down(own, 1010.0)
    damage(tmp_path / "p")
    cool_down(own, 1020.0)
    assert until(other) == 1020.0


def test_a_folder_that_cannot_be_used_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    own = state(tmp_path / "file" / "quotas" / "p", FakeClock())
    cool_down(own, 1010.0)
    cool_down(own, 1020.0)
    assert until(own) == 1020.0
    assert len(caplog.records) == 1


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may do all")
def test_a_file_that_must_not_be_written_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "p").touch(0o400)
    own = state(tmp_path / "p", FakeClock())
    cool_down(own, 1010.0)
    assert until(own) == 1010.0
    assert "Permission denied" in caplog.text


def test_a_change_that_meets_anothers_lock_is_made_as_soon_as_it_is_free(tmp_path: Path) -> None:
    clock = FakeClock()
    own, other = state(tmp_path / "p", clock), state(tmp_path / "p", clock)
    own.use(lambda record: 0.0)
    with locked(tmp_path / "p"):
        cool_down(own, 1010.0)
        assert 0 < own.use(lambda record: 0.0) < 0.01
    assert own.use(lambda record: 3.0) == 3.0
    assert until(other) == 1010.0


def test_changes_that_meet_anothers_lock_are_made_in_their_order(tmp_path: Path) -> None:
    own = state(tmp_path / "p", FakeClock())
    with locked(tmp_path / "p"):
        for moment in (1010.0, 1030.0, 1020.0):
            cool_down(own, moment)
    assert own.use(lambda record: 0.0) == 0.0
    assert until(own) == 1020.0


def test_a_change_of_another_process_in_the_same_moment_is_seen(tmp_path: Path) -> None:
    own, other = (state(tmp_path / "p", FakeClock()) for _ in range(2))
    assert own.use(lambda record: 0.0) == 0.0
    moment = (tmp_path / "p").stat().st_mtime_ns
    cool_down(other, 1010.0)
    os.utime(tmp_path / "p", ns=(moment, moment))
    assert until(own) == 1010.0


def test_after_a_reboot_the_calendar_carries_the_days_use_over(tmp_path: Path) -> None:
    before = FakeClock(50_000.0)

    def use(record: QuotaRecord) -> float:
        record.used["requests per day"] = [[49_000.0, 2.0]]
        record.cooldowns["m"] = Cooling(50_010.0)
        return 0.0

    FileState(tmp_path / "p", before.now, lambda: 1_000_000.0).use(use)
    after = FakeClock(100.0)
    record = FileState(tmp_path / "p", after.now, lambda: 1_000_600.0).peek()
    assert record.used == {"requests per day": [[100.0 - 600.0 - 1000.0, 2.0]]}
    assert record.cooldowns == {}


def test_a_calendar_that_went_back_makes_nothing_younger_than_now(tmp_path: Path) -> None:
    def use(record: QuotaRecord) -> float:
        record.used["requests per day"] = [[50_000.0, 1.0]]
        return 0.0

    FileState(tmp_path / "p", FakeClock(50_000.0).now, lambda: 1_000_000.0).use(use)
    own = FileState(tmp_path / "p", FakeClock(100.0).now, lambda: 900_000.0)
    assert own.peek().used == {"requests per day": [[100.0, 1.0]]}


NUMBERS = st.floats(900.0, 1300.0) | st.floats() | st.sampled_from([10**400, -(10**400)])
ENTRIES = st.lists(st.tuples(NUMBERS, st.integers(0, 3) | NUMBERS), max_size=2)
LIMITS = st.dictionaries(st.sampled_from(["requests per minute", "nothing known"]), ENTRIES)
COOLDOWNS = st.fixed_dictionaries({"until": NUMBERS, "retry_after": st.none() | NUMBERS})
JUNK = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
RECORDS = st.fixed_dictionaries(
    {
        "v": st.just(VERSION),
        "now": st.floats(900.0, 1000.0) | NUMBERS,
        "calendar": st.floats(900.0, 1000.0) | NUMBERS,
        "cooldowns": st.dictionaries(st.just("m"), COOLDOWNS),
        "used": LIMITS,
        "reserved": LIMITS,
    }
)
DAMAGED = st.tuples(
    RECORDS, st.dictionaries(st.sampled_from(["v", "now", "cooldowns", "used", "reserved"]), JUNK)
).map(lambda both: both[0] | both[1])


@given(st.binary(max_size=40) | (RECORDS | DAMAGED).map(lambda each: json.dumps(each).encode()))
def test_no_content_of_the_file_holds_anyone_up_for_longer_than_they_may_be(content: bytes) -> None:
    clock = FakeClock()
    Path("p").write_bytes(content)
    own = state(Path("p"), clock)
    assert 0 <= Cooldown("m", own, clock.now, LONGEST).wait()[1] <= LONGEST
    quota = Quota(ProviderSettings(requests_per_minute=1), own, clock.now)
    taken = quota.reserve(0, 0)
    assert isinstance(taken, QuotaReservation) or 0 < taken[1] <= 60.0


def test_a_record_that_another_process_wrote_is_read_whole(tmp_path: Path) -> None:
    clock = FakeClock()
    record = QuotaRecord(
        {"m": Cooling(1010.0, 7.0), "n": Cooling(1020.0)},
        {"requests per day": [[990.0, 2.0]]},
        {"tokens per minute": [[995.0, 300.0]]},
    )

    def replace(shared: QuotaRecord) -> float:
        shared.cooldowns, shared.used = record.cooldowns, record.used
        shared.reserved = record.reserved
        return 0.0

    state(tmp_path / "p", clock).use(replace)
    assert state(tmp_path / "p", clock).peek() == record


@pytest.mark.parametrize("until", [1000.0 + DAY + 1, 1e300, -5.0, math.nan, math.inf])
def test_a_cooldown_that_makes_no_sense_is_none(tmp_path: Path, until: float) -> None:
    cool_down(state(tmp_path / "p", FakeClock()), until)
    assert state(tmp_path / "p", FakeClock()).peek().cooldowns == {}


def test_a_file_that_is_larger_than_any_record_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b" " * (LARGEST + 1))
    own = state(tmp_path / "p", FakeClock())
    cool_down(own, 1010.0)
    assert (tmp_path / "p").stat().st_size < 1000


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "of a person").write_text("kept")


def make_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))


def make_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@not_windows
@pytest.mark.parametrize("damage", [make_a_folder, make_a_link, make_a_pipe])
def test_whatever_takes_the_files_place_gives_way_and_nothing_is_followed(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    own = state(tmp_path / "p", FakeClock())
    for _ in range(2):
        cool_down(own, 1010.0)
        damage(tmp_path / "p")
        cool_down(own, 1020.0)
        assert until(state(tmp_path / "p", FakeClock())) == 1020.0
    assert not (tmp_path / "elsewhere").exists()
    assert len(caplog.records) == 1
    assert all((aside / "of a person").exists() for aside in tmp_path.glob("p.*"))


@not_windows
def test_a_link_in_the_folders_place_gives_way_and_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "quotas").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    cool_down(state(tmp_path / "quotas" / "p", FakeClock()), 1010.0)
    assert until(state(tmp_path / "quotas" / "p", FakeClock())) == 1010.0
    assert not [*tmp_path.glob("elsewhere/*")]


@not_windows
def test_nobody_else_may_look_into_what_is_made(tmp_path: Path) -> None:
    cool_down(state(tmp_path / "state" / "quotas" / "p", FakeClock()), 1010.0)
    for path, mode in (("state", 0o700), ("state/quotas", 0o700), ("state/quotas/p", 0o600)):
        assert (tmp_path / path).stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("times", [1, 3])
def test_a_file_that_is_deleted_while_it_is_locked_is_written_again(
    tmp_path: Path, times: int
) -> None:
    """Another process would lock and read the new file meanwhile."""
    own, other = (state(tmp_path / "p", FakeClock()) for _ in range(2))
    deletions = iter(range(times))

    def reserve(record: QuotaRecord) -> float:
        record.used.setdefault("requests per day", []).append([1000.0, 1.0])
        if next(deletions, None) is not None:
            (tmp_path / "p").unlink()
        return 0.0

    assert own.use(reserve) == 0.0
    assert other.peek().used == {"requests per day": [[1000.0, 1.0]]}
