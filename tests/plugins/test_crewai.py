"""Our models in a real CrewAI crew; `rolecall[crewai]` is an environment of its own."""

import asyncio
from typing import Any

import pytest
from building import failing, plugin

from rolecall import LLM, Host, Settings
from rolecall.testing import FakeProvider

pytest.importorskip("crewai", reason="CrewAI is not installed: pip install 'rolecall[crewai]'")

pytestmark = pytest.mark.filterwarnings("ignore")  # CrewAI's own


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("CREWAI_DISABLE_TELEMETRY", "OTEL_SDK_DISABLED", "CREWAI_TESTING"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))


def made(*providers: FakeProvider) -> Any:
    from rolecall_plugins.crewai import as_crewai

    host = Host([])
    host.register("all", plugin(providers=lambda: list(providers)))
    names = [provider.name for provider in providers]
    return as_crewai(LLM(*names, settings=Settings(attempts=1), host=host))


FINAL = "Thought: I now can give a great answer\nFinal Answer: a short poem"


def test_a_crew_works_on_our_models_with_their_fallback() -> None:
    from crewai import Agent, Crew, Task

    gemini, claude = FakeProvider("gemini", failing("overloaded")), FakeProvider("claude", [FINAL])
    poet = Agent(role="Poet", goal="write", backstory="You write.", llm=made(gemini, claude))
    task = Task(description="Write a poem.", expected_output="A poem.", agent=poet)
    result = Crew(agents=[poet], tasks=[task]).kickoff()
    assert result.raw == "a short poem"
    (request,) = claude.requests
    assert "You write." in request.system
    assert "Write a poem." in request.messages[-1].text


def test_a_text_ends_where_crewai_wants_it_to_stop() -> None:
    llm = made(FakeProvider("one", ["Action: look\nObservation: made up", "plain"]))
    llm.stop = ["\nObservation:"]
    assert llm.call("Look.") == "Action: look"
    assert asyncio.run(llm.acall([{"role": "user", "content": "Look."}])) == "plain"
