"""Counts what a conversation with tools of 30 rounds costs, with what its vendor's cache saves.

python bench/tool_loop.py

An agent reads and writes files of a workspace for 30 rounds, one call in each, or twelve in each.
The vendors are simulated on this machine: of Claude's cache the simulator keeps account as the
vendor does. Nothing of it depends on the machine; prices are those of litellm's map.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from rolecall import Agent, CallEnded, Settings, Team, Usage
from rolecall_plugins.providers.model_prices import known
from rolecall_plugins.simulator.scenario import FunctionCall, Round, Scenario, Script
from rolecall_plugins.simulator.server import Simulator

ROUNDS = 30
PREFIXES = {"claude": "anthropic", "gemini": "gemini"}
LINE = "    total = add(total, weights[index] * values[index])  # line {number}\n"


@frozen
class Bill:
    """What the calls of a run used, and what a vendor charges for it in US dollars."""

    calls: int
    usage: Usage
    price: float
    plain: float

    @property
    def row(self) -> Iterator[str]:
        yield f"{self.calls}"
        yield f"{self.usage.input:,}"
        yield f"{self.usage.cache_read:,}"
        yield f"{self.usage.cache_write:,}"
        yield f"{self.usage.output:,}"
        yield f"{self.plain:.3f}"
        yield f"{self.price:.3f}"
        yield f"{1 - self.price / self.plain:.0%}"


def script(parallel: int) -> Script:
    """Write some files, and read them over and over, so many at once."""
    text = "".join(LINE.format(number=number) for number in range(60))
    files = [f"src/part_{number}.py" for number in range(parallel)]
    writes = [
        FunctionCall("workspace_write", {"path": path, "content": text}) for path in files[:4]
    ]
    rounds = [Round("I write first.", writes)]
    for number in range(1, ROUNDS - 1):
        path = files[number % min(4, parallel)]
        reads = [FunctionCall("workspace_read", {"path": path, "last": 20})] * parallel
        rounds.append(Round(calls=[*reads[: parallel - 1], FunctionCall("workspace_list")]))
        if parallel == 1:
            rounds[-1] = Round(calls=reads)
    return Script([*rounds, Round("# Done\n\nAll parts are read.\n")])


async def bill(route: str, parallel: int) -> Bill:
    """Let an agent act at the simulator, and add its calls up."""
    scenario = Scenario(scripts={"builder": [script(parallel)]})
    async with Simulator(scenario) as simulator:
        with tempfile.TemporaryDirectory() as folder:
            prompt = "You are the builder of a team. " + "You write code as your team does. " * 60
            agent = Agent("builder", "Builder", "Build.", prompt, (route,), tools=("workspace",))
            team = Team([agent], settings=settings(simulator, folder))
            ended = [event async for event in team.run("Build it.") if isinstance(event, CallEnded)]
    failed = [each.error for each in ended if each.cause is not None]
    assert not failed, failed
    return added_up(PREFIXES[route], ended)


def settings(simulator: Simulator, folder: str) -> Settings:
    return Settings(
        interval=0,
        quiet=True,
        block=("report",),
        runs=str(Path(folder, "runs")),
        state="",
        environment={
            "PATH": os.environ["PATH"],
            "ANTHROPIC_API_KEY": "none",
            "GEMINI_API_KEY": "none",
            "ANTHROPIC_API_BASE": simulator.anthropic_base,
            "GEMINI_API_BASE": simulator.gemini_base,
        },
    )


def added_up(prefix: str, calls: Sequence[CallEnded]) -> Bill:
    total, price, plain = Usage(), 0.0, 0.0
    for call in calls:
        usage, model = call.usage, known(prefix, call.model)
        total = Usage(
            total.input + usage.input,
            total.output + usage.output,
            total.thinking + usage.thinking,
            total.cache_read + usage.cache_read,
            total.cache_write + usage.cache_write,
        )
        price += model.price(usage) or 0.0
        plain += model.price(Usage(usage.input, usage.output)) or 0.0
    return Bill(len(calls), total, price, plain)


def main() -> None:
    head = (
        "",
        "calls",
        "input",
        "of it read",
        "of it written",
        "output",
        "$ without",
        "$",
        "saved",
    )
    print(f"| {' | '.join(head)} |\n|---|{'--:|' * (len(head) - 1)}")
    for route in PREFIXES:
        for parallel in (1, 12):
            name = f"{route}, {parallel} call{'s' if parallel > 1 else ''} a round"
            print(f"| {' | '.join([name, *asyncio.run(bill(route, parallel)).row])} |", flush=True)


if __name__ == "__main__":
    main()
