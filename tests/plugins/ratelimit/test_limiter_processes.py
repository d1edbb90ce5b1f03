"""The built-in limiter over processes, in real time; each test starts a few interpreters."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

INTERVAL = 0.02
PROCESSES = 4
PROGRAM = """
import asyncio, sys, time
from rolecall import Call, Settings
from rolecall_plugins.ratelimit import rolecall_limiters

state, interval, calls = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
(limiter,) = rolecall_limiters(Settings(interval=interval, state=state))

async def start(number):
    await limiter.acquire(Call(number=number, agent="tester", provider="one", model="m"))
    print(time.monotonic(), flush=True)

async def start_all():
    await asyncio.gather(*map(start, range(calls)))

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(start_all())
"""

not_windows = pytest.mark.skipif(sys.platform == "win32", reason="a signal of other systems")


class Process:
    """An interpreter whose calls share the state of others; `go` lets it begin."""

    def __init__(self, state: Path, calls: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(state), str(INTERVAL), str(calls)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.said = ""
        self._times: list[float] | None = None

    def ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def times(self) -> list[float]:
        """Return when its calls started, once it has ended."""
        if self._times is None:
            out, self.said = self._process.communicate(timeout=60)
            self._times = [float(line) for line in out.splitlines()]
        return self._times


Doing = Callable[[list[Process]], object]


def run(state: Path, calls: int, meanwhile: Doing) -> tuple[list[list[float]], list[str]]:
    """Start processes together; return when their calls started, and what they said."""
    processes = [Process(state, calls) for _ in range(PROCESSES)]
    for process in processes:
        process.ready()
    for process in processes:
        process.go()
    meanwhile(processes)
    times = [process.times() for process in processes]
    return times, [process.said for process in processes]


def apart(times: list[list[float]]) -> bool:
    """Check whether all calls started an interval apart.

    Where the system holds a process up right after a start, the time it noted is too late: a
    run that seems too quick is worth another one.
    """
    together = sorted(time for each in times for time in each)
    return min(later - sooner for sooner, later in pairwise(together)) >= 0.99 * INTERVAL


def after(intervals: float, doing: Doing) -> Doing:
    def wait_and_do(processes: list[Process]) -> None:
        time.sleep(intervals * INTERVAL)
        doing(processes)

    return wait_and_do


def test_processes_keep_the_distance(tmp_path: Path) -> None:
    runs = (run(tmp_path / str(number), 5, lambda _: None)[0] for number in range(4))
    assert any(apart(times) for times in runs)


def test_a_process_that_is_killed_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    def runs() -> Iterator[list[list[float]]]:
        for number in range(4):
            kill = after(8, lambda processes: processes[0].kill())
            times, said = run(tmp_path / str(number), 5, kill)
            assert [len(each) for each in times[1:]] == [5] * (PROCESSES - 1)
            assert said[1:] == [""] * (PROCESSES - 1)
            yield times

    assert any(apart(times) for times in runs())


@not_windows
def test_a_process_that_is_stopped_stops_no_other(tmp_path: Path) -> None:
    def stop(processes: list[Process]) -> None:
        stopped, *others = processes
        os.kill(stopped.pid, signal.SIGSTOP)
        for process in others:
            assert len(process.times()) == 5
        os.kill(stopped.pid, signal.SIGCONT)

    times, _ = run(tmp_path, 5, after(4, stop))
    assert len(times[0]) == 5


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def scribble(path: Path) -> None:
    if path.is_file():
        path.write_bytes(random.randbytes(random.choice([0, 16, 4096])))


def make_a_folder(path: Path) -> None:
    remove(path)
    (path / "inside").mkdir(parents=True)


def make_a_link(path: Path) -> None:
    remove(path)
    path.symlink_to("/dev/zero")


def make_a_pipe(path: Path) -> None:
    remove(path)
    os.mkfifo(path)


def anything(path: Path) -> None:
    random.choice([remove, scribble, make_a_folder, make_a_link, make_a_pipe])(path)


def again_and_again(damage: Callable[[Path], None], folder: Path) -> Doing:
    """Damage all that lies in a folder in every half of an interval, while processes run."""

    def strike(processes: list[Process]) -> None:
        while any(process.is_running() for process in processes):
            time.sleep(INTERVAL / 2)
            with suppress(OSError):  # somebody may be faster
                for path in folder.iterdir():
                    damage(path)

    return strike


@not_windows
@pytest.mark.parametrize("damage", [remove, scribble, anything])
def test_whatever_is_done_to_the_file_processes_keep_the_distance(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    def runs() -> Iterator[list[list[float]]]:
        for number in range(4):
            folder = tmp_path / str(number)
            times, said = run(folder, 5, again_and_again(damage, folder))
            assert [len(each) for each in times] == [5] * PROCESSES
            assert all(words.count("\n") <= 1 for words in said)
            yield times

    assert any(apart(times) for times in runs())


@not_windows
def test_where_the_folder_cannot_be_used_each_process_warns_once_and_goes_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "state").write_text("no folder")
    times, said = run(tmp_path / "state", 5, lambda _: None)
    assert [len(each) for each in times] == [5] * PROCESSES
    assert all(
        words.startswith(str(tmp_path / "state")) and words.count("\n") == 1 for words in said
    )
