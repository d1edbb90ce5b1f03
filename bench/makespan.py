"""Measures how long a team takes, over the least that it could take.

python bench/makespan.py [--scale S] [--crewai PYTHON]

The 13 agents' graph, with seconds for each agent that are drawn once, against a server on this
machine that takes as long to answer. The least is the longest path through the graph, or the
interval times the calls less one, and the last call, whichever is longer. Time counts from when
litellm is imported and has made its first call.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUNS = 20
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}
MODEL = "claude-sonnet-5-5"
TAKES = re.compile(rb"Takes ([0-9.]+) seconds")
Rows = list[tuple[str, float]]
Graph = Mapping[str, tuple[float, tuple[str, ...]]]  # agent: seconds, and whom it needs


def seconds_of(names: Sequence[str], scale: float) -> dict[str, float]:
    """Draw how long each agent's answer takes: half of them under 4 s, some twice as long."""
    chance = random.Random(13)
    return {name: round(scale * 4 * chance.lognormvariate(0, 0.5), 3) for name in names}


def longest_path(graph: Graph) -> float:
    ends: dict[str, float] = {}
    for name, (seconds, needs) in graph.items():  # every agent stands after all that it needs
        ends[name] = seconds + max((ends[need] for need in needs), default=0.0)
    return max(ends.values())


def least(graph: Graph, interval: float, runs: int = 1) -> float:
    last = list(graph.values())[-1][0]
    return max(longest_path(graph), (len(graph) * runs - 1) * interval + last)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as Anthropic does, after the seconds that the request asks for."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            (length,) = re.findall(rb"content-length: *(\d+)", head, re.IGNORECASE)
            asked = await reader.readexactly(int(length))
            (seconds, *_) = TAKES.findall(asked)
            await asyncio.sleep(float(seconds))
            text = "Thought: done\nFinal Answer: " + "a line of an answer\n" * 40
            body = json.dumps(
                {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "model": MODEL,
                    "content": [{"type": "text", "text": text}],
                    "stop_reason": "end_turn",
                    "usage": {"input_tokens": 500, "output_tokens": 200},
                }
            ).encode()
            head = (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            )
            writer.write(head % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own, so that its work slows nobody down."""
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        finally:
            child.kill()


def team(graph: Graph, base: str, folder: Path, interval: float, order: str) -> Any:
    from rolecall import Agent, Order, Settings, Team

    settings = Settings(
        interval=interval,
        order=Order(order),
        stream=False,
        quiet=True,
        block=("report",),
        runs=str(folder / "runs"),
        state=str(folder / "state"),
        environment={"ANTHROPIC_API_KEY": "none", "ANTHROPIC_API_BASE": base},
    )
    agents = [
        Agent(name, name.title(), "answer", f"Takes {seconds} seconds.", ("claude",), needs)
        for name, (seconds, needs) in graph.items()
    ]
    return Team(agents, settings=settings)


async def rolecall(graph: Graph, base: str, interval: float) -> Rows:
    """Give each row's name and its time over the least."""
    rows: Rows = []
    bound, all_bound = least(graph, interval), least(graph, interval, RUNS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = dict.fromkeys(("a", "b", "c"), (0.0, ()))
        await team(warm, base, folder / "warm", 0, "throughput").run("Warm up")
        for title in ("one run, nothing learned", "one run, latencies learned"):
            took = await _timed(team(graph, base, folder, interval, "throughput").run("Go"))
            rows.append((f"{title}: makespan", took / bound))
        for order in ("throughput", "latency"):
            many = team(graph, base, folder, interval, order)
            began = time.perf_counter()
            runs = [many.run("Go", folder / f"{order}-{number}") for number in range(RUNS)]
            ends = await asyncio.gather(*(_until(run, began) for run in runs))
            rows.append((f"{RUNS} runs at once, {order} first: makespan", max(ends) / all_bound))
            mean = sum(ends) / RUNS / all_bound
            rows.append((f"{RUNS} runs at once, {order} first: mean completion", mean))
    return rows


async def _timed(run: Awaitable[Any]) -> float:
    return await _until(run, time.perf_counter())


async def _until(run: Awaitable[Any], began: float) -> float:
    result = await run
    assert result.ok
    return time.perf_counter() - began


async def by_level(graph: Graph, base: str, interval: float) -> Rows:
    """Gather each level of the graph, the starts an interval apart, through bare litellm."""
    import litellm
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(1, interval)

    async def ask(seconds: float) -> None:
        async with limiter:
            pass
        await litellm.acompletion(
            model=f"anthropic/{MODEL}",
            messages=[{"role": "user", "content": f"Takes {seconds} seconds."}],
            api_key="none",
            api_base=base,
            max_retries=0,
        )

    await ask(0.0)
    began = time.perf_counter()
    for level in levels(graph):
        await asyncio.gather(*(ask(graph[name][0]) for name in level))
    took = time.perf_counter() - began
    return [("gather by level, litellm and aiolimiter: makespan", took / least(graph, interval))]


def levels(graph: Graph) -> list[list[str]]:
    depth: dict[str, int] = {}
    for name, (_, needs) in graph.items():
        depth[name] = 1 + max((depth[need] for need in needs), default=-1)
    return [
        [name for name in graph if depth[name] == each] for each in range(max(depth.values()) + 1)
    ]


def crew(graph: Graph, base: str, kind: str) -> Rows:
    """Let a crew work on the graph: in sequence, or each level but its last task at once."""
    from crewai import LLM, Agent, Crew, Task

    def model() -> Any:
        return LLM(model=f"anthropic/{MODEL}", api_key="none", base_url=base, max_tokens=1000)

    model().call("Takes 0 seconds.")
    tasks: dict[str, Any] = {}
    for level in levels(graph):
        for name in level:
            seconds, needs = graph[name]
            tasks[name] = Task(
                description=f"Takes {seconds} seconds.",
                expected_output="an answer",
                agent=Agent(role=name, goal="answer", backstory="You answer.", llm=model()),
                context=[tasks[need] for need in needs],
                async_execution=kind == "async_execution" and name != level[-1],
            )
    whole = Crew(agents=[task.agent for task in tasks.values()], tasks=list(tasks.values()))
    began = time.perf_counter()
    whole.kickoff()
    return [(f"CrewAI, {kind}, unpaced: makespan", (time.perf_counter() - began) / least(graph, 0))]


def measure(kind: str, base: str, told: str, interval: float) -> Rows:
    graph = {name: (seconds, tuple(needs)) for name, (seconds, needs) in json.loads(told).items()}
    if kind == "rolecall":
        return asyncio.run(rolecall(graph, base, interval))
    if kind == "level":
        return asyncio.run(by_level(graph, base, interval))
    return crew(graph, base, kind)


def in_own_interpreter(python: str, kind: str, base: str, graph: Graph, interval: float) -> Rows:
    """Measure in a process of its own; where that fails, say why in the row."""
    ran = subprocess.run(
        [python, __file__, "measure", kind, base, json.dumps(graph), str(interval)],
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        why = ran.stderr.strip().rpartition("\n")[2]
        print(f"{kind} is left out: {why}", file=sys.stderr)
        return []
    rows: Rows = json.loads(ran.stdout.splitlines()[-1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.5, help="of 4 s and of 0.5 s")
    parser.add_argument("--crewai", default=sys.executable, metavar="PYTHON", help="that has it")
    options = parser.parse_args()
    from rolecall_plugins.team.roles import COORDINATOR, TABLE

    takes = seconds_of([name for name, *_ in TABLE], options.scale)
    everyone = tuple(name for name in takes if name != COORDINATOR)
    graph = {
        name: (takes[name], everyone if needs == ("*",) else needs) for name, _, needs, _ in TABLE
    }
    interval = 0.5 * options.scale
    print(f"one run: at least {least(graph, interval):.2f} s, ", end="")
    print(f"{RUNS} runs: {least(graph, interval, RUNS):.2f} s, interval {interval:g} s\n")
    print("| | of the least |\n|---|--:|")
    with server() as base:
        for python, kind in (
            (sys.executable, "rolecall"),
            (sys.executable, "level"),
            (options.crewai, "async_execution"),
            (options.crewai, "sequential"),
        ):
            for title, ratio in in_own_interpreter(python, kind, base, graph, interval):
                print(f"| {title} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(*sys.argv[2:5], float(sys.argv[5]))))
    else:
        main()
