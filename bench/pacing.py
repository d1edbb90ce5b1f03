"""Measures limiters side by side: how far apart calls start, how exactly, and at what price.

    python bench/pacing.py [--quick] [--only LIMITER]

Each limiter is to start calls at least an interval apart. Each measurement runs in an
interpreter of its own; three of them (one with --quick), and the table shows medians. In the rows
"at the wire" each call sends a request when it may, and a server in another process stamps when
that arrives: prepared bytes over a connection that is open, or, with "whole calls", what a call of
`LLM` sends.
"""

import argparse
import asyncio
import gc
import importlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from arrivals import Arrivals, Sender
from attrs import asdict, evolve, frozen
from limiters import PEERS, Acquire

PROCESSES = 4
TOLERANCE = 0.01
PATIENCE = 60.0


@frozen
class Row:
    """Calls that all come at once, from tasks, threads or processes.

    seconds: to stop after; None goes on until every call has started.
    wire: whether each sends a request. base: the address to send it to.
    """

    kind: str
    interval: float
    calls: int
    seconds: float | None = None
    wire: bool = False
    base: str = ""


@frozen
class Measured:
    """What is measured; the last three only where calls are left waiting.

    violations: gaps between starts that are a hundredth too short, or more.
    ratio: from the first start to the last, by what it would ideally be.
    cpu: milliseconds of CPU time for each start.
    inversions: calls that started right after one of their process that had asked later.
    wire_violations, wire_ratio: the same of the requests' arrivals.
    lag: how many milliseconds late the event loop is, 99th percentile.
    memory: kB for each call that waits, its task included.
    cancelling: seconds to cancel those who wait.
    """

    violations: float | None
    ratio: float | None
    cpu: float
    inversions: float | None
    wire_violations: float | None = None
    wire_ratio: float | None = None
    lag: float | None = None
    memory: float | None = None
    cancelling: float | None = None


ROWS = {
    "tasks, 500 ms": Row("tasks", 0.5, 40),
    "tasks, 5 ms": Row("tasks", 0.005, 400),
    "threads, 50 ms": Row("threads", 0.05, 40),
    "4 processes, 50 ms": Row("processes", 0.05, 80),
    "4 processes, 500 ms": Row("processes", 0.5, 40),
    "at the wire, 50 ms": Row("tasks", 0.05, 100, wire=True),
    "at the wire, 500 ms": Row("tasks", 0.5, 40, wire=True),
    "at the wire, 4 processes, 50 ms": Row("processes", 0.05, 80, wire=True),
    "at the wire, 4 processes, 500 ms": Row("processes", 0.5, 40, wire=True),
    "10 000 waiters": Row("tasks", 0.5, 10_000, seconds=4.0),
}


@frozen
class Start:
    """When a call asked and when it started."""

    asked: float
    started: float


async def from_tasks(
    acquire: Acquire, row: Row, sends: bool = False
) -> tuple[list[Start], Mapping[str, float]]:
    """Return the starts, and what is seen of those who wait where the row has an end.

    sends: whether a request is still to be sent after each start.
    """
    starts: list[Start] = []
    sender = await Sender.connect(row.base, row.calls) if sends else None

    async def start() -> None:
        asked = time.monotonic()
        await acquire()
        starts.append(Start(asked, time.monotonic()))
        if sender is not None:
            sender.send()

    memory_before = _memory()
    tasks = [asyncio.ensure_future(start()) for _ in range(row.calls)]
    if row.seconds is None:
        await asyncio.gather(*tasks)
        if sender is not None:
            sender.close()
        return starts, {}
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    memory = (_memory() - memory_before) / row.calls / 1024
    cpu_before = time.process_time()
    lags = sorted(await _lags(row.seconds))
    cpu = (time.process_time() - cpu_before) / max(1, len(starts)) * 1000
    began = time.monotonic()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    cancelling = time.monotonic() - began
    lag = lags[int(0.99 * len(lags))]
    return starts, {"cpu": cpu, "lag": lag * 1000, "memory": memory, "cancelling": cancelling}


def from_threads(acquire: Acquire, row: Row) -> list[Start]:
    starts: list[Start] = []

    async def start() -> None:
        asked = time.monotonic()
        await acquire()
        starts.append(Start(asked, time.monotonic()))

    threads = [threading.Thread(target=asyncio.run, args=(start(),)) for _ in range(row.calls)]
    for thread in threads:
        thread.start()
        time.sleep(0.002)  # that the order in which they ask is theirs, not the scheduler's
    for thread in threads:
        thread.join()
    return starts


def from_processes(name: str, row: Row, folder: Path) -> list[tuple[list[Start], float]]:
    """Return each process's starts and the CPU seconds they took."""
    one = evolve(row, kind="tasks", calls=row.calls // PROCESSES)
    arguments = ("part", name, json.dumps(asdict(one)), str(folder))
    children = [_interpreter(*arguments) for _ in range(PROCESSES)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    parts = [json.loads(child.communicate()[0]) for child in children]
    return [([Start(*start) for start in starts], cpu) for starts, cpu in parts]


def measure(name: str, row: Row, folder: Path) -> Measured:
    """Make one measurement in this interpreter."""
    if not row.wire:
        return _measure(name, row, folder)
    with Arrivals() as server:
        measured = _measure(name, evolve(row, base=server.base), folder)
        times = server.stop()
    assert len(times) == row.calls
    short, ratio = _gaps(times, row)
    measured = evolve(measured, wire_violations=short, wire_ratio=ratio)
    if PEERS[name].whole is None:
        return measured
    return evolve(measured, violations=None, ratio=None, inversions=None)  # it shows answers


def _measure(name: str, row: Row, folder: Path) -> Measured:
    extra: Mapping[str, float] = {}
    if row.kind == "processes":
        parts = from_processes(name, row, folder)
        cpu = sum(cpu for _, cpu in parts)
        runs = [starts for starts, _ in parts]
    else:
        acquire = _acquire(name, row, folder)
        gc.collect()
        before = time.process_time()
        if row.kind == "tasks":
            starts, extra = asyncio.run(from_tasks(acquire, row, _sends(name, row)))
        else:
            starts = from_threads(acquire, row)
        cpu = time.process_time() - before
        runs = [starts]
    times = [start.started for starts in runs for start in starts]
    short, ratio = _gaps(times, row)
    cpu = cpu / len(times) * 1000
    return evolve(Measured(short, ratio, cpu, sum(map(_inversions, runs))), **extra)


def _acquire(name: str, row: Row, folder: Path) -> Acquire:
    peer = PEERS[name]
    if row.base and peer.whole:
        return peer.whole(row.interval, folder, row.base)
    if row.base and peer.wire:
        return peer.wire(row.interval, folder)
    return peer.make[row.kind](row.interval, folder)


def _sends(name: str, row: Row) -> bool:
    return bool(row.base) and PEERS[name].whole is None


def _gaps(times: list[float], row: Row) -> tuple[int, float]:
    """Return how many gaps are too short, and how long all are, by what they should be."""
    gaps = [later - sooner for sooner, later in itertools.pairwise(sorted(times))]
    short = sum(gap < row.interval * (1 - TOLERANCE) for gap in gaps)
    return short, sum(gaps) / (len(gaps) * row.interval) if gaps else float("nan")


def part(name: str, row: Row, folder: Path) -> None:
    """Be one of the processes of a measurement, which begin together."""
    acquire = _acquire(name, evolve(row, kind="processes"), folder)
    print("ready", flush=True)
    sys.stdin.readline()
    before = time.process_time()
    starts, _ = asyncio.run(from_tasks(acquire, row, _sends(name, row)))
    cpu = time.process_time() - before
    print(json.dumps([[[start.asked, start.started] for start in starts], cpu]))


def _inversions(starts: list[Start]) -> int:
    order = sorted(starts, key=lambda start: start.started)
    return sum(later.asked < sooner.asked for sooner, later in itertools.pairwise(order))


async def _lags(seconds: float) -> list[float]:
    """Return how late the event loop is, again and again."""
    step = 0.01
    until = time.monotonic() + seconds
    lags = []
    while (now := time.monotonic()) < until:
        await asyncio.sleep(step)
        lags.append(time.monotonic() - now - step)
    return lags


def _memory() -> int:
    """Return the bytes that the process keeps in memory; 0 where the system does not say."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.exists() else 0


def _interpreter(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def in_own_interpreter(name: str, row: Row) -> Measured | str:
    """Return what was measured, or in a word why nothing was."""
    ideal = row.seconds or row.interval * row.calls
    with tempfile.TemporaryDirectory() as folder:
        child = _interpreter("measure", name, json.dumps(asdict(row)), folder)
        try:
            out, error = child.communicate(timeout=4 * ideal + PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return "too slow"
    if child.returncode:
        return error.strip().rpartition("\n")[2] or "failed"
    return Measured(**json.loads(out))


def medians(measured: list[Measured]) -> Measured:
    columns: dict[str, Any] = {
        name: [getattr(each, name) for each in measured] for name in asdict(measured[0])
    }
    for name, column in columns.items():
        columns[name] = None if None in column else statistics.median(column)
    return Measured(**columns)


def table(names: list[str], rows: dict[str, Row], repeats: int) -> Iterator[str]:
    """Return the table's lines, each as soon as it is measured."""
    columns = (
        *("", "limiter", "short gaps", "total / ideal", "CPU ms per permit", "inversions"),
        *("short at the wire", "total / ideal there"),
        *("loop lag p99 ms", "kB per waiter", "cancel all s"),
    )
    yield f"| {' | '.join(columns)} |"
    yield f"|---|---|{'--:|' * (len(columns) - 2)}"
    for title, row in rows.items():
        for name in names:
            if row.kind in PEERS[name].make or (row.wire and PEERS[name].whole):
                yield f"| {title} | {name} | {_cells(name, row, repeats)} |"


def _cells(name: str, row: Row, repeats: int) -> str:
    if not _installed(PEERS[name].package):
        return "not installed" + 8 * " | "
    measured = [in_own_interpreter(name, row) for _ in range(repeats)]
    failures = [each for each in measured if isinstance(each, str)]
    if failures:
        return failures[0] + 8 * " | "
    one = medians([each for each in measured if isinstance(each, Measured)])
    cells = (
        *((one.violations, ".0f"), (one.ratio, ".4f"), (one.cpu, ".2f"), (one.inversions, ".0f")),
        *((one.wire_violations, ".0f"), (one.wire_ratio, ".4f")),
        *((one.lag, ".2f"), (one.memory, ".2f"), (one.cancelling, ".2f")),
    )
    return " | ".join("" if value is None else format(value, form) for value, form in cells)


def _installed(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer calls, and each only once")
    parser.add_argument("--only", action="append", choices=PEERS, metavar="LIMITER")
    options = parser.parse_args()
    rows = ROWS
    if options.quick:
        rows = {
            title: row if row.seconds else evolve(row, calls=row.calls // 16 * PROCESSES)
            for title, row in ROWS.items()
        }
    for line in table(options.only or list(PEERS), rows, 1 if options.quick else 3):
        print(line, flush=True)


def child(role: str, name: str, row: str, folder: str) -> None:
    its: Any = json.loads(row)
    if role == "part":
        part(name, Row(**its), Path(folder))
    else:
        print(json.dumps(asdict(measure(name, Row(**its), Path(folder)))))


if __name__ == "__main__":
    if sys.argv[1:2] in (["measure"], ["part"]):
        child(*sys.argv[1:5])
    else:
        main()
