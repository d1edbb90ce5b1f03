"""Measures how long a team takes, over the least that it could take.

python bench/makespan.py [--scale S] [--rounds N] [--crewai PYTHON]

The 13 agents' graph, 8 of them on Gemini and 5 on Claude, with seconds for each agent that are
drawn once, and for each run again around those (±30 %), against a server on this machine that
streams each answer evenly over as many seconds. The least is the longest path through the graph, or
the interval times the calls less one, and the last call, whichever is longer; the best order is the
shortest of all schedules that know every latency. Time counts from when litellm is imported and has
made its first calls until a run's report is written.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen
from contestants import KEYS, MAX_TOKENS, PREFIXES
from overhead import BENCH, Child
from vendors import MODELS, PAUSED

RUNS = 20
NOISE = 0.3
PIECES = 50
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}
Row = tuple[str, float, float | None]  # what, over the least, over the best order


@frozen
class Turn:
    """An agent's call."""

    seconds: float
    vendor: str
    needs: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        return PAUSED.format(self.seconds, PIECES)


Graph = Mapping[str, Turn]


def seconds_of(names: Sequence[str], scale: float) -> dict[str, float]:
    """Draw how long each agent's answer takes: half of them under 4 s, some twice as long."""
    chance = random.Random(13)
    return {name: round(scale * 4 * chance.lognormvariate(0, 0.5), 3) for name in names}


def noisy(graph: Graph, seed: int) -> Graph:
    chance = random.Random(seed)
    return {
        name: Turn(
            round(turn.seconds * chance.uniform(1 - NOISE, 1 + NOISE), 3), turn.vendor, turn.needs
        )
        for name, turn in graph.items()
    }


def paths(graph: Graph) -> dict[str, float]:
    """Return the seconds from each agent's start to the end of the longest path behind it."""
    behind: dict[str, float] = {}
    for name in reversed(graph):  # every agent stands after all that it needs
        after = (behind[other] for other, turn in graph.items() if name in turn.needs)
        behind[name] = graph[name].seconds + max(after, default=0.0)
    return behind


def least(graph: Graph, interval: float, runs: int = 1) -> float:
    last = list(graph.values())[-1].seconds
    return max(*paths(graph).values(), (len(graph) * runs - 1) * interval + last)


def best(graph: Graph, interval: float) -> float:
    """Return the shortest of all schedules in which no permit waits while somebody could go."""
    behind = paths(graph)
    shortest = float("inf")

    def search(at: float, ends: Mapping[str, float]) -> None:
        """Try every order of those who are left; `at` is when the next may start."""
        nonlocal shortest
        if len(ends) == len(graph):
            shortest = min(shortest, max(ends.values()))
            return
        free = {
            name: max((ends[need] for need in turn.needs), default=0.0)
            for name, turn in graph.items()
            if name not in ends and ends.keys() >= set(turn.needs)
        }
        if max(max(at, since) + behind[name] for name, since in free.items()) >= shortest:
            return
        start = max(at, min(free.values()))
        for name in sorted(free, key=behind.__getitem__, reverse=True):
            if free[name] <= start:
                search(start + interval, {**ends, name: start + graph[name].seconds})

    search(0.0, {})
    return shortest


@contextmanager
def slow_disk(seconds: float) -> Iterator[None]:
    """Let every flush take so much longer."""
    flush = os.fsync

    def slow(handle: int) -> None:
        time.sleep(seconds)
        flush(handle)

    os.fsync = slow
    try:
        yield
    finally:
        os.fsync = flush


def team(graph: Graph, base: str, folder: Path, interval: float, order: str = "throughput") -> Any:
    from rolecall import Agent, Order, Settings, Team

    settings = Settings(
        interval=interval,
        order=Order(order),
        quiet=True,
        runs=str(folder / "runs"),
        state=str(folder / "state"),
    ).with_environment(
        ANTHROPIC_API_KEY=KEYS["claude"],
        ANTHROPIC_API_BASE=base,
        GEMINI_API_KEY=KEYS["gemini"],
        GEMINI_API_BASE=f"{base}/v1beta",
    )
    agents = [
        Agent(
            name,
            name.title(),
            "answer",
            turn.question,
            (f"{turn.vendor}/{MODELS[turn.vendor]}",),
            turn.needs,
        )
        for name, turn in graph.items()
    ]
    return Team(agents, settings=settings)


async def rolecall(graph: Graph, base: str, interval: float, rounds: int) -> list[Row]:
    """Return rows of single runs, each a mean over the same draws, and of many runs at once."""
    draws = [noisy(graph, seed) for seed in range(rounds)]

    async def single(title: str, folder_of: Callable[[int], Path], flush: float = 0.0) -> Row:
        with slow_disk(flush):
            took = [
                await _timed(team(drawn, base, folder_of(number), interval).run("Go"))
                for number, drawn in enumerate(draws)
            ]
        return _row(title, took, draws, interval)

    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # a disk rather than memory
        folder, known = Path(name), Path(name) / "known"
        warm = {name: Turn(0.0, vendor) for name, vendor in zip("abcd", [*MODELS] * 2, strict=True)}
        await team(warm, base, folder / "warm", 0).run("Warm up")
        for _ in range(2):  # what is learned is a median of past runs
            await team(graph, base, known, interval).run("Go")
        rows.append(await single("one run, nothing learned", lambda number: folder / str(number)))
        rows.append(await single("one run, latencies learned", lambda number: known))
        for flush in (0.03, 0.1):
            title = f"the same, a flush to disk takes {flush * 1e3:.0f} ms"
            rows.append(await single(title, lambda number: known, flush))
        bound = least(graph, interval, RUNS)
        for order in ("throughput", "latency"):
            many = team(graph, base, known, interval, order)
            began = time.perf_counter()
            runs = [many.run("Go", folder / f"{order}-{number}") for number in range(RUNS)]
            ends = await asyncio.gather(*(_until(run, began) for run in runs))
            rows.append(
                (f"{RUNS} runs at once, {order} first: the last one", max(ends) / bound, None)
            )
            mean = statistics.mean(ends) / bound
            rows.append((f"{RUNS} runs at once, {order} first: their mean", mean, None))
    return rows


def _row(title: str, took: Sequence[float], draws: Sequence[Graph], interval: float) -> Row:
    def over(bound: Callable[[Graph, float], float]) -> float:
        pairs = zip(took, draws, strict=True)
        return statistics.mean(seconds / bound(drawn, interval) for seconds, drawn in pairs)

    return title, over(least), over(best)


async def _timed(run: Awaitable[Any]) -> float:
    return await _until(run, time.perf_counter())


async def _until(run: Awaitable[Any], began: float) -> float:
    result = await run
    assert result.ok, result.failed
    return time.perf_counter() - began


async def by_level(graph: Graph, base: str, interval: float, rounds: int) -> list[Row]:
    """Gather each level of the graph, the starts an interval apart, through bare litellm."""
    import litellm
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(1, interval)

    async def ask(turn: Turn) -> None:
        async with limiter:
            pass
        reply: Any = await litellm.acompletion(
            model=f"{PREFIXES[turn.vendor]}/{MODELS[turn.vendor]}",
            messages=[{"role": "user", "content": turn.question}],
            api_key=KEYS[turn.vendor],
            api_base=base if turn.vendor == "claude" else f"{base}/v1beta",
            max_tokens=MAX_TOKENS,
            max_retries=0,
            stream=True,
        )
        async for _ in reply:
            pass

    for vendor in MODELS:
        await ask(Turn(0.0, vendor))
    draws = [noisy(graph, seed) for seed in range(rounds)]
    took = []
    for drawn in draws:
        began = time.perf_counter()
        for level in levels(drawn):
            await asyncio.gather(*(ask(drawn[name]) for name in level))
        took.append(time.perf_counter() - began)
    return [_row("gather by level, litellm and aiolimiter", took, draws, interval)]


def levels(graph: Graph) -> list[list[str]]:
    depth: dict[str, int] = {}
    for name, turn in graph.items():
        depth[name] = 1 + max((depth[need] for need in turn.needs), default=-1)
    return [
        [name for name in graph if depth[name] == each] for each in range(max(depth.values()) + 1)
    ]


def crew(graph: Graph, base: str, kind: str) -> list[Row]:
    """Let a crew work on the graph: in sequence, or each level but its last task at once."""
    from crewai import LLM, Agent, Crew, Task

    def model() -> Any:
        return LLM(
            model=f"anthropic/{MODELS['claude']}",
            api_key=KEYS["claude"],
            base_url=base,
            max_tokens=MAX_TOKENS,
        )

    model().call(Turn(0.0, "claude").question)
    tasks: dict[str, Any] = {}
    for level in levels(graph):
        for name in level:
            turn = graph[name]
            tasks[name] = Task(
                description=turn.question,
                expected_output="an answer",
                agent=Agent(role=name, goal="answer", backstory="You answer.", llm=model()),
                context=[tasks[need] for need in turn.needs],
                async_execution=kind == "async_execution" and name != level[-1],
            )
    whole = Crew(agents=[task.agent for task in tasks.values()], tasks=list(tasks.values()))
    began = time.perf_counter()
    whole.kickoff()
    took = time.perf_counter() - began
    return [_row(f"CrewAI, {kind}, unpaced", [took], [graph], 0)]


def team_of_13(scale: float) -> Graph:
    from rolecall_plugins.team.roles import COORDINATOR, TABLE

    takes = seconds_of([name for name, *_ in TABLE], scale)
    everyone = tuple(name for name in takes if name != COORDINATOR)
    return {
        name: Turn(takes[name], routes[0], everyone if needs == ("*",) else needs)
        for name, routes, needs, _ in TABLE
    }


def measure(kind: str, base: str, scale: float, rounds: int) -> list[Row]:
    graph, interval = team_of_13(scale), 0.5 * scale
    if kind == "rolecall":
        return asyncio.run(rolecall(graph, base, interval, rounds))
    if kind == "level":
        return asyncio.run(by_level(graph, base, interval, rounds))
    return crew(graph, base, kind)


def in_own_interpreter(python: str, kind: str, base: str, scale: float, rounds: int) -> list[Row]:
    """Measure in a process of its own; where that fails, say why instead of its rows."""
    ran = subprocess.run(
        [python, __file__, "measure", kind, base, str(scale), str(rounds)],
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        why = ran.stderr.strip().rpartition("\n")[2]
        print(f"{kind} is left out: {why}", file=sys.stderr)
        return []
    rows: list[Row] = json.loads(ran.stdout.splitlines()[-1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.25, help="of 4 s and of 0.5 s")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="draws of each run")
    parser.add_argument("--crewai", default=sys.executable, metavar="PYTHON", help="that has it")
    options = parser.parse_args()
    graph, interval = team_of_13(options.scale), 0.5 * options.scale
    one, many = least(graph, interval), least(graph, interval, RUNS)
    print(f"one run: {one:.2f} s, its best order {best(graph, interval):.2f} s; ", end="")
    print(f"{RUNS} runs: {many:.2f} s; interval {interval:g} s\n")
    print("| | of the least | of the best order |\n|---|--:|--:|", flush=True)
    server = Child(str(BENCH / "vendors.py"))
    base = server.ready()
    for python, kind in (
        (sys.executable, "rolecall"),
        (sys.executable, "level"),
        (options.crewai, "async_execution"),
        (options.crewai, "sequential"),
    ):
        for title, ratio, other in in_own_interpreter(
            python, kind, base, options.scale, options.rounds
        ):
            print(
                f"| {title} | {ratio:.3f} | {'' if other is None else f'{other:.3f}'} |", flush=True
            )
    server.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", kind, base, scale, rounds]:
            print(json.dumps(measure(kind, base, float(scale), int(rounds))))
        case _:
            main()
