"""`rolecall report`: what a run's calls came to."""

import csv
import io
import json
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
