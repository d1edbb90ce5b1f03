"""The built-in limiter over processes, in real time; each test starts a few interpreters."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from rolecall_plugins.ratelimit.lock import LockedFile

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


def lose(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@not_windows
@pytest.mark.parametrize("damage", [lose, empty])
def test_damage_to_the_file_stops_no_process(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    times, said = run(tmp_path, 5, after(4, lambda _: damage(tmp_path / "pacing")))
    assert [len(each) for each in times] == [5] * PROCESSES
    assert said == [""] * PROCESSES


def replace(path: Path) -> None:
    while not path.is_dir():
        path.unlink(missing_ok=True)
        with suppress(FileExistsError):  # a process that just asks makes the file again
            path.mkdir()


def hold(path: Path) -> None:
    while True:
        try:
            with LockedFile(path):
                time.sleep(1.5)
            return
        except BlockingIOError:
            pass


@not_windows
@pytest.mark.parametrize("spoil", [replace, hold])
def test_where_the_file_cannot_be_used_each_process_warns_once_and_goes_on(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    times, said = run(tmp_path, 10, after(4, lambda _: spoil(tmp_path / "pacing")))
    assert [len(each) for each in times] == [10] * PROCESSES
    assert all(
        words.startswith(str(tmp_path / "pacing")) and words.count("\n") == 1 for words in said
    )
