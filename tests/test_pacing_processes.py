"""The built-in limiter over processes, in real time; each test starts a few interpreters."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

INTERVAL = 0.02
PROGRAM = """
import asyncio, sys, time
from rolecall import Call, Settings
from rolecall_plugins.pacing import rolecall_limiters

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

    def __init__(self, state: Path, interval: float, calls: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(state), str(interval), str(calls)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.warnings = ""

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
        """Give when its calls started, once it has ended."""
        out, self.warnings = self._process.communicate(timeout=60)
        return [float(line) for line in out.split("\n")[:-1]]


def run(
    state: Path,
    calls: int,
    meanwhile: Callable[[list[Process]], object] = lambda processes: None,
    interval: float = INTERVAL,
    many: int = 4,
) -> list[list[float]]:
    """Start processes together, do something meanwhile, and give when their calls started."""
    processes = [Process(state, interval, calls) for _ in range(many)]
    for process in processes:
        process.ready()
    for process in processes:
        process.go()
    meanwhile(processes)
    times = [process.times() for process in processes]
    assert {process.warnings for process in processes} <= {"", WARNING.format(state / "pacing")}
    return times


WARNING = "{} cannot be used (Is a directory): calls are paced within this process only\n"


def apart(times: list[list[float]]) -> bool:
    together = sorted(time for each in times for time in each)
    return min(later - sooner for sooner, later in pairwise(together)) >= 0.99 * INTERVAL


def test_processes_keep_the_distance(tmp_path: Path) -> None:
    # Where the system holds a process up right after a start, the time it noted is too late.
    assert any(apart(run(tmp_path, 5)) for _ in range(4))


def test_processes_keep_the_distance_where_one_is_killed(tmp_path: Path) -> None:
    def kill(processes: list[Process]) -> None:
        time.sleep(8 * INTERVAL)
        processes[0].kill()

    runs = [run(tmp_path / "1", 5, kill)]
    while not apart(runs[-1]) and len(runs) < 4:
        runs.append(run(tmp_path / str(len(runs) + 1), 5, kill))
    assert apart(runs[-1])
    assert all(len(times) == 5 for each in runs for times in each[1:])


def lose(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [lose, empty, replace])
def test_damage_to_the_file_stops_no_process(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    def harm(_: list[Process]) -> None:
        time.sleep(4 * INTERVAL)
        damage(tmp_path / "pacing")

    times = run(tmp_path, 5, harm)
    assert [len(each) for each in times] == [5] * 4
    assert all(apart([each]) for each in times)


@not_windows
def test_a_process_that_was_stopped_stops_no_other(tmp_path: Path) -> None:
    def stop(processes: list[Process]) -> None:
        time.sleep(4 * INTERVAL)
        os.kill(processes[0].pid, signal.SIGSTOP)
        ended.extend(process.times() for process in processes[1:])
        os.kill(processes[0].pid, signal.SIGCONT)

    ended: list[list[float]] = []
    processes = [Process(tmp_path, INTERVAL, 5) for _ in range(3)]
    for process in processes:
        process.ready()
    for process in processes:
        process.go()
    stop(processes)
    assert [len(each) for each in ended] == [5, 5]
    assert len(processes[0].times()) == 5
