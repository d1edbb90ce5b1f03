"""`rolecall report`: what a run's calls came to."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from installing import Shell

FAULTS = ("--fault", "gemini:empty:1", "--fault", "claude:overloaded:1")


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    some = ("--only", "operator-intent-interpreter", "--only", "project-orchestrator")
    assert shell("run", "Build a shop", "--offline", *some, *FAULTS).code == 0
    return shell


def test_all_figures_of_a_run_are_shown_as_the_journal_has_them(shell: Shell) -> None:
    told = json.loads(shell("report", "--json").out)
    total = told["total"]
    assert (total["calls"], total["failed_calls"]) == (4, 2)
    assert total["cost_usd"] == pytest.approx(sum(call["cost_usd"] or 0 for call in told["calls"]))
    assert total["first_token_seconds"] > 0
    by_agent = told["agents"]["project-orchestrator"]
    assert by_agent["failed_calls"] == 1
    assert {call["cause"] for call in told["calls"]} == {None, "empty", "overloaded"}
    assert set(told["providers"]) == {"claude", "gemini"}

    rows = list(csv.DictReader(io.StringIO(shell("report", "--csv").out)))
    assert [int(row["output_tokens"]) for row in rows] == [
        call["output_tokens"] for call in told["calls"]
    ]

    shown = shell("report").out
    assert "By agent" in shown
    assert "project-orchestrator" in shown
    assert "all" in shown
    assert "\nDistribution: 1 of 2 on claude, 1 of 2 on gemini\n" in shown
    assert told["distribution"] == {"claude": 1, "gemini": 1}


def test_a_run_that_is_none_is_named(shell: Shell) -> None:
    ended = shell("report", "nowhere")
    assert ended.code == 2
    assert "nowhere" in ended.err


def test_the_distribution_is_said_to_have_come_otherwise_than_planned(shell: Shell) -> None:
    one = ("--only", "research-analyst", "--fault", "gemini:safety")
    assert shell("run", "Build a shop", "--offline", *one).code == 0
    line = "\nDistribution: 1 of 1 on claude (planned: 1 of 1 on gemini)\n"
    assert line in shell("report").out
    about = shell.folder / "runs" / "latest" / "run.toml"
    about.write_text("routes = 3\n", "utf-8")
    assert "\nDistribution: 1 of 1 on claude\n" in shell("report").out
    about.unlink()
    assert "\nDistribution: 1 of 1 on claude\n" in shell("report").out


def test_what_balancing_moved_is_shown_with_its_reason(shell: Shell) -> None:
    one = ("--only", "research-analyst", "--assign", "research-analyst=claude,gemini")
    ran = json.loads(
        shell("run", "Build a shop", "--offline", *one, "--balance", "cheapest", "--json").out
    )
    (moved,) = ran["moves"]
    assert (moved["agent"], moved["from"][:6], moved["to"][:6]) == (
        "research-analyst",
        "claude",
        "gemini",
    )
    assert moved["why"].startswith("cheapest, by $0.")
    assert json.loads(shell("report", "--json").out)["moves"] == ran["moves"]
    shown = shell("report").out
    assert "\nDistribution: 1 of 1 on gemini (planned: 1 of 1 on claude)\n" in shown
    assert "\nMoved by balancing:\n  research-analyst: claude" in shown


def test_a_rule_that_is_none_is_named(shell: Shell) -> None:
    ended = shell("run", "Build a shop", "--offline", "--balance", "fairest")
    assert ended.code == 2
    assert "'fairest' is not one of 'fixed', 'spill', 'fastest', 'cheapest'" in ended.err


# Agents that act.

ACTS = """
from rolecall import Agent, Response, Stop, ToolCall, Usage, hookimpl

TURNS = [
    [("workspace_write", {"path": "a.py", "content": "raise SystemExit(3)"})],
    [("workspace_read", {"path": "a.py"}), ("workspace_read", {"path": "b.py"})],
]


class Scripted:
    name = "scripted"
    model = "m"

    async def complete(self, request):
        round = sum(message.role == "assistant" for message in request.messages)
        if round >= len(TURNS):
            return Response("done", Usage(10, 5), cost=0.25)
        calls = [ToolCall(str(n), *call) for n, call in enumerate(TURNS[round])]
        return Response("", Usage(10, 5), stop=Stop.TOOL_USE, parts=tuple(calls), cost=0.25)


@hookimpl
def rolecall_providers():
    return [Scripted()]


@hookimpl
def rolecall_team():
    made = dict(prompt="You code.", routes=("scripted",), tools=("workspace",), verify=True)
    return [Agent(name="coder", title="Coder", goal="code", **made)]
"""


@pytest.fixture
def acted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.install("acts", ACTS)
    shell.configure(
        '[tool.rolecall]\ninterval = 0\nrepairs = 0\nsandbox = "none"\nblock = ["report"]\n'
        f'verify = ["{Path(sys.executable).as_posix()} a.py"]\n'
    )
    assert shell("run", "Build a shop").code == 0
    return shell


def test_the_conversations_with_tools_are_summed_up_with_what_was_verified(acted: Shell) -> None:
    told = json.loads(acted("report", "--json").out)
    assert told["loops"]["coder"] == {
        "rounds": 3,
        "tool_calls": 3,
        "failed_tool_calls": 1,
        "changes": 1,
        "tool_seconds": told["loops"]["coder"]["tool_seconds"],
        "cost_usd": 0.75,
    }
    assert told["tools"]["workspace.read"]["calls"] == 2
    (verified,) = told["verified"]
    assert (verified["passed"], verified["sandbox"]) == (False, "none")
    assert verified["checks"][0]["exit_status"] == 3

    shown = acted("report").out
    loops = shown.partition("Agents with tools\n")[2].partition("\n\n")[0].splitlines()
    assert loops[1].split()[:5] == ["coder", "3", "3", "1", "1"]
    assert loops[1].split()[-1] == "0.7500"
    assert "By tool\n" in shown
    assert "\nVerified: 0 of 1 checks passed, on a fresh copy of the workspace, without a " in shown
    assert " a.py`: FAILED (exit status 3)\n" in shown


def test_a_run_is_shown_with_what_its_agents_did(acted: Shell) -> None:
    shown = acted("runs", "show").out
    (line,) = (line for line in shown.splitlines() if line.startswith("coder"))
    assert "3 calls  $0.7500  3 tool calls, 1 failed, " in line
    assert "\nVerified: 0 of 1 checks passed" in shown


def test_a_run_of_agents_that_only_write_is_told_as_before(shell: Shell) -> None:
    assert "By tool" not in shell("report").out
    told = json.loads(shell("report", "--json").out)
    assert (told["tools"], told["loops"], told["verified"]) == ({}, {}, [])
