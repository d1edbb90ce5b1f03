"""The first call of a process: what it waits for, and what waits for it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CODE = """
import asyncio, sys
from attrs import evolve
from rolecall import LLM, Settings
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import serve_in_thread

name = sys.argv[1]

async def main(provider, models):
    await asyncio.to_thread(provider.prepare)
    prepared = set(sys.modules)
    for model in models:
        await model.acall("?")
    print(*sorted(set(sys.modules) - prepared))

with serve_in_thread(Scenario()) as served:
    settings = Settings(interval=0).with_environment(
        ANTHROPIC_API_KEY="a-key", ANTHROPIC_API_BASE=served.anthropic_base,
        GEMINI_API_KEY="a-key", GEMINI_API_BASE=served.gemini_base,
    )
    module = __import__(f"rolecall_plugins.{name}", fromlist=[name])
    (provider,) = module.rolecall_providers(settings)
    ways = [settings, evolve(settings, stream=False)]
    asyncio.run(main(provider, [LLM(name, settings=each) for each in ways]))
"""


@pytest.mark.parametrize("name", ["claude", "gemini"])
def test_a_prepared_provider_imports_nothing_when_it_is_called_streamed_or_plain(name: str) -> None:
    command = [sys.executable, "-c", CODE, name]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
