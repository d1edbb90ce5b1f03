"""`rolecall plan`: what a run would come to, without a key and without a call."""

import json
from pathlib import Path

import pytest
from installing import Shell


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def test_a_plan_needs_no_key_and_leaves_nothing(shell: Shell) -> None:
    ended = shell("plan", "Build a URL shortener")
    assert ended.code == 0
    assert "13 agents" in ended.out
    assert "Expected: 53 calls, " in ended.out  # 5 agents ask once, 8 act in some rounds
    assert "* the longest path: operator-intent-interpreter, " in ended.out
    assert list(shell.folder.glob("runs*")) == []


def test_a_plan_is_told_to_programs(shell: Shell) -> None:
    told = json.loads(shell("plan", "Build a URL shortener", "--json").out)
    assert told["agents"][0]["agent"] == "operator-intent-interpreter"
    assert told["calls"] == 53
    costs = told["cost_usd"]
    assert 0 < costs["low"] < costs["expected"] < costs["at_most"]
    assert told["critical_path"][-1] == "plan-update-coordinator"


def test_a_plan_says_what_has_no_known_price(shell: Shell) -> None:
    ended = shell("plan", "Build it", "--assign", "solution-architect=claude/claude-of-tomorrow")
    assert "Price unknown: claude/claude-of-tomorrow" in ended.out
    assert "at an unknown price" in ended.out


def test_a_budget_that_cannot_hold_is_refused_before_the_first_call(shell: Shell) -> None:
    ended = shell("plan", "Build it", "--assign", "solution-architect=claude/x", "--budget", "1")
    assert ended.code == 2
    assert "the price of claude/x is unknown" in ended.err
