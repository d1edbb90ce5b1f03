"""`rolecall run --offline` leaves a small program that was mended by its checks, and starts."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from building import plugin
from installing import Shell

from rolecall import Settings
from rolecall.plugin.manager import Host
from rolecall.plugin.sandboxes import pick_sandbox
from rolecall.scheduling.checks.plan_head import split_head
from rolecall.storage.acting.workspace import GitWorkspace
from rolecall_plugins.simulator.content.offline import FAULTY, MENDED, PROGRAM, START
from rolecall_plugins.tools.sandboxes.unconfined import Unconfined

pytestmark = pytest.mark.slow
REQUEST = "Build a URL shortener"
BARE = """
[tool.rolecall]
interval = 0
block = ["report"]
"""


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    made = Shell(tmp_path, monkeypatch, capsys)
    made.configure(BARE)
    return made


def test_a_program_is_left_whose_test_failed_once_and_was_mended(shell: Shell) -> None:
    ended = shell("run", REQUEST, "--offline", "-o", "run")
    assert ended.code == 0
    verification = json.loads(shell.read("verification.json", "run"))
    assert [each["passed"] for each in verification["rounds"]] == [False, True, True]
    failed = verification["rounds"][0]["checks"][0]
    assert "test_the_same_address_keeps_its_code" in failed["output"]
    files = sorted(path.name for path in (shell.folder / "run" / "workspace").iterdir())
    assert files == ["README.md", PROGRAM, "test_shortener.py"]
    assert MENDED + FAULTY in shell.read(f"workspace/{PROGRAM}", "run")
    history = GitWorkspace(shell.folder / "run", {"PATH": os.environ["PATH"]})
    assert [commit.agent for commit in history.commits()] == [
        "technical-writer",
        "code-implementer",
    ]


def test_agents_of_both_vendors_read_and_write(shell: Shell) -> None:
    shell("run", REQUEST, "--offline", "-o", "run")
    records = [json.loads(line) for line in shell.read("journal.jsonl", "run").splitlines()]
    calls = {(each["agent"], each["tool"]) for each in records if each["type"] == "tool_ended"}
    assert {
        ("code-implementer", "workspace.write"),
        ("code-implementer", "register_checks"),
    } <= calls
    assert {
        ("technical-writer", "workspace.write"),
        ("quality-assurance", "workspace.read"),
    } <= calls
    used = {each["agent"]: each["provider"] for each in records if each["type"] == "call_ended"}
    assert (used["code-implementer"], used["technical-writer"]) == ("claude", "gemini")
    assert not any(each["is_error"] for each in records if each["type"] == "tool_ended")


def test_the_plan_s_words_hand_out_check_and_start_the_program(shell: Shell) -> None:
    shell("run", REQUEST, "--offline", "-o", "run")
    head, _ = split_head(shell.read("PLAN.md", "run"))
    hand_out, change, check, start = (
        line.strip() for line in head.splitlines() if line.startswith("    ")
    )
    os.chdir(shell.folder / "run")
    assert shell(*hand_out.split()[1:]).code == 0
    program = (shell.folder / "run" / change.partition(" ")[2]).resolve()
    python = {"python3": sys.executable, "python": sys.executable}
    tested = subprocess.run(
        [python[check.split()[0]], *check.split()[1:]], cwd=program, capture_output=True, timeout=60
    )
    assert tested.returncode == 0, tested.stderr
    assert start == START
    command = [python[start.split()[0]], *start.split()[1:], "0"]
    with subprocess.Popen(command, cwd=program, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[0]
            form = b"address=https%3A%2F%2Fexample.com%2Flong"
            with urllib.request.urlopen(f"{url}/", form, timeout=10) as answer:
                assert '<a href="/1">' in answer.read().decode()
        finally:
            server.terminate()


def test_without_a_sandbox_the_run_says_so(shell: Shell) -> None:
    shell.configure(f'{BARE}sandbox = "none"\n')
    ended = shell("run", REQUEST, "--offline", "-o", "run")
    assert ended.code == 0
    assert json.loads(shell.read("verification.json", "run"))["sandbox"] == "none"
    assert "without a sandbox" in shell.read("PLAN.md", "run")


def test_what_is_ours_runs_where_no_sandbox_works_and_what_is_a_cassette_s_does_not() -> None:
    class Lacking(Unconfined):
        name = "other"

        def missing(self) -> str | None:
            return "it is not installed"

    host = Host(points=())
    host.register("own", plugin(sandboxes=lambda: [Lacking({}), Unconfined({})]))
    ours = pick_sandbox(host, Settings(rehearsal=True, trusts_commands=True))
    assert ours.sandbox is not None
    assert ours.sandbox.name == "none"
    cassette = pick_sandbox(host, Settings(rehearsal=True))
    assert (cassette.sandbox, cassette.why) == (None, "other: it is not installed")


@pytest.mark.parametrize("setting", ["tools = false", 'verify = ["exit 0"]'])
def test_the_run_is_whole_whatever_agents_may_do(shell: Shell, setting: str) -> None:
    shell.configure(f"{BARE}{setting}\n")
    ended = shell("run", REQUEST, "--offline", "-o", "run")
    assert ended.code == 0
    acted = (shell.folder / "run" / "workspace").exists()
    assert acted == (setting != "tools = false")


def test_a_change_of_plan_is_worked_in(shell: Shell) -> None:
    shell("run", REQUEST, "--offline", "-o", "run")
    ended = shell("update", "run", "The code-implementer shall count the visits", "--offline")
    assert ended.code == 0
    assert json.loads(shell.read("verification.json", "run"))["passed"] is True
