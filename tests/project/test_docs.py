"""What docs/plugins.md and docs/library.md show is run as it stands there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from installing import Shell, installed, ran
from places import ROOT

from rolecall import Message, ToolCall, ToolResult, ToolSpec, Verbatim
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"
PLUGINS = (DOCS / "plugins.md").read_text("utf-8")
LIBRARY = re.findall(r"```python\n(.*?)```", (DOCS / "library.md").read_text("utf-8"), re.DOTALL)
MODULES = re.findall(r"`(rolecall_\w+)\.py`.*?```python\n(.*?)```", PLUGINS, re.DOTALL)
TESTS = re.findall(r"```python\n((?:(?!```).)*?(?:class Test|def test_).*?)```", PLUGINS, re.DOTALL)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with serve_in_thread(Scenario()) as served:
        yield served


def project(folder: Path, module: str, code: str, test: str) -> Path:
    (folder / "tests").mkdir()
    (folder / f"{module}.py").write_text(code, "utf-8")
    (folder / "tests" / "test_it.py").write_text(test, "utf-8")
    installed(folder, module.removeprefix("rolecall_"))
    return folder


def test_the_tutorial_is_short() -> None:
    lines = (MODULES[0][1] + TESTS[0]).splitlines()
    assert len(list(filter(str.strip, lines))) < 40


def test_the_tutorial_works_to_the_letter(tmp_path: Path, simulator: Simulator) -> None:
    module, code = MODULES[0]
    assert module == "rolecall_mini"
    folder = project(tmp_path, module, code.replace("127.0.0.1:8765", simulator.url[7:]), TESTS[0])
    (folder / "pyproject.toml").write_text("[tool.rolecall]\ninterval = 0\n", "utf-8")
    pytest_ = ("pytest", "-q", "-p", "no:cacheprovider")
    recorded = ran(folder, *pytest_, "--record-mode=once")
    assert "4 passed" in recorded.stdout, recorded.stdout
    arrivals = len(simulator.arrivals)
    assert arrivals == 2
    replayed = ran(folder, *pytest_)
    assert "4 passed" in replayed.stdout, replayed.stdout
    assert len(simulator.arrivals) == arrivals
    cli = ("-c", "from rolecall.cli.main import main; main()")
    command = [sys.executable, *cli, "run", "Build it", "--only", "feature-analyst"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    assert "\n1 of 1 agents in " in done.stdout
    agents = subprocess.run(
        [sys.executable, *cli, "agents"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert agents.stdout.count("plugin mini") == 2


@pytest.mark.parametrize("place", range(1, len(MODULES)), ids=[name for name, _ in MODULES[1:]])
def test_every_other_plugin_of_the_page_keeps_its_contract(tmp_path: Path, place: int) -> None:
    folder = project(tmp_path, *MODULES[place], TESTS[place])
    done = ran(folder, "pytest", "-q", "-p", "no:cacheprovider")
    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE), done.stdout
    assert MODULES[place][0] in TESTS[place]


def test_the_page_has_a_plugin_for_each_of_five_kinds() -> None:
    assert len(MODULES) == len(TESTS) == 5


def test_what_the_page_writes_and_reads_of_tools_is_what_the_vendor_means(
    simulator: Simulator,
) -> None:
    (code,) = re.findall(r"```python\n((?:(?!```).)*?def offered.*?)```", PLUGINS, re.DOTALL)
    page: dict[str, Any] = {}
    exec(code, page)
    look = ToolSpec("look", "Look.", {"type": "object", "properties": {"path": {}}})
    call, result = ToolCall("a", "look", {"path": "x"}), ToolResult("seen", False, "a", "look")
    foreign = Verbatim("other", {"signature": "c2ln"})
    turns = (
        Message("user", "Look."),
        Message("assistant", "I look.", (foreign, call)),
        Message("user", parts=(result,)),
    )
    body = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "tools": [page["offered"](look)],
        "tool_choice": {"type": "any"},
        "messages": [page["turn"](each) for each in turns],
    }
    reply = httpx.post(f"{simulator.url}/v1/messages", json=body, headers={"x-api-key": "any"})
    (answer,) = [page["part"](block) for block in reply.raise_for_status().json()["content"]]
    assert isinstance(answer, ToolCall)
    assert (answer.name, page["part"](page["block"](answer))) == ("look", answer)


@pytest.mark.parametrize(
    "code", LIBRARY[:7], ids=["run", "plan", "events", "consent", "own-team", "llm", "stream"]
)
def test_the_page_on_programs_shows_what_works(
    code: str,
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell = Shell(tmp_path, monkeypatch, capsys)
    (shell.folder / ".env").write_text(
        f"ANTHROPIC_API_KEY=simulated\nANTHROPIC_API_BASE={simulator.anthropic_base}\n"
        f"GEMINI_API_KEY=simulated\nGEMINI_API_BASE={simulator.gemini_base}\n",
        "utf-8",
    )
    exec(compile(code, "library.md", "exec"), {"__name__": "__main__"})
    out, err = capsys.readouterr()
    assert out
    assert not err
