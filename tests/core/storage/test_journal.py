"""The append-only file: what is torn is dropped, what is damaged is named, the rest is kept."""

import asyncio
import json
import os
import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import pytest
from building import full_disk
from hypothesis import given
from hypothesis import strategies as st

from rolecall import JournalCorrupt, RunError, Stop
from rolecall.storage.journal import Journal, read
from rolecall.storage.records import AnswerRecord, ForgottenRecord

ANSWERS = st.builds(
    AnswerRecord,
    step=st.text(),
    agent=st.text(),
    text=st.text(),
    stop=st.sampled_from(Stop),
    route=st.text(),
    cost=st.none() | st.floats(0.0, 1e12),
    call=st.integers(0, 10**9),
)
RECORDS = st.lists(ANSWERS, min_size=1, max_size=5)


def noted(*agents: str) -> ForgottenRecord:
    return ForgottenRecord(agents=agents)


def written(records: list[Any]) -> bytes:
    with TemporaryDirectory() as folder, Journal(Path(folder, "journal.jsonl")) as journal:
        for record in records:
            journal.append(record)
        return journal.path.read_bytes()


def line(text: str) -> bytes:
    """Write a line as a journal has it, whatever it says."""
    return b'%b,"crc":"%08x"}\n' % (text.encode(), crc32(text.encode()))


@given(RECORDS)
def test_what_was_appended_is_read_back_whatever_it_says(records: list[Any]) -> None:
    content = written(records)
    assert read(content) == (records, len(content))


@given(RECORDS)
def test_every_record_is_one_line_of_utf_8_and_json(records: list[Any]) -> None:
    lines = written(records).decode("utf-8").split("\n")
    assert len(lines) == len(records) + 1
    assert all(json.loads(line)["type"] == "answered" for line in lines[:-1])


@pytest.mark.parametrize("text", ["\ud83d", "\ude00 alone", "a\x85b\u2028c\x0bd\x00"])
def test_a_text_that_is_hardly_unicode_is_kept_as_well(text: str) -> None:
    assert read(written([noted(text)]))[0] == [noted(text)]


@given(RECORDS, st.data())
def test_a_cut_off_tail_loses_the_torn_line_alone(records: list[Any], data: st.DataObject) -> None:
    content = written(records)
    cut = content[: data.draw(st.integers(0, len(content)))]
    whole = cut.count(b"\n")
    assert read(cut) == (records[:whole], cut.rfind(b"\n") + 1)


@given(RECORDS, st.data())
def test_a_changed_byte_is_found_and_its_line_named(
    records: list[Any], data: st.DataObject
) -> None:
    content = bytearray(written(records))
    place = data.draw(st.integers(0, len(content) - 2))
    line = content[:place].count(b"\n") + 1
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    with pytest.raises(JournalCorrupt, match=rf"^journal: line {line} is damaged"):
        read(bytes(content))


def test_a_line_end_that_became_another_one_is_damage_too() -> None:
    content = written([noted("1"), noted("2")]).replace(b"\n", b"\r", 1)
    with pytest.raises(JournalCorrupt, match="line 1 is damaged"):
        read(content)


def test_a_line_taken_out_of_another_place_is_damage_only_to_itself() -> None:
    content = written([noted("1"), noted("2")])
    with pytest.raises(JournalCorrupt, match=r"line 3 is damaged; restore the file .* or delete"):
        read(content + b'{"v":1,"type":"by hand"}\n')


def test_a_record_of_a_newer_rolecall_says_to_update() -> None:
    with pytest.raises(JournalCorrupt, match="line 1 was written by a newer rolecall; update"):
        read(line('{"v":2,"type":"of the future"'))


def test_a_record_of_a_type_not_known_here_is_skipped() -> None:
    later = line('{"v":1,"type":"of_a_later_version","agents":3')
    content = written([noted("1")]) + later + written([noted("2")])
    assert read(content) == ([noted("1"), noted("2")], len(content))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ('{"v":1,"type":"forgotten"', r"forgotten\.agents is missing"),
        ('{"v":1,"type":"run","agents":[],"when":"noon"', r"run\.when must be a number"),
        ('{"type":"run","agents":[],"when":1.5', "has no version, but None"),
    ],
)
def test_a_record_that_is_whole_and_makes_no_sense_is_named_with_its_field(
    record: str, why: str
) -> None:
    content = written([noted("1")]) + line(record)
    with pytest.raises(JournalCorrupt, match=rf"^runs/one: line 2 .*{why}.*; restore the file"):
        read(content, "runs/one")


def test_a_journal_goes_on_after_its_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    content = written([noted("1"), noted("2")])
    path.write_bytes(content[:-5])
    with Journal(path) as journal:
        assert journal.records == [noted("1")]
        assert journal.torn == len(content[:-5]) - content.index(b"\n") - 1
        journal.append(noted("3"))
    with Journal(path) as journal:
        assert journal.records == [noted("1"), noted("3")]
        assert journal.torn == 0


def test_a_damaged_journal_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    content = written([noted("1")]).replace(b"1", b"2", 1)
    path.write_bytes(content)
    with pytest.raises(JournalCorrupt, match=r"^journal\.jsonl: line 1"):
        Journal(path)
    assert path.read_bytes() == content


def test_a_record_that_the_full_disk_cuts_leaves_the_journal_whole(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(noted("1"))
        whole = journal.path.read_bytes()
        with (
            full_disk(at=len(whole) + 10),
            pytest.raises(RunError, match=r"journal\.jsonl: cannot be written: "),
        ):
            journal.append(noted("long" * 100))
        assert journal.path.read_bytes() == whole
        journal.append(noted("2"))
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert journal.records == [noted("1"), noted("2")]


def test_a_journal_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "journal.jsonl"
    with pytest.raises(RunError, match=f"^{re.escape(str(missing))}: cannot be opened: No such"):
        Journal(missing)


def test_many_that_flush_at_one_time_share_a_flush_and_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    real = os.fsync
    went_on = threading.Event()

    def slow(handle: int) -> None:
        assert went_on.wait(10)
        real(handle)
        flushed.append(handle)

    async def write(journal: Journal, number: int) -> None:
        journal.append(noted(str(number)), wait=False)
        before = len(flushed)
        await journal.flush()
        assert len(flushed) > before

    async def write_many(journal: Journal) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(50):
                tasks.create_task(write(journal, number))
            await asyncio.sleep(0)  # all of them write, and wait
            await asyncio.sleep(0)
            went_on.set()

    with Journal(tmp_path / "journal.jsonl") as journal:
        monkeypatch.setattr(os, "fsync", slow)
        asyncio.run(write_many(journal))
    assert len(flushed) <= 2


def test_a_flush_that_fails_is_told_to_all_who_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    async def flush_twice(journal: Journal) -> list[object]:
        journal.append(noted("a"), wait=False)
        both = (journal.flush(), journal.flush())
        return list(await asyncio.gather(*both, return_exceptions=True))

    journal = Journal(tmp_path / "journal.jsonl")
    monkeypatch.setattr(os, "fsync", fail)
    for error in asyncio.run(flush_twice(journal)):
        assert isinstance(error, RunError)
    monkeypatch.undo()
    journal.close()


def test_a_journal_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"journal.jsonl: cannot be read: is a link"):
        Journal(tmp_path / "journal.jsonl")


def test_a_record_that_is_nested_too_deep_is_damage(tmp_path: Path) -> None:
    body = b'{"v":1,"type":"forgotten","agents":' + b"[" * 100_000
    line = body + f',"crc":"{crc32(body):08x}"}}\n'.encode()
    (tmp_path / "journal.jsonl").write_bytes(line)
    with pytest.raises(JournalCorrupt, match="line 1 holds no record"):
        Journal(tmp_path / "journal.jsonl")
