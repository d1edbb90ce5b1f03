"""What our own code costs, counted in what is imported and called, which is alike everywhere."""

import asyncio
import gc
import subprocess
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from building import agent, plugin

from rolecall import Host, Request, Response, Settings, Team
from rolecall.testing import FakeProvider
from rolecall_plugins import ratelimit as pacing

pytestmark = pytest.mark.slow

# What takes a good part of the time that a command has to answer at once.
SLOW = {"asyncio", "cattrs", "email", "importlib.metadata", "litellm", "logging", "rich", "ssl"}
PACKAGES = ("/rolecall/", "/rolecall_plugins/")


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        (["--help"], {*SLOW, "attrs"}),
        (["agents"], SLOW),
        (["plugins"], SLOW),
        (["runs", "list"], SLOW - {"logging"}),
    ],
)
def test_a_command_that_lists_imports_nothing_slow(
    arguments: list[str], spared: set[str], tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.argv = ['rolecall', *{arguments}]\nfrom rolecall.cli.main import main\n"
    )
    code += "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    imported = ran.stderr.split()
    print(f"{' '.join(arguments)}: {len(imported)} modules")
    assert not spared & set(imported)


def counted(team: Team) -> int:
    """Run a team; count the calls of functions of ours."""
    calls = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        if event == "call" and any(each in frame.f_code.co_filename for each in PACKAGES):
            calls += 1

    async def run() -> None:
        sys.setprofile(count)
        try:
            result = await team.run("Build it.")
        finally:
            sys.setprofile(None)
        assert result.ok

    asyncio.run(run())
    return calls


class Forgetful(FakeProvider):
    async def complete(self, request: Request) -> Response:
        self.requests.clear()
        return await super().complete(request)


def flat(number: int, settings: Settings, limiter: ModuleType | None = pacing) -> Team:
    agents = [agent(f"a{each}") for each in range(number)]
    host = Host([])
    host.register("one", plugin(providers=lambda: [Forgetful("one")]))
    if limiter is not None:
        host.register("pacing", limiter)
    return Team(agents, settings=settings, host=host)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(interval=0, quiet=True, runs=str(tmp_path / "runs"))


def test_a_call_costs_the_same_in_a_team_of_any_size(settings: Settings) -> None:
    counted(flat(2, settings))
    few, many = counted(flat(50, settings)), counted(flat(400, settings))
    each = (many - few) / 350
    print(f"{each:.0f} calls of ours for each agent, {few / 50:.0f} in a team of 50")
    assert each <= 1.1 * few / 50


def test_many_runs_leave_nothing_behind_in_memory(settings: Settings) -> None:
    async def run(times: int) -> int:
        team = flat(1, settings, None)  # a limiter remembers the last minute
        for number in range(times):
            await team.run("Build it.", Path(settings.runs) / f"{times}-{number}")
        gc.collect()
        return len(gc.get_objects())

    asyncio.run(run(5))
    few, many = asyncio.run(run(10)), asyncio.run(run(70))
    print(f"{many - few:+} objects after 60 more runs")
    assert many - few < 60
