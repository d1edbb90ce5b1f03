"""A stranger's run folder is opened with every command, and nothing beside it is touched.

`--fuzz-rounds N` prepares N folders instead of a few.
"""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from acting import Acting, act, write
from building import agent
from commands import WRITING, arguments, every_command
from hostile import SECRET, outside, spoil
from installing import ECHO, FAST, Shell, environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="pipes, devices and modes are POSIX's"),
]

ROUNDS = 4
SECONDS = 120  # in which each command must end, on a busy machine as well
DOCUMENTED = {
    int(code)
    for code in re.findall(
        r"^\| (\d+) \|", (Path(__file__).parents[2] / "docs" / "running.md").read_text(), re.M
    )
}
REMEMBERING = ECHO.replace("asked.append(agent)", "asked.append(agent); seen.append(text)").replace(
    "asked = []", "asked, seen = [], []"
)
GOING_ON = [("resume",), ("rerun",), ("update",)]
ELSEWHERE = {("run",), ("plugins", "new")}  # they open no run that is there


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.configure(FAST.replace('["report"]', "[]"))
    return shell


@pytest.fixture
def whole(shell: Shell, tmp_path: Path) -> Path:
    """Make a run of somebody else with everything that a run can have."""
    shell.install("echo", REMEMBERING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path / "theirs"))
        assert shell("run", "Build it", "-o", str(tmp_path / "whole")).code == 0
    script = {"writer": [[write("src/app.py", "1")], "done"]}
    act(tmp_path / "acted", [agent("writer", tools=("workspace",))], Acting(script))
    (tmp_path / "whole" / "history" / "001").mkdir(parents=True)
    (tmp_path / "whole" / "history" / "001" / "PLAN.md").write_text("# Before\n")
    for name in ("workspace", "workspace.git"):
        shutil.copytree(tmp_path / "acted" / name, tmp_path / "whole" / name)
    return tmp_path / "whole"


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    chosen: int | None = request.config.getoption("fuzz_rounds")
    return ROUNDS if chosen is None else chosen


@contextmanager
def ending(seconds: int) -> Iterator[None]:
    """Break off what waits for something that never comes."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def listed(folder: Path) -> dict[str, tuple[object, ...]]:
    """Note what lies in a folder, without opening what is no regular file."""
    seen: dict[str, tuple[object, ...]] = {}
    for place, names, files in os.walk(folder):
        for name in [*names, *files]:
            path = Path(place, name)
            status = path.lstat()
            regular = stat.S_ISREG(status.st_mode) and status.st_size < 10**7
            content = path.read_bytes() if regular else b""
            about = (status.st_ino, status.st_mtime_ns, status.st_mode)
            seen[str(path)] = (*about, content)
    return seen


def prepared(whole: Path, target: Path, elsewhere: Path, seed: str) -> list[str]:
    shutil.copytree(whole, target)
    return spoil(target, elsewhere, Random(seed))


def lines(run: Path) -> list[list[str]]:
    """List every command on a run, each as it is given and, where it would go on, trusted."""
    names = [name for name in every_command() if name not in ELSEWHERE]
    last = [name for name in names if name in WRITING]
    whole = [arguments(name, run) for name in names if name not in WRITING]
    whole += [["files", str(run), "-o", f"{run}-out"], ["report", str(run), "--json"]]
    whole += [arguments(name, run) for name in GOING_ON]
    whole += [[*arguments(name, run), "--trust"] for name in GOING_ON]
    return [*whole, *(arguments(name, run) for name in last if name not in GOING_ON)]


def try_all(shell: Shell, run: Path, elsewhere: Path, what: Sequence[str]) -> None:
    """Give every command; check how each ends, what it shows and what it leaves alone."""
    before, inside = listed(elsewhere), listed(run)
    for line in lines(run):
        case = (what, line)
        with ending(SECONDS):
            ended = shell(*line)
        shown = ended.out + ended.err
        assert ended.code in DOCUMENTED, (case, ended)
        assert "internal error" not in shown, (case, ended)
        assert "Traceback" not in shown, (case, ended)
        assert SECRET not in shown, (case, ended)
        assert not {"\x1b", "\u202e"} & set(shown), (case, ended)
        assert listed(elsewhere) == before, case
        if "--trust" not in line and line[:2] != ["runs", "trust"] and inside:
            assert listed(run) == inside, case
        else:
            inside = {}
        if line[:2] == ["runs", "trust"]:
            _check_kept(run, case)
    assert SECRET not in "".join(getattr(sys.modules["tested_echo"], "seen", []))


def _check_kept(run: Path, case: object) -> None:
    """Check that nothing of what lies elsewhere was copied into a run."""
    for path in run.rglob("*"):
        with suppress(OSError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size < 10**7:
                assert SECRET.encode() not in path.read_bytes(), (case, path)


def test_whatever_a_stranger_prepared_every_command_keeps_to_the_run(
    shell: Shell, whole: Path, tmp_path: Path, rounds: int
) -> None:
    elsewhere = outside(tmp_path / "elsewhere")
    for number in range(rounds):
        run = shell.folder / "runs" / f"received-{number}"
        run.parent.mkdir(exist_ok=True)
        try_all(shell, run, elsewhere, prepared(whole, run, elsewhere, f"archive {number}"))


def test_one_folder_of_each_kind_hides_no_other_run(
    shell: Shell, whole: Path, tmp_path: Path, rounds: int
) -> None:
    elsewhere = outside(tmp_path / "elsewhere")
    shell("run", "Build it", "-o", "runs/mine")
    for number in range(rounds):
        prepared(whole, shell.folder / "runs" / f"r{number}", elsewhere, f"other {number}")
    with ending(SECONDS):
        ended = shell("runs", "list", "--json")
    assert {row["run"]: row["yours"] for row in ended.json}["mine"] is True
    assert shell("resume", "mine").code == 0


def test_a_folder_of_very_many_files_is_opened_all_the_same(
    shell: Shell, whole: Path, tmp_path: Path
) -> None:
    elsewhere = outside(tmp_path / "elsewhere")
    run = shell.folder / "runs" / "received"
    shutil.copytree(whole, run)
    for folder in ("deliverables", "history", "workspace"):
        for number in range(10_000):
            (run / folder / f"{number}").touch()
    before = listed(elsewhere)
    for line in (["runs", "show"], ["runs", "diff"], ["files"], ["report"]):
        with ending(SECONDS):
            assert shell(*line, str(run)).code == 0
    assert listed(elsewhere) == before


def test_what_is_swapped_for_a_link_meanwhile_is_not_followed(
    shell: Shell, whole: Path, tmp_path: Path
) -> None:
    elsewhere = outside(tmp_path / "elsewhere")
    run = shell.folder / "runs" / "received"
    shutil.copytree(whole, run)
    assert shell("runs", "trust", str(run)).code == 0
    before, over = listed(elsewhere), threading.Event()
    swapped = [run / "deliverables" / "04-feature-analyst.md", run / "PLAN.md", run / "state.json"]

    def swap() -> None:
        link, file = run.parent / "link", run.parent / "file"
        while not over.is_set():
            for path in swapped:
                with suppress(OSError):
                    link.symlink_to(elsewhere / "private.md")
                    os.replace(link, path)
                    file.write_text("edited\n")
                    os.replace(file, path)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(5):
            for line in (["runs", "show"], ["runs", "diff"], ["resume"], ["runs", "list"]):
                words = [*line, *([] if "list" in line else [str(run)])]
                ended = shell(*words)
                assert ended.code in DOCUMENTED
                assert SECRET not in ended.out + ended.err
    finally:
        over.set()
        swapping.join()
    assert listed(elsewhere) == before
    assert SECRET not in "".join(sys.modules["tested_echo"].seen)
    for path in (each for each in run.rglob("*") if each.is_file() and not each.is_symlink()):
        assert SECRET.encode() not in path.read_bytes(), path


# What the system says of it.

CALLS = "open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir"
MORE = "symlink,symlinkat,link,linkat,truncate,chmod,fchmodat,utimensat,mknod,mknodat"
CHILD = """
import json, sys
from rolecall.cli.main import main
for line in json.load(open(sys.argv[1])):
    sys.argv = ["rolecall", *line]
    try:
        main()
    except SystemExit as ended:
        print(ended.code, *line, file=sys.stderr)
"""
OPENED = re.compile(r"\b(?:open|openat|openat2|creat)\((.*)\) = \d+<(.*?)>$")
NAMED = re.compile(r"\b(\w+)\((.*)\) = 0$")
PATH = re.compile(r'(?:(AT_FDCWD|\d+)(?:<(.*?)>)?, )?"((?:[^"\\]|\\.)*)"')


def touched(log: str, cwd: Path) -> Iterator[tuple[str, bool]]:
    """List the files that system calls opened or changed, and whether they may have written."""
    for line in log.splitlines():
        if opened := OPENED.search(line):
            writes = any(flag in opened[1] for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"))
            yield opened[2], writes or "creat(" in line
        elif (named := NAMED.search(line)) and not named[1].startswith("open"):
            for _, folder, name in PATH.findall(named[2]):
                place = Path(folder or cwd, name.encode().decode("unicode_escape"))
                yield os.path.normpath(place), True


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_strace_sees_nothing_opened_elsewhere(
    shell: Shell, whole: Path, tmp_path: Path, rounds: int
) -> None:
    elsewhere = outside(tmp_path / "elsewhere")
    shell.configure(f'{FAST}sandbox = "none"\n')  # whose trial would open what it confines
    (tmp_path / "tmp").mkdir()
    own = environment(
        tmp_path,
        PYTHONPATH=os.pathsep.join(sys.path),
        PYTHONDONTWRITEBYTECODE="1",
        TMPDIR=str(tmp_path / "tmp"),
    )
    ours = (shell.folder, tmp_path / "state", tmp_path / "tmp")
    allowed = (*map(str, ours), "/dev/null", "/dev/tty")
    for number in range(max(2, rounds // 4)):
        run = shell.folder / "runs" / f"received-{number}"
        run.parent.mkdir(exist_ok=True)
        what = prepared(whole, run, elsewhere, f"traced {number}")
        (tmp_path / "lines.json").write_text(json.dumps(lines(run)))
        traced = subprocess.run(
            [
                *("strace", "-f", "-y", "-qq", "-s", "4096", "-e", f"trace={CALLS},{MORE}"),
                *("-o", str(tmp_path / "log"), sys.executable, "-c", CHILD),
                str(tmp_path / "lines.json"),
            ],
            cwd=shell.folder,
            env=own,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=5 * SECONDS,
            check=False,
        )
        assert traced.returncode == 0, (what, traced.stderr[-2000:])
        assert "internal error" not in traced.stderr, (what, traced.stderr)
        assert SECRET not in traced.stdout + traced.stderr, what
        paths = list(touched((tmp_path / "log").read_text("utf-8", "replace"), shell.folder))
        assert any(writes for _, writes in paths)  # else nothing was understood
        odd = [path for path, writes in paths if writes and not path.startswith(allowed)]
        assert not odd, (what, sorted(set(odd)))
        assert not [path for path, _ in paths if path.startswith(str(elsewhere))], what
