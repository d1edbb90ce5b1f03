"""A run's folder: its files, its one writer, and where it is found."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Barrier

import pytest
from building import call_started
from hypothesis import given
from hypothesis import strategies as st

from rolecall import RunBusy, RunEnded, RunError, UsageError
from rolecall.storage.run_folder import RunFolder
from rolecall.storage.run_index import StateKeeper, list_runs, past_history, read_state
from rolecall.storage.run_lock import is_busy
from rolecall.storage.run_paths import claim_folder, find_run, name_run, point_latest
from rolecall.storage.run_toml import RunToml

NOON = datetime(2026, 11, 23, 12, 0, 5)


def create(path: Path) -> RunFolder:
    return RunFolder.create(path, "Build it.", {"flags": ["--only=a"]})


@pytest.mark.parametrize(
    ("request_text", "name"),
    [
        ("Build a URL shortener!", "20261123-120005-build-a-url-shortener"),
        ("Überprüfe die Straße", "20261123-120005-uberprufe-die-strae"),
        ("何かを作る", "20261123-120005-run"),
        ("../../etc/passwd", "20261123-120005-etc-passwd"),
        ("word " * 30, "20261123-120005" + "-word" * 9),
        ("x" * 60, "20261123-120005-run"),
    ],
)
def test_a_runs_name_is_its_time_and_the_requests_first_words(request_text: str, name: str) -> None:
    assert name_run(request_text, NOON) == name


@given(st.text())
def test_a_runs_name_is_fit_for_every_file_system(request_text: str) -> None:
    name = name_run(request_text, NOON)
    assert re.fullmatch(r"20261123-120005(-[a-z0-9]+)+", name)
    assert len(name) <= 80


def test_a_new_run_has_its_request_and_what_it_was_started_with(tmp_path: Path) -> None:
    with create(tmp_path / "runs" / "one") as folder:
        assert folder.request == "Build it.\n"
        assert RunToml.read(folder.path).flags == ("--only=a",)
        assert sorted(path.name for path in folder.path.iterdir()) == [
            ".holder",
            ".lock",
            "journal.jsonl",
            "request.md",
            "run.toml",
        ]


def test_an_empty_folder_may_be_a_new_run(tmp_path: Path) -> None:
    create(tmp_path).close()
    assert (tmp_path / "journal.jsonl").is_file()


def test_a_folder_with_something_in_it_is_no_place_for_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(UsageError, match="is there already and is not an empty folder"):
        create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_file_is_no_place_for_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file is there already"):
        create(tmp_path / "file")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"run/request\.md: cannot be written: Not a directory"):
        create(tmp_path / "file" / "run")


def test_a_second_writer_is_turned_away(tmp_path: Path) -> None:
    with (
        create(tmp_path),
        pytest.raises(
            RunBusy,
            match=r"another rolecall \(process \d+, since .*\)",
        ),
    ):
        RunFolder(tmp_path)


def test_the_next_writer_is_let_in(tmp_path: Path) -> None:
    create(tmp_path).close()
    RunFolder(tmp_path).close()


def test_a_writer_that_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    create(tmp_path).close()
    code = """
import os, sys
from pathlib import Path
from threading import Barrier
from rolecall.storage.run_folder import RunFolder
from rolecall.storage.run_toml import RunToml

folder = RunFolder(Path(sys.argv[1]))
os._exit(3)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == 3
    RunFolder(tmp_path).close()


def test_a_damaged_journal_keeps_nobody_out_afterwards(tmp_path: Path) -> None:
    create(tmp_path).close()
    (tmp_path / "journal.jsonl").write_bytes(b"damaged\n")
    with pytest.raises(RunError, match="line 1 is damaged"):
        RunFolder(tmp_path)
    (tmp_path / "journal.jsonl").write_bytes(b"")
    RunFolder(tmp_path).close()


@pytest.mark.parametrize("content", [None, "  \n"])
def test_a_request_that_is_gone_is_named(tmp_path: Path, content: str | None) -> None:
    with create(tmp_path) as folder:
        (tmp_path / "request.md").unlink()
        if content is not None:
            (tmp_path / "request.md").write_text(content, "utf-8")
        with pytest.raises(RunError, match=r"request\.md: there is no request"):
            _ = folder.request


def test_a_torn_last_line_is_told(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        folder.store.notify(call_started())
        assert folder.torn == 0
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"v":1,"ty')
    with RunFolder(tmp_path) as folder:
        assert folder.torn == 10


def test_a_file_is_saved_whole_over_the_old_one(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        folder.save("deliverables/01-a.md", "first\n\n\n")
        assert folder.save("deliverables/01-a.md", "second") == "deliverables/01-a.md"
    assert [path.name for path in (tmp_path / "deliverables").iterdir()] == ["01-a.md"]
    assert (tmp_path / "deliverables" / "01-a.md").read_text("utf-8") == "second\n"


def test_a_file_that_cannot_be_saved_is_named_and_leaves_nothing_half(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        (tmp_path / "PLAN.md").mkdir()
        with pytest.raises(RunError, match=r"PLAN\.md: cannot be written: Is a directory"):
            folder.save("PLAN.md", "text")
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_that_is_gone_is_named_as_well(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        (tmp_path / "deliverables").touch()
        with pytest.raises(RunError, match=r"01-a\.md: cannot be written: Not a directory"):
            folder.save("deliverables/01-a.md", "text")


def test_a_run_is_found_by_its_path_and_by_its_name(tmp_path: Path) -> None:
    create(tmp_path / "one").close()
    assert find_run(tmp_path, "one") == tmp_path / "one"
    assert find_run(Path("elsewhere"), str(tmp_path / "one")) == tmp_path / "one"


def test_the_latest_run_is_found_without_a_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        create(tmp_path / name).close()
        point_latest(tmp_path / name)
    assert find_run(tmp_path, None) == tmp_path / "two"
    assert find_run(tmp_path, "latest") == tmp_path / "two"


def test_the_latest_run_is_found_where_links_are_barred(tmp_path: Path) -> None:
    create(tmp_path / "one").close()
    (tmp_path / "latest").write_text("one", "utf-8")
    assert find_run(tmp_path, None) == tmp_path / "one"


def test_pointing_to_the_latest_run_leaves_nothing_else(tmp_path: Path) -> None:
    create(tmp_path / "one").close()
    point_latest(tmp_path / "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "one"]


def test_a_folder_that_is_called_latest_is_named_and_left_alone(tmp_path: Path) -> None:
    create(tmp_path / "one").close()
    create(tmp_path / "latest").close()
    with pytest.raises(RunError, match=r"latest: cannot be written: Is a directory"):
        point_latest(tmp_path / "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "one"]


def test_without_any_run_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no run in .*; start one with: rolecall run"):
        find_run(tmp_path, None)


def test_a_folder_without_a_journal_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(UsageError, match=r"^one is no run: it has no journal\.jsonl"):
        find_run(tmp_path, "one")


def test_a_second_run_of_the_same_second_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        names.append(claim_folder(tmp_path, "now").name)
    assert names == ["now", "now-2", "now-3"]


def test_a_file_of_the_run_is_read_and_one_that_is_not_there_is_none(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        folder.save("PLAN.md", "the plan")
        assert folder.read("PLAN.md") == "the plan\n"
        assert folder.read("deliverables/01-a.md") is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        (tmp_path / "PLAN.md").write_bytes(b"\xff\xfe")
        with pytest.raises(RunError, match=r"PLAN\.md: is no UTF-8 text"):
            folder.read("PLAN.md")


def test_runs_that_begin_at_once_have_a_folder_each(tmp_path: Path) -> None:
    start = Barrier(8)

    def begin() -> Path:
        start.wait()
        with RunFolder.begin(tmp_path, "Build it.", {}) as folder:
            return folder.path

    with ThreadPoolExecutor(8) as threads:
        begun = [each.result() for each in [threads.submit(begin) for _ in range(8)]]
    assert len(set(begun)) == 8
    assert find_run(tmp_path, None) in begun
    assert sorted(tmp_path.iterdir()) == sorted([*begun, tmp_path / "latest"])


def test_a_folder_of_runs_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(RunError, match=r"runs/now: cannot be written: File exists"):
        claim_folder(tmp_path / "runs", "now")


# What somebody else prepared.


def outside(folder: Path) -> dict[str, bytes]:
    """Read all that lies beside a run's folder."""
    beside = (path for path in folder.parent.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path): path.read_bytes() for path in beside if not path.is_relative_to(folder)}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Make a run's folder, and files beside it that it must not reach."""
    folder = tmp_path / "run"
    create(folder).close()
    (tmp_path / "private").write_text("private")
    (tmp_path / "elsewhere").mkdir()
    return folder


LINKED = [
    ".holder",
    ".lock",
    "journal.jsonl",
    "state.json",
    "request.md",
    "run.toml",
    "PLAN.md",
    "PLAN.md.part",
    "report.md",
    "deliverables",
    "deliverables/01-a.md",
    "history",
    "history/001",
]


@pytest.mark.parametrize("target", ["private", "new", "elsewhere"])
@pytest.mark.parametrize("name", LINKED)
def test_no_link_in_a_run_leads_out_of_it(hostile: Path, name: str, target: str) -> None:
    path = hostile / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(hostile.parent / target)
    before = outside(hostile)
    with suppress(RunError), RunFolder(hostile) as folder:
        for file in ("PLAN.md", "deliverables/01-a.md"):
            with suppress(RunError):
                assert folder.read(file) != "private"
            with suppress(RunError):
                folder.revise(file, "new")
        with suppress(RunError):
            assert "private" not in folder.request
        with suppress(RunError):
            StateKeeper(folder).notify(RunEnded(at=1.0, done=1, failed=0, blocked=0))
    with suppress(RunError):
        RunToml.read(hostile)
    read_state(hostile)
    is_busy(hostile)
    with suppress(RunError, UsageError):
        assert find_run(hostile.parent, "run") == hostile
    assert outside(hostile) == before


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
@pytest.mark.parametrize("name", ["journal.jsonl", ".lock", "request.md", "run.toml", "PLAN.md"])
def test_a_pipe_in_a_files_place_holds_nobody_up(hostile: Path, name: str) -> None:
    (hostile / name).unlink(missing_ok=True)
    os.mkfifo(hostile / name)
    assert read_state(hostile).state in ("unknown", "running", "interrupted")

    def use() -> None:
        find_run(hostile.parent, "run")
        RunToml.read(hostile)
        with RunFolder(hostile) as folder:
            folder.read("request.md")
            folder.read("PLAN.md")

    with pytest.raises((RunError, UsageError), match=f"{name}: is no regular file|is no run"):
        use()


@pytest.mark.parametrize("leads_to", ["../private", "/etc", "..", ".", "one/two"])
def test_latest_leads_to_a_run_beside_it_and_nowhere_else(hostile: Path, leads_to: str) -> None:
    (hostile.parent / "latest").symlink_to(leads_to)
    with pytest.raises(RunError, match=r"latest: leads to .* and not to a run beside it"):
        find_run(hostile.parent, None)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"figures": ' * 5_000,
        '{"state": 3}',
        '{"cost": NaN}',
        '{"flags": [3]}',
        '{"figures": {"a": {"seconds": "x"}}}',
        "null",
        "x" * 5 * 1024**2,
    ],
)
def test_a_state_that_is_none_hides_no_other_run(hostile: Path, content: str) -> None:
    create(hostile.parent / "other").close()
    (hostile / "state.json").write_text(content)
    states = dict(list_runs(hostile.parent))
    assert states[hostile].state == "unknown"
    assert hostile.parent / "other" in states
    assert past_history(hostile.parent, ()).agents == {}


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5_000, "flags = [3]", 'assign = {a = "x"}', "budget = nan", "only = 3"]
)
def test_settings_of_a_run_that_are_none_are_one_clear_line(hostile: Path, text: str) -> None:
    (hostile / "run.toml").write_text(text)
    with pytest.raises(RunError, match=r"^[^\n]*run\.toml: [^\n]+$") as raised:
        RunToml.read(hostile)
    assert len(str(raised.value)) < 600


def test_a_state_that_cannot_be_written_ends_no_run(
    hostile: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RunFolder(hostile) as folder:
        (hostile / "state.json").mkdir()
        keeper = StateKeeper(folder)
        for _ in range(2):
            keeper.notify(RunEnded(at=1.0, done=1, failed=0, blocked=0))
    assert caplog.text.count("state.json: cannot be written") == 1


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_run_is_for_its_owner_alone(tmp_path: Path) -> None:
    with RunFolder.begin(tmp_path / "runs", "Build it", {}) as folder:
        folder.save("deliverables/01-a.md", "text")
        for path in (folder.path, *folder.path.rglob("*")):
            allowed = 0o700 if path.is_dir() else 0o600
            assert path.stat().st_mode & 0o777 == allowed, path


def test_who_only_looks_writes_nothing(hostile: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (hostile, *hostile.rglob("*"))}
    read_state(hostile)
    is_busy(hostile)
    RunToml.read(hostile)
    find_run(hostile.parent, "run")
    list_runs(hostile.parent)
    assert {path: path.stat().st_mtime_ns for path in (hostile, *hostile.rglob("*"))} == before


def test_a_lock_with_a_second_name_elsewhere_is_not_taken(hostile: Path) -> None:
    (hostile / ".lock").unlink(missing_ok=True)
    os.link(hostile.parent / "private", hostile / ".lock")
    with pytest.raises(RunError, match=r"\.lock: has a second name elsewhere"):
        RunFolder(hostile)
    assert not is_busy(hostile)
    assert (hostile.parent / "private").read_text() == "private"
