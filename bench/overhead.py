"""Measures what a call costs the client: CPU time and memory, beside bare litellm and peers.

    python bench/overhead.py [--quick] [--large] [--only CONTESTANT]

Everyone gets the same answers from a server in a process of its own, in the vendor's format. Each
contestant is an interpreter of its own for each table: one that calls Claude alone, one that calls
Gemini alone, one that calls both, Gemini first, as a team does. They take turns in rounds; shown is
the median, in CPU milliseconds per answered call, and in brackets the median of the ratios to
litellm's in the same round. "failing over" means that Gemini is overloaded (HTTP 503), Claude
answers, and nobody retries; its price is that of both requests. litellm's own row fails over by try
and except.
"""

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import asdict, evolve, field, frozen
from contestants import AT_ONCE, CONTESTANTS, Contestant, Load, Work

SETTLING = 0.1  # seconds after the last answer, in which some still log it
BENCH = Path(__file__).parent
Columns = Mapping[str, Load]


def calls(*vendors: str) -> Columns:
    """Return a table's columns."""
    load = Load(200, AT_ONCE, vendors)
    return {
        "plain, 1 at once": evolve(load, calls=100, at_once=1),
        f"plain, {AT_ONCE}": load,
        "20 pieces, 1": evolve(load, calls=20, at_once=1, stream=True),
        f"20 pieces, {AT_ONCE}": evolve(load, calls=100, stream=True),
        "200 pieces, 20": evolve(load, calls=20, at_once=20, stream=True, pieces=200),
        "2,000 pieces, 4": evolve(load, calls=4, at_once=4, stream=True, pieces=2000),
    }


BOTH = ("gemini", "claude")
FAILING = Load(100, AT_ONCE, ("gemini>claude",))
TABLES: Mapping[str, Columns] = {
    "Claude alone": calls("claude"),
    "Gemini alone": calls("gemini"),
    "both in one process": {
        **calls(*BOTH),
        "failing over, 1": evolve(FAILING, calls=30, at_once=1),
        f"failing over, {AT_ONCE}": FAILING,
    },
}
# As in the default team, 8 of 13 on Gemini.
TURNS = tuple("gemini" if turn * 8 % 13 < 8 else "claude" for turn in range(13))
TEAMS = (13, 100)
LARGE = 1000


@frozen
class Measured:
    """What a load came to.

    cpu: milliseconds of CPU time per answered call. peak, resident: MB of memory that the process
    has had at most since it began, and has now.
    """

    cpu: float
    peak: float
    resident: float


async def contest(name: str, base: str, folder: str) -> None:
    """Make the calls of each load that standard input asks for, and say what they came to."""
    work = CONTESTANTS[name].make(base, Path(folder))
    print("ready", flush=True)
    while line := sys.stdin.readline():
        asked = json.loads(line)
        load = Load(**{**asked, "vendors": tuple(asked["vendors"])})
        print(json.dumps(asdict(await measure(work, load))), flush=True)
    os._exit(0)  # connections that are still open would each say so


async def measure(work: Work, load: Load) -> Measured:
    gc.collect()
    before = time.process_time()
    await work(load)
    await asyncio.sleep(SETTLING)
    cpu = time.process_time() - before
    gc.collect()
    return Measured(cpu / (load.calls * load.runs) * 1000, _peak(), _resident())


def _peak() -> float:
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _resident() -> float:
    """Return the MB that the process keeps in memory; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 / 1024**2 if status.exists() else 0


class Child:
    """An interpreter that is asked line by line."""

    def __init__(self, *command: str) -> None:
        quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
        self._process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **quiet},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @classmethod
    def contesting(cls, name: str, base: str, folder: Path) -> "Child":
        own = folder / f"{len(list(folder.iterdir()))}"
        own.mkdir()
        return cls(__file__, "contest", name, base, str(own))

    def ready(self) -> str:
        """Wait until it has begun; return what it says then."""
        return self._read()

    def measure(self, load: Load) -> Measured:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(load)) + "\n")
        self._process.stdin.flush()
        return Measured(**json.loads(self._read()))

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"it ended with {self._process.wait()}: {self._process.args!r}")
        return line.strip()


@frozen
class Ring:
    """Contestants that take turns, and what they came to, column by column."""

    children: Mapping[str, Child]
    measured: dict[tuple[str, str], list[Measured]] = field(factory=dict)

    def warm_up(self, columns: Columns) -> None:
        for name, child in self.children.items():
            for load in _wanted(CONTESTANTS[name], columns).values():
                few = max(load.calls // 5, min(load.calls, 10))
                child.measure(evolve(load, calls=few, pieces=min(load.pieces, 20)))

    def round(self, columns: Columns) -> None:
        for column, load in columns.items():
            for name, child in self.children.items():
                if column in _wanted(CONTESTANTS[name], columns):
                    self.measured.setdefault((name, column), []).append(child.measure(load))

    def cell(self, name: str, column: str, base: str = "litellm") -> str:
        mine = self.measured.get((name, column), [])
        theirs = self.measured.get((base, column), mine)
        if not mine:
            return ""
        pairs = zip(mine, theirs, strict=True)
        ratio = statistics.median(one.cpu / other.cpu for one, other in pairs)
        return f"{statistics.median(one.cpu for one in mine):.2f} ({ratio:.2f})"

    def peak(self, name: str) -> float:
        """Return the most memory that a contestant has had, in MB."""
        return max(
            (each.peak for (who, _), all_ in self.measured.items() for each in all_ if who == name),
            default=0,
        )


def _wanted(who: Contestant, columns: Columns) -> Columns:
    """Leave out of some columns what a contestant cannot do."""

    def is_plain(load: Load) -> bool:
        return not load.stream and load.vendors == ("claude",)

    return {
        column: load
        for column, load in columns.items()
        if (who.fails_over or ">" not in load.vendors[0]) and (is_plain(load) or not who.only_plain)
    }


def table(
    title: str, names: Iterable[str], base: str, folder: Path, columns: Columns, rounds: int
) -> Iterator[str]:
    wanted = [name for name in names if _wanted(CONTESTANTS[name], columns)]
    here = [name for name in wanted if _is_installed(CONTESTANTS[name].package)]
    ring = Ring({name: Child.contesting(name, base, folder) for name in here})
    for child in ring.children.values():
        child.ready()
    ring.warm_up(columns)
    for _ in range(rounds):
        ring.round(columns)
    yield f"\n| {title} | {' | '.join(columns)} | peak MB |"
    yield "|---|" + "--:|" * (len(columns) + 1)
    for name in wanted:
        if name in here:
            cells = [*(ring.cell(name, column) for column in columns), f"{ring.peak(name):.0f}"]
            yield f"| {name} | {' | '.join(cells)} |"
        else:
            yield f"| {name} | not installed |{' |' * len(columns)}"
    for child in ring.children.values():
        child.close()


def teams(sizes: Iterable[int], runs: int) -> Columns:
    """Return columns for teams whose agents need nobody, 8 of 13 of them on Gemini."""
    return {
        f"{size} agents, {how}": Load(
            size, AT_ONCE, TURNS, stream=how == "streamed", runs=max(1, runs * 13 // size)
        )
        for size in sizes
        for how in ("plain", "streamed")
    }


def growth(base: str, folder: Path) -> Iterator[str]:
    """Return what a call costs among many, and what memory many runs leave."""
    few, queue, runs = Load(100, AT_ONCE, BOTH), 10_000, 1000
    llm = Child.contesting("rolecall, `LLM.acall`", base, folder)
    llm.ready()
    llm.measure(few)
    one = statistics.median(llm.measure(few).cpu for _ in range(5))
    cpu = llm.measure(evolve(few, calls=queue, at_once=queue)).cpu
    yield f"\n{queue} calls queued: {cpu:.2f} ms of CPU a call, {cpu / one:.2f} of 100 calls'"
    llm.close()
    small = Child.contesting("rolecall, a run", base, folder)
    small.ready()
    two = Load(2, 2, BOTH)
    small.measure(evolve(two, runs=5))
    first = small.measure(evolve(two, runs=runs // 10))
    last = small.measure(evolve(two, runs=runs - runs // 10))
    yield (
        f"memory after {runs // 10} runs of two agents {first.resident:.0f} MB, "
        f"after {runs} {last.resident:.0f} MB; {first.cpu:.2f} and {last.cpu:.2f} ms a call"
    )
    small.close()


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="each once, and nothing large")
    parser.add_argument("--large", action="store_true", help=f"a team of {LARGE} agents as well")
    parser.add_argument("--only", action="append", choices=CONTESTANTS, metavar="CONTESTANT")
    options = parser.parse_args()
    rounds = 1 if options.quick else 5
    names = options.only or [name for name in CONTESTANTS if name != "rolecall, a run"]
    sizes = (*TEAMS, LARGE) if options.large else TEAMS
    server = Child(str(BENCH / "vendors.py"))
    base = server.ready()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk rather than memory
        for title, columns in TABLES.items():
            for line in table(title, names, base, Path(folder), columns, rounds):
                print(line, flush=True)
        runners = ("litellm", "rolecall, `LLM.acall`", "rolecall, a run")
        columns = teams(sizes, 1 if options.quick else 8)
        for line in table("a team", runners, base, Path(folder), columns, rounds):
            print(line, flush=True)
        if not options.quick:
            for line in growth(base, Path(folder)):
                print(line, flush=True)
    server.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["contest", name, base, folder]:
            asyncio.run(contest(name, base, folder))
        case _:
            main()
