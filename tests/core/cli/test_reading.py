"""Commands that only read write nothing, whatever state a run is in."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from acting import Acting, act, write
from building import agent
from commands import arguments, every_command, reading_commands
from installing import ECHO, Shell, environment

from rolecall.storage.run_folder import RunFolder

STATES = ("finished", "running", "interrupted")
OPTIONS = {("files",): ["-o", "{out}"], ("report",): ["--csv"], ("runs", "list"): ["--json"]}
CASSETTE = Path(__file__).parents[3] / "cassettes" / "demo.yaml"
# Runs commands in one process, and prints how each ended.
IN_TURN = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from rolecall.cli.main import main

ends = []
for line in json.loads(sys.argv[1]):
    sys.argv = ["rolecall", *line]
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as err:
        try:
            main()
        except SystemExit as ended:
            ends.append((ended.code, err.getvalue()))
print(json.dumps(ends))
"""
Seen = dict[str, tuple[int, int, int, int, bytes]]


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def prepare(shell: Shell) -> Path:
    """Make a run with files, history and a change that it replaced."""
    shell.install("echo", ECHO)
    shell("run", "Build it")
    shell("update", "Change it")
    run = (shell.folder / "runs" / "latest").resolve()
    shutil.copy(CASSETTE, run / "cassette.yaml")
    acted = shell.folder.parent / "acted"
    act(
        acted,
        [agent("writer", tools=("workspace",))],
        Acting({"writer": [[write("src/app.py", "1")], "done"]}),
    )
    for name in ("workspace", "workspace.git"):
        shutil.copytree(acted / name, run / name)
    return run


@contextmanager
def put_in(state: str, run: Path) -> Iterator[None]:
    """Leave a run finished, hold it as who works on it does, or break it off."""
    if state == "running":
        with RunFolder(run):
            yield
        return
    if state == "interrupted":
        for name, text in (("state.json", "done"), ("journal.jsonl", None)):
            content = (run / name).read_text("utf-8")
            whole = content.replace(f'"{text}"', '"running"') if text else content[:-20]
            (run / name).write_text(whole, "utf-8")
        (run / ".holder").write_text("process 1, since 2026-01-01 00:00:00\n")
    yield


def look(*folders: Path) -> Seen:
    """Note of all that lies in folders what would change if it were written or replaced."""
    seen: Seen = {}
    for folder in folders:
        for path in (folder, *sorted(folder.rglob("*"))):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            seen[str(path)] = (
                status.st_mode,
                status.st_ino,
                status.st_mtime_ns,
                status.st_ctime_ns if os.name == "posix" else 0,
                content,
            )
    return seen


@pytest.mark.parametrize("state", STATES)
def test_who_only_reads_writes_nothing(shell: Shell, state: str, tmp_path: Path) -> None:
    run = prepare(shell)
    out = tmp_path / "out"
    with put_in(state, run):
        for command in reading_commands():
            before = look(shell.folder, Path.home())
            line = [*arguments(command, run), *OPTIONS.get(command, ())]
            ended = shell(*(word.replace("{out}", str(out)) for word in line))
            assert ended.code in (0, 1), (line, ended)
            assert "internal error" not in ended.err
            after = look(shell.folder, Path.home())
            assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == (
                set()
            ), line
    assert (out / "src" / "app.py").read_text() == "1"


def test_a_running_run_is_shown_as_it_is(shell: Shell) -> None:
    run = prepare(shell)
    with put_in("running", run):
        ended = shell("runs", "show", str(run))
    assert ended.code == 0
    assert "Build it\n" in ended.out
    assert "feature-analyst" in ended.out


def test_completion_writes_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(shell)
    before = look(shell.folder, Path.home())
    monkeypatch.setenv("_ROLECALL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "rolecall resume ")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert "build-it" in shell("resume").out
    assert look(shell.folder, Path.home()) == before


def end_without_rights(lines: list[list[str]], folder: Path, home: Path) -> list[tuple[int, str]]:
    """Run commands as someone for whom modes count; return exit codes and errors."""
    plain: list[str] = []
    if os.geteuid() == 0:  # who may write everything; without its capabilities it may not
        setpriv = shutil.which("setpriv") or pytest.skip("root writes everywhere, without setpriv")
        plain = [setpriv, "--bounding-set=-all", "--inh-caps=-all"]
    ran = subprocess.run(
        [*plain, sys.executable, "-c", IN_TURN, json.dumps(lines)],
        cwd=folder,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [(code, err) for code, err in json.loads(ran.stdout)]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_run_that_cannot_be_read_hides_no_other_and_is_named(
    shell: Shell, tmp_path: Path
) -> None:
    run = prepare(shell)
    locked = run.parent / "locked"
    shutil.copytree(run, locked)
    locked.chmod(0)
    lines = [
        ["runs", "list"],
        ["runs", "show", str(run)],
        ["runs", "show", str(locked)],
        ["runs", "rm", str(locked), "--yes"],
    ]
    try:
        ends = end_without_rights(lines, shell.folder, tmp_path)
    finally:
        locked.chmod(0o700)
    assert [code for code, _ in ends[:2]] == [0, 0]
    for code, err in ends[2:]:
        assert code in (1, 2)
        assert "locked" in err
        assert "internal error" not in err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_run_that_cannot_be_removed_stays_whole(shell: Shell, tmp_path: Path) -> None:
    run = prepare(shell)
    before = look(run)
    run.parent.chmod(0o500)
    try:
        ((code, err),) = end_without_rights(
            [["runs", "rm", str(run), "--yes"]], shell.folder, tmp_path
        )
    finally:
        run.parent.chmod(0o700)
    assert code == 1
    assert "cannot be removed: Permission denied" in err
    assert look(run).keys() == before.keys()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_what_may_not_be_written_is_read_all_the_same(shell: Shell, tmp_path: Path) -> None:
    run = prepare(shell)
    tree = [shell.folder, *shell.folder.rglob("*")]
    for path in tree:
        if not path.is_symlink():
            path.chmod(0o500 if path.is_dir() else 0o400)
    lines = [arguments(command, run) for command in reading_commands()]
    try:
        ends = end_without_rights(lines, shell.folder, tmp_path)
        assert len(ends) == len(lines)
        for line, (code, err) in zip(lines, ends, strict=True):
            assert code in (0, 1), (line, err)
            assert "internal error" not in err
    finally:
        for path in tree:
            if not path.is_symlink():
                path.chmod(0o700)


def test_every_command_is_tried() -> None:
    assert {("runs", "show"), ("cassettes", "show"), ("agents",), ("resume",)} <= set(
        every_command()
    )


def test_a_folder_of_reuse_that_is_none_is_named_before_the_run_begins(shell: Shell) -> None:
    shell.configure('[tool.rolecall]\nreuse = ["nowhere"]\n')
    ended = shell("run", "Build it.", "--offline")
    assert ended.code == 2
    assert "tool.rolecall.reuse: nowhere is no folder of runs; take it out" in ended.err
    assert not (shell.folder / "runs").exists()
