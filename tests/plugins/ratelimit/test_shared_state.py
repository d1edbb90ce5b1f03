"""What processes share about a provider, whatever happens to the file."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import ProviderSettings
from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.cooldown import Cooldown
from rolecall_plugins.ratelimit.lock import LockedFile
from rolecall_plugins.ratelimit.quota import Quota, QuotaReservation
from rolecall_plugins.ratelimit.shared_state import VERSION, FileState, QuotaRecord

LONGEST = 60.0


def state(path: Path, clock: FakeClock, calendar: float = 0.0) -> FileState:
    return FileState(path, clock.now, lambda: calendar + clock.now())


def cool_down(own: FileState, until: float) -> None:
    def change(record: QuotaRecord) -> None:
        record.paused, record.why = until, "429"

    own.amend(change)


def test_a_change_is_seen_by_another_process(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = state(tmp_path / "s" / "p", clock), state(tmp_path / "s" / "p", clock)
    assert two.peek() == QuotaRecord()
    cool_down(one, 1010.0)
    assert (two.peek().paused, two.peek().why) == (1010.0, "429")


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
    assert json.loads((tmp_path / "p").read_bytes())["paused"] == 1010.0


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
    assert other.peek().paused == 1020.0


def test_a_folder_that_cannot_be_used_is_said_once_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    own = state(tmp_path / "file" / "p", FakeClock())
    cool_down(own, 1010.0)
    cool_down(own, 1020.0)
    assert own.peek().paused == 1020.0
    assert len(caplog.records) == 1


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may do all")
def test_a_file_that_must_not_be_written_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "p").touch(0o400)
    own = state(tmp_path / "p", FakeClock())
    cool_down(own, 1010.0)
    assert own.peek().paused == 1010.0
    assert "Permission denied" in caplog.text


def test_a_change_that_meets_anothers_lock_is_made_as_soon_as_it_is_free(tmp_path: Path) -> None:
    clock = FakeClock()
    own, other = state(tmp_path / "p", clock), state(tmp_path / "p", clock)
    own.use(lambda record: 0.0)
    with LockedFile(tmp_path / "p"):
        cool_down(own, 1010.0)
        assert 0 < own.use(lambda record: 0.0) < 0.01
    assert own.use(lambda record: 3.0) == 3.0
    assert other.peek().paused == 1010.0


def test_changes_that_meet_anothers_lock_are_made_in_their_order(tmp_path: Path) -> None:
    own = state(tmp_path / "p", FakeClock())
    with LockedFile(tmp_path / "p"):
        for until in (1010.0, 1030.0, 1020.0):
            cool_down(own, until)
    assert own.use(lambda record: 0.0) == 0.0
    assert own.peek().paused == 1020.0


def test_a_change_of_another_process_right_after_the_own_is_seen(tmp_path: Path) -> None:
    clock = FakeClock()
    other = state(tmp_path / "p", clock)

    class Slow(type(tmp_path)):  # type: ignore[misc]
        """A path whose reader is held up: another process changes the file meanwhile."""

        def stat(self, **options: Any) -> os.stat_result:
            if other.peek().paused < 1010.0:
                cool_down(other, 1010.0)
            return Path(self).stat(**options)

    own = state(Slow(tmp_path / "p"), clock)
    assert own.use(lambda record: 0.0) == 0.0
    assert own.peek().paused == 1010.0


def test_after_a_reboot_the_calendar_carries_the_days_use_over(tmp_path: Path) -> None:
    before = FakeClock(50_000.0)

    def use(record: QuotaRecord) -> float:
        record.used["requests per day"] = [[49_000.0, 2.0]]
        record.paused = 50_010.0
        return 0.0

    FileState(tmp_path / "p", before.now, lambda: 1_000_000.0).use(use)
    after = FakeClock(100.0)
    record = FileState(tmp_path / "p", after.now, lambda: 1_000_600.0).peek()
    assert record.used == {"requests per day": [[100.0 - 600.0 - 1000.0, 2.0]]}
    assert record.paused == float("-inf")


def test_a_calendar_that_went_back_makes_nothing_younger_than_now(tmp_path: Path) -> None:
    def use(record: QuotaRecord) -> float:
        record.used["requests per day"] = [[50_000.0, 1.0]]
        return 0.0

    FileState(tmp_path / "p", FakeClock(50_000.0).now, lambda: 1_000_000.0).use(use)
    own = FileState(tmp_path / "p", FakeClock(100.0).now, lambda: 900_000.0)
    assert own.peek().used == {"requests per day": [[100.0, 1.0]]}


NUMBERS = st.floats(900.0, 1300.0) | st.floats() | st.sampled_from([10**400, -(10**400)])
RECORDS = st.fixed_dictionaries(
    {
        "v": st.just(VERSION),
        "now": st.floats(900.0, 1000.0) | NUMBERS,
        "calendar": NUMBERS,
        "paused": st.floats(900.0, 1000.0) | NUMBERS,
        "why": st.text(max_size=5),
        "used": st.lists(st.tuples(NUMBERS, st.integers(0, 3) | NUMBERS), max_size=2).map(
            lambda entries: {"requests per minute": entries}
        ),
    }
)


@given(st.binary(max_size=40) | RECORDS.map(lambda record: json.dumps(record).encode()))
def test_no_content_of_the_file_holds_anyone_up_for_longer_than_they_may_be(content: bytes) -> None:
    clock = FakeClock()
    Path("p").write_bytes(content)
    own = state(Path("p"), clock)
    assert 0 <= Cooldown(own, clock.now, LONGEST).wait()[1] <= LONGEST
    quota = Quota(ProviderSettings(requests_per_minute=1), own, clock.now)
    taken = quota.reserve(0, 0)
    assert isinstance(taken, QuotaReservation) or 0 < taken[1] <= 60.0
