"""The two models that other programs can call."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rolecall import LLM
from rolecall_plugins.claude import create_claude_llm_with_monitoring
from rolecall_plugins.gemini import create_gemini_llm_with_monitoring
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread


@pytest.fixture
def simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    (tmp_path / "pyproject.toml").write_text("[tool.rolecall]\ninterval = 0\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    with serve_in_thread(Scenario()) as served:
        for vendor, base in (
            ("ANTHROPIC", served.anthropic_base),
            ("GEMINI", served.gemini_base),
        ):
            monkeypatch.setenv(f"{vendor}_API_KEY", "simulated")
            monkeypatch.setenv(f"{vendor}_API_BASE", base)
        yield served


MAKERS = [
    pytest.param(create_claude_llm_with_monitoring, "claude-sonnet-5-5", id="claude"),
    pytest.param(create_gemini_llm_with_monitoring, "gemini-2.5-pro", id="gemini"),
]


@pytest.mark.parametrize(("make", "model"), MAKERS)
def test_the_model_that_a_program_names_is_asked(
    simulator: Simulator, make: Callable[..., LLM], model: str
) -> None:
    assert make(model).call("What is it?")
    (arrival,) = simulator.arrivals
    assert (arrival.model, arrival.status) == (model, 200)


@pytest.mark.parametrize(("make", "model"), MAKERS)
def test_a_programs_system_prompt_and_limit_reach_the_vendor(
    simulator: Simulator, make: Callable[..., LLM], model: str
) -> None:
    assert make(model, system="Be brief. " * 100, max_output_tokens=150).call("What is it?")
    assert all(arrival.input_tokens > 200 for arrival in simulator.arrivals)
    assert all(arrival.output_tokens <= 150 for arrival in simulator.arrivals)
