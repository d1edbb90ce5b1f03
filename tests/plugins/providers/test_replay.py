"""Both providers, replayed from cassettes: no key, no network.

`pytest tests/plugins/providers/test_replay.py --record-mode=all` records them anew, from the
simulator.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import evolve
from places import ROOT
from vendors import PLUGINS, REQUEST, provider

from rolecall import Provider, ProviderError, Request, Response
from rolecall.execution.judge import judge
from rolecall_plugins.cassettes.errors import Miss
from rolecall_plugins.cassettes.files.reader import load
from rolecall_plugins.simulator.scenario import Fault, Scenario
from rolecall_plugins.simulator.server import serve_in_thread

FOLDER = ROOT / "cassettes" / "test_replay"
# name: provider, streamed, fault
CASES = {
    f"{provider}-{'stream' if streamed else 'plain'}{f'-{fault}' if fault else ''}": (
        provider,
        streamed,
        fault,
    )
    for provider in PLUGINS
    for streamed in (True, False)
    for fault in ("", "empty", "thinking_only", "truncated", "rate_limited", "overloaded", "auth")
    if (provider, fault) != ("claude", "thinking_only")
}
RECORDED = [
    pytest.param(name, marks=pytest.mark.cassette(f"test_replay/{name}.yaml")) for name in CASES
]


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_call_is_read_as_what_it_is(name: str, cassette: Any) -> None:
    vendor, streamed, fault = CASES[name]
    with calling(vendor, fault, cassette.recording) as made:
        request = evolve(REQUEST, model=made.model, stream=streamed)  # type: ignore[attr-defined]
        result = asyncio.run(outcome(made, request))
    if isinstance(result, ProviderError):
        assert result.cause == fault
        return
    assert (judge(result) or "") == fault
    assert result.usage.input > 0
    assert result.cost is not None
    if not fault:
        assert "Simulated reply" in result.text
        assert "— in UTF-8: ✓" in result.text


@pytest.mark.cassette("test_replay/claude-stream.yaml")
def test_a_call_that_was_not_recorded_is_no_failure_of_the_vendor(cassette: Any) -> None:
    if cassette.recording:
        pytest.skip("another test records it")
    made = provider("claude")
    other = evolve(REQUEST, model=made.model, system="Something else.")  # type: ignore[attr-defined]
    with pytest.raises(Miss, match="is not in the cassette"):
        asyncio.run(outcome(made, other))
    cassette.misses.clear()
    cassette.interactions.clear()


def test_every_cassette_says_what_it_was_recorded_from() -> None:
    recorded = sorted(FOLDER.glob("*.yaml"))
    assert {path.stem for path in recorded} == set(CASES)
    assert {load(path)[0].source for path in recorded} == {
        "rolecall's simulator, not from a vendor"
    }


@contextmanager
def calling(name: str, fault: str, recording: bool) -> Iterator[Provider]:
    """Make a provider; where it is recorded, one that calls the simulator."""
    if not recording:
        yield provider(name)
        return
    faults = (Fault.parse(f"{name}:{fault}"),) if fault else ()
    with serve_in_thread(Scenario(faults=faults)) as served:
        bases = {"ANTHROPIC_API_BASE": served.anthropic_base, "GEMINI_API_BASE": served.gemini_base}
        yield provider(name, **bases)


async def outcome(made: Provider, request: Request) -> Response | ProviderError:
    try:
        return await made.complete(request)
    except ProviderError as error:
        return error
    finally:
        await made.aclose()  # type: ignore[attr-defined]
