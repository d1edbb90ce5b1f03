"""Measures how long a balanced team takes, over the least that it could take.

python bench/balance.py [--rounds N]

The team's 13 agents: five stay on one provider, eight may be moved between two, in simulated time:
the scheduler, dispatcher, limiter and files are the real ones, and only the answers are not. The
least is the longest path through the graph, had each agent been asked where its answer comes first,
or what the interval makes of 13 calls. In each round the latencies are drawn anew; "learned" runs
follow ten of their kind.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from attrs import evolve, frozen

from rolecall import (
    Balance,
    Cause,
    Host,
    ProviderError,
    Redactor,
    Request,
    Response,
    RunOptions,
    Settings,
    Usage,
)
from rolecall.scheduling.session import Session, SharedResources
from rolecall.storage.run_folder import RunFolder
from rolecall.testing import FakeClock
from rolecall.types.agents import TeamGraph
from rolecall_plugins.ratelimit.interval import LocalInterval
from rolecall_plugins.ratelimit.limiter import PacingLimiter
from rolecall_plugins.team.roles import rolecall_agents

INTERVAL = 0.5
MEDIAN = 8.0  # seconds of an answer
TOKENS = 100  # of a second's answer
LEARNED = 10  # runs
FIRST = 0.3  # of the time of an answer, until it begins
PRIMARY, SECONDARY = "gemini", "claude"


@frozen
class Scenario:
    """What is wrong with the provider that most agents prefer.

    slower: how many times as long its answers take. spread: of the logarithm of latencies.
    paused: seconds from the start in which it refuses everyone. down: it never answers.
    """

    title: str
    slower: float = 1.0
    spread: float = 0.3
    paused: float = 0.0
    down: bool = False


SCENARIOS = (
    Scenario("nothing wrong"),
    Scenario("three times slower", slower=3.0),
    Scenario("refuses for the first 5 s", paused=5.0),
    Scenario("refuses for the first 30 s", paused=30.0),
    Scenario("down", down=True),
    Scenario("heavy tails", spread=1.0),
)


class Vendor:
    """A provider whose answers take what was drawn for each agent."""

    def __init__(
        self, name: str, scenario: Scenario, seconds: Mapping[str, float], clock: FakeClock
    ) -> None:
        self.name = name
        self.began = clock.now()
        self._scenario = scenario if name == PRIMARY else Scenario("")
        self._seconds = seconds
        self._clock = clock

    async def complete(self, request: Request) -> Response:
        await request.progress.sending()
        seconds = self._seconds[request.system]
        if self._scenario.down:
            raise ProviderError(Cause.CONNECTION, "refused")
        left = self._scenario.paused - (self._clock.now() - self.began)
        if left > 0:
            raise ProviderError(Cause.RATE_LIMITED, "too many requests", retry_after=left)
        takes = seconds * self._scenario.slower
        await asyncio.sleep(FIRST * takes)
        request.progress.text("An ")
        await asyncio.sleep((1 - FIRST) * takes)
        return Response("An answer.", usage=Usage(input=100, output=round(seconds * TOKENS)))


def team() -> TeamGraph:
    plain = {"shared": "", "tools": (), "verify": False}
    return TeamGraph(evolve(agent, prompt=agent.name, **plain) for agent in rolecall_agents())


def least(
    graph: TeamGraph, scenario: Scenario, seconds: Mapping[str, Mapping[str, float]]
) -> float:
    """Return the longest path, or what the interval makes of all calls."""
    ends: dict[str, float] = {}
    for agent in graph:
        takes = seconds[SECONDARY][agent.name]
        if agent.routes[0].provider == PRIMARY and not scenario.down:
            slow = seconds[PRIMARY][agent.name] * scenario.slower
            takes = min(takes, max(slow, scenario.paused))
        needs = [ends[name] for name in graph.needs(agent.name)]
        ends[agent.name] = takes + max(needs, default=0.0)
    return max(*ends.values(), (len(graph) - 1) * INTERVAL + takes)


def drawn(graph: TeamGraph, spread: float, chance: random.Random) -> dict[str, dict[str, float]]:
    """Draw each provider's seconds for each agent."""
    return {
        name: {agent.name: MEDIAN * chance.lognormvariate(0, spread) for agent in graph}
        for name in (PRIMARY, SECONDARY)
    }


def run(
    graph: TeamGraph,
    scenario: Scenario,
    seconds: Mapping[str, Mapping[str, float]],
    settings: Settings,
) -> float:
    """Run the team once; return the seconds that it took."""
    clock = FakeClock()
    providers = {name: Vendor(name, scenario, seconds[name], clock) for name in seconds}
    limiter = PacingLimiter(settings, LocalInterval(clock.now), clock.now)
    session = Session(
        Host([]),
        settings,
        RunOptions(),
        clock,
        graph,
        SharedResources(providers, [limiter], Redactor.of(settings)),
    )
    with RunFolder.begin(Path(settings.runs), "Go", session.describe([])) as folder:
        began = clock.now()
        outcome = clock.run(session.run(folder))
        assert len(outcome.done) == len(graph), outcome
    return clock.now() - began


def ratios(scenario: Scenario, settings: Settings, rounds: int) -> tuple[float, float]:
    """Return the mean makespan over the least, nothing learned and learned."""
    graph = team()
    fresh, learned = [], []
    for number in range(rounds):
        chance = random.Random(number)
        with tempfile.TemporaryDirectory() as folder:
            for past in range(LEARNED + 1):
                seconds = drawn(graph, scenario.spread, chance)
                own = evolve(settings, runs=folder)
                ratio = run(graph, scenario, seconds, own) / least(graph, scenario, seconds)
                if past == 0:
                    fresh.append(ratio)
            learned.append(ratio)
    return fmean(fresh), fmean(learned)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    plain = Settings(interval=INTERVAL, state="")
    rules = {
        "fixed": plain,
        "spill": evolve(plain, balance=Balance.SPILL),
        "fastest": evolve(plain, balance=Balance.FASTEST),
        "fastest, hedged": evolve(plain, balance=Balance.FASTEST, hedge=True),
    }
    titles = [f"{name}, {when}" for name in rules for when in ("new", "learned")]
    print("| " + " | ".join(["", *titles]) + " |")
    print("|---|" + "--:|" * (2 * len(rules)))
    for scenario in SCENARIOS:
        cells = [
            f"{ratio:.2f}" for own in rules.values() for ratio in ratios(scenario, own, rounds)
        ]
        print(f"| {scenario.title} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
