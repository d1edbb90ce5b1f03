"""Both providers, replayed from cassettes: no key, no network."""

import asyncio

import pytest
from attrs import evolve

from replaying import CASES, FOLDER, HEADER, REQUEST, cassette, outcome, provider
from rolecall import ProviderError, Response
from rolecall.calls import judge


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_call_is_read_as_what_it_is(name: str) -> None:
    vendor, streamed, fault = CASES[name]
    made = provider(vendor)
    request = evolve(REQUEST, model=made.model, stream=streamed)  # type: ignore[attr-defined]
    with cassette(name) as tape:
        result = asyncio.run(outcome(made, request))
    assert tape.all_played
    if isinstance(result, ProviderError):
        assert result.cause == fault
        return
    assert isinstance(result, Response)
    assert (judge(result) or "") == fault
    assert result.usage.input > 0
    assert result.cost is not None
    if not fault:
        assert "Simulated reply" in result.text
        assert "— in UTF-8: ✓" in result.text


def test_a_call_that_was_not_recorded_is_no_failure_of_the_vendor() -> None:
    made = provider("claude")
    request = evolve(REQUEST, model=made.model, system="Something else.")  # type: ignore[attr-defined]
    with cassette("claude-stream"), pytest.raises(Exception, match="no recorded interaction"):
        asyncio.run(outcome(made, request))


def test_every_cassette_says_what_it_was_recorded_from() -> None:
    recorded = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    assert recorded == sorted(CASES)
    assert all(path.read_text("utf-8").startswith(HEADER) for path in FOLDER.glob("*.yaml"))
