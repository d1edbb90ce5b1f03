"""Both providers against the simulator: contracts, settings, and what goes over the wire."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from vendors import REQUEST, provider

from rolecall import (
    CallProgress,
    Cause,
    ProviderError,
    ProviderSettings,
    Request,
    Response,
    Settings,
)
from rolecall.testing import ProviderContract
from rolecall_plugins import claude, gemini
from rolecall_plugins.cassettes.recorder import Recorder
from rolecall_plugins.cassettes.recording import patched
from rolecall_plugins.cassettes.redaction import Redaction
from rolecall_plugins.providers.anthropic import CLAUDE
from rolecall_plugins.providers.google import GEMINI
from rolecall_plugins.simulator.scenario import Fault, Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with serve_in_thread(Scenario()) as served:
        yield served


def at(served: Simulator, name: str, **more: Any) -> Any:
    bases = {"ANTHROPIC_API_BASE": served.anthropic_base, "GEMINI_API_BASE": served.gemini_base}
    return provider(name, **{**bases, **more})


@contextmanager
def recorded() -> Iterator[Recorder]:
    tape = Recorder(Path("unsaved.yaml"), Redaction())
    with patched(tape):
        yield tape


async def complete(made: Any, request: Request) -> Response:
    try:
        response: Response = await made.complete(request)
        return response
    finally:
        await made.aclose()


class _Simulated(ProviderContract):
    name = ""

    @pytest.fixture(autouse=True)
    def _served(self, simulator: Simulator) -> None:
        self.provider = at(simulator, self.name)


class TestClaude(_Simulated):
    name = "claude"


class TestGemini(_Simulated):
    name = "gemini"


@pytest.mark.parametrize("name", ["claude", "gemini"])
def test_the_moment_of_sending_is_told_before_the_request_arrives(
    name: str, simulator: Simulator
) -> None:
    arrived: list[int] = []

    class Gate(CallProgress):
        async def sending(self) -> None:
            arrived.append(len(simulator.arrivals))

    made = at(simulator, name)
    asyncio.run(complete(made, evolve(REQUEST, model=made.model, progress=Gate())))
    assert arrived == [0]
    assert len(simulator.arrivals) == 1


@pytest.mark.parametrize("name", ["claude", "gemini"])
def test_a_stream_that_stalls_is_given_up_after_the_idle_limit(name: str) -> None:
    scenario = Scenario(faults=(Fault.parse(f"{name}:timeout@variant=stall"),))
    with serve_in_thread(scenario) as served:
        made = at(served, name)
        with pytest.raises(ProviderError, match=r"no sign of life for 0\.2 s") as caught:
            asyncio.run(complete(made, evolve(REQUEST, model=made.model, idle_timeout=0.2)))
        assert caught.value.cause == Cause.TIMEOUT


@pytest.mark.parametrize("name", ["claude", "gemini"])
def test_max_tokens_is_always_sent_and_temperature_only_when_set(name: str) -> None:
    with serve_in_thread(Scenario()) as served, recorded() as tape:
        made = at(served, name)
        asyncio.run(complete(made, evolve(REQUEST, model=made.model, stream=False)))
    (sent,) = tape.interactions
    assert sent.canonical.parameters == (("max_output_tokens", "512"),)


def test_a_missing_key_is_named() -> None:
    (made,) = gemini.rolecall_providers(Settings())
    assert made.missing() == "GEMINI_API_KEY or GOOGLE_API_KEY is not set"  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["sk-ant-\N{BULLET}\N{BULLET}", "sk-ant-one\nsk-ant-two", "a\x00"])
def test_a_key_that_cannot_be_sent_is_not_shown_but_named(key: str) -> None:
    (made,) = claude.rolecall_providers(Settings(environment={"ANTHROPIC_API_KEY": key}))
    lines = {made.missing(), *made.diagnose([])}  # type: ignore[attr-defined]
    assert lines == {
        "ANTHROPIC_API_KEY holds a character that no key has; copy it again from "
        "https://console.anthropic.com/settings/keys"
    }


def test_of_two_variables_the_one_with_the_wrong_key_is_named() -> None:
    (made,) = gemini.rolecall_providers(Settings(environment={"GOOGLE_API_KEY": "\N{BULLET}"}))
    assert made.missing().startswith("GOOGLE_API_KEY holds")  # type: ignore[attr-defined]


def test_the_older_name_of_geminis_key_will_do() -> None:
    (made,) = gemini.rolecall_providers(Settings(environment={"GOOGLE_API_KEY": "k"}))
    assert made.missing() is None  # type: ignore[attr-defined]


def test_model_and_endpoint_come_from_the_settings() -> None:
    own = ProviderSettings(model="claude-x", api_base="http://127.0.0.1:1/v1")
    (made,) = claude.rolecall_providers(Settings(providers={"claude": own}))
    assert made.model == "claude-x"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("base", "completed"),
    [
        ("http://h", "http://h/v1beta"),
        ("http://h/", "http://h/v1beta"),
        ("http://h/v1alpha", "http://h/v1alpha"),
    ],
)
def test_geminis_endpoint_gets_its_version_where_none_is_named(base: str, completed: str) -> None:
    assert GEMINI.endpoint(base) == completed


@pytest.mark.parametrize("base", ["http://h", "http://h/", "http://h/v1", "http://h/v1/messages"])
def test_claudes_endpoint_may_be_written_with_its_path(base: str) -> None:
    assert CLAUDE.endpoint(base) == "http://h"


def test_the_largest_output_is_that_of_the_bundled_map() -> None:
    made: Any = provider("claude")
    assert made.max_output_tokens("claude-sonnet-5-5") == 128_000
    assert made.max_output_tokens("no-such-model") is None


def test_an_unknown_models_price_is_unknown(simulator: Simulator) -> None:
    made = at(simulator, "claude")
    response = asyncio.run(complete(made, evolve(REQUEST, model="claude-of-tomorrow")))
    assert response.usage.output > 0
    assert response.cost is None


def ask(name: str, simulator: Simulator, **more: Any) -> Response:
    made = at(simulator, name)
    return asyncio.run(complete(made, evolve(REQUEST, model=made.model, **more)))


def test_claude_is_told_to_keep_a_long_system_prompt_that_others_share(
    simulator: Simulator,
) -> None:
    shared: dict[str, Any] = {"system": "word " * 900, "shares_system": True}
    response = ask("claude", simulator, **shared)
    assert response.usage.cache_write == 1125
    again = ask("claude", simulator, **shared)
    assert again.usage == evolve(response.usage, cache_write=0, cache_read=1125)
    assert again.cost is not None
    assert response.cost is not None
    assert again.cost < response.cost


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("claude", {"system": "word " * 900}),
        ("claude", {"system": "short", "shares_system": True}),
        ("gemini", {"system": "word " * 5000, "shares_system": True}),
    ],
)
def test_nothing_is_marked_where_that_does_not_pay(
    name: str, asked: dict[str, Any], simulator: Simulator
) -> None:
    assert ask(name, simulator, **asked).usage.cache_write == 0
    assert len(simulator.arrivals) == 1  # and no other request sets up a cache


@pytest.mark.parametrize(
    ("before", "collecting", "frozen"), [("", "True", "True"), ("gc.disable()", "False", "False")]
)
def test_what_an_import_of_litellm_makes_is_spared_by_the_garbage_collector(
    before: str, collecting: str, frozen: str, tmp_path: Path
) -> None:
    (tmp_path / "litellm.py").write_text("made = [[] for _ in range(100_000)]", "utf-8")
    code = f"""
import gc
from rolecall_plugins.providers.litellm_import import import_litellm
{before}
import_litellm()
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [collecting, frozen]
