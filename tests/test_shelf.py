"""What processes tell each other of a provider, whatever happens to the file."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from rolecall.testing import FakeClock
from rolecall_plugins._shelf import Record, SharedShelf


def shelf(path: Path, clock: FakeClock, calendar: float = 0.0) -> SharedShelf:
    return SharedShelf(path, clock.now, lambda: calendar + clock.now())


def pause(own: SharedShelf, until: float) -> None:
    def change(record: Record) -> None:
        record.paused, record.why = until, "429"

    own.amend(change)


def test_a_change_is_seen_by_another_process(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = shelf(tmp_path / "s" / "p", clock), shelf(tmp_path / "s" / "p", clock)
    assert two.look() == Record()
    pause(one, 1010.0)
    assert (two.look().paused, two.look().why) == (1010.0, "429")


def test_a_change_that_has_to_wait_is_not_kept(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = shelf(tmp_path / "p", clock), shelf(tmp_path / "p", clock)
    assert one.use(lambda record: 3.0) == 3.0
    assert not (tmp_path / "p").read_bytes()
    assert two.use(lambda record: 0.0) == 0.0


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"v":1}', b'{"v":2}', b"\xff\xfe", b'{"v":1,"used":{"a":[1]}}'],
)
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p").write_bytes(content)
    own = shelf(tmp_path / "p", FakeClock())
    assert own.look() == Record()
    pause(own, 1010.0)
    assert json.loads((tmp_path / "p").read_bytes())["paused"] == 1010.0


def test_a_deleted_file_is_written_anew(tmp_path: Path) -> None:
    own = shelf(tmp_path / "p", FakeClock())
    pause(own, 1010.0)
    (tmp_path / "p").unlink()
    pause(own, 1020.0)
    assert json.loads((tmp_path / "p").read_bytes())["paused"] == 1020.0


def test_a_folder_that_cannot_be_used_is_said_once_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    own = shelf(tmp_path / "file" / "p", FakeClock())
    pause(own, 1010.0)
    pause(own, 1020.0)
    assert own.look().paused == 1020.0
    assert len(caplog.records) == 1


def test_a_change_that_meets_anothers_lock_is_made_as_soon_as_it_is_free(tmp_path: Path) -> None:
    clock = FakeClock()
    own, other = shelf(tmp_path / "p", clock), shelf(tmp_path / "p", clock)
    own.use(lambda record: 0.0)
    fd = os.open(tmp_path / "p", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    pause(own, 1010.0)
    assert 0 < own.use(lambda record: 0.0) < 0.01
    os.close(fd)
    assert own.use(lambda record: 0.0) == 0.0
    assert other.look().paused == 1010.0


def test_after_a_reboot_the_calendar_carries_the_days_use_over(tmp_path: Path) -> None:
    before = FakeClock(50_000.0)

    def use(record: Record) -> float:
        record.used["requests per day"] = [[49_000.0, 2.0]]
        record.paused = 50_010.0
        return 0.0

    SharedShelf(tmp_path / "p", before.now, lambda: 1_000_000.0).use(use)
    after = FakeClock(100.0)
    record = SharedShelf(tmp_path / "p", after.now, lambda: 1_000_600.0).look()
    assert record.used == {"requests per day": [[100.0 - 600.0 - 1000.0, 2.0]]}
    assert record.paused == float("-inf")


def test_a_calendar_that_went_back_makes_nothing_younger_than_now(tmp_path: Path) -> None:
    def use(record: Record) -> float:
        record.used["requests per day"] = [[50_000.0, 1.0]]
        return 0.0

    SharedShelf(tmp_path / "p", FakeClock(50_000.0).now, lambda: 1_000_000.0).use(use)
    own = SharedShelf(tmp_path / "p", FakeClock(100.0).now, lambda: 900_000.0)
    assert own.look().used == {"requests per day": [[100.0, 1.0]]}
