"""`rolecall cassettes`: what no longer matches the team, and what is in a cassette."""

import re
from pathlib import Path

import pytest
from installing import Shell

TWO = ("--only", "operator-intent-interpreter", "--only", "project-orchestrator")


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    made = Shell(tmp_path, monkeypatch, capsys)
    assert made("run", "Build it", "--offline", "--record", "cassettes/a/two.yaml", *TWO).code == 0
    return made


def change(shell: Shell, old: str, new: str) -> None:
    path = shell.folder / "cassettes/a/two.yaml"
    path.write_text(re.sub(old, new, path.read_text("utf-8"), count=1), "utf-8")


def test_a_cassette_of_today_matches_the_team(shell: Shell) -> None:
    ended = shell("cassettes", "check")
    assert (ended.code, ended.out) == (0, "")
    assert "rolecall: 0 of 1 cassettes no longer match the team" in ended.err


def test_a_changed_prompt_makes_a_cassette_stale(shell: Shell) -> None:
    change(shell, r"prompt: '?\w+'?", "prompt: other")
    ended = shell("cassettes", "check", "--json")
    assert ended.code == 1
    assert ended.json[0]["file"] == "cassettes/a/two.yaml"
    assert ended.json[0]["reasons"] == [
        "operator-intent-interpreter: its prompt or its needs have changed"
    ]


def test_another_model_makes_a_cassette_stale(shell: Shell) -> None:
    shell.configure('[tool.rolecall.providers.claude]\nmodel = "claude-opus-5-5"\n')
    ended = shell("cassettes", "check")
    assert ended.code == 1
    assert "project-orchestrator: it runs on claude/claude-opus-5-5 now" in ended.out


def test_what_was_assigned_for_once_is_not_compared(shell: Shell) -> None:
    assigned = ("--assign", "operator-intent-interpreter=claude/claude-opus-5-5")
    shell("run", "Build it", "--offline", "--record", "cassettes/a/two.yaml", *TWO, *assigned)
    assert shell("cassettes", "check").code == 0


CHANGING = """
from attrs import evolve
from rolecall import hookimpl


@hookimpl
def rolecall_team(agents):
    return [evolve(each, prompt=f"{each.prompt} Now.", shared="Other rules.") for each in agents]
"""


def test_a_pinned_cassette_replays_when_the_prompts_have_changed(shell: Shell) -> None:
    assert "holds the prompts of 2 agents" in shell("cassettes", "pin", "cassettes/a/two.yaml").err
    shell.install("changing", CHANGING)
    assert shell("run", "--replay", "cassettes/a/two.yaml", "-o", "replayed").code == 0
    assert shell("cassettes", "check").code == 0


def test_what_the_team_is_told_now_is_not_pinned_to_what_it_was_told(shell: Shell) -> None:
    shell.install("changing", CHANGING)
    ended = shell("cassettes", "pin", "cassettes/a/two.yaml")
    assert ended.code == 2
    assert (
        "operator-intent-interpreter is not told any more what it was; record it again" in ended.err
    )
    assert shell("run", "--replay", "cassettes/a/two.yaml", "-o", "replayed").code == 1


def test_an_agent_that_is_gone_makes_a_cassette_stale(shell: Shell) -> None:
    change(shell, "    project-orchestrator:\n", "    the-old-one:\n")
    assert "the-old-one: it is no agent any more" in shell("cassettes", "check").out


def test_what_a_test_recorded_is_not_compared_with_the_team(shell: Shell) -> None:
    """A test of one's own asks whichever models and agents it likes."""
    own = shell.folder / "cassettes" / "own.yaml"
    text = (shell.folder / "cassettes/a/two.yaml").read_text("utf-8")
    without_team = re.sub(r"(?m)^  team:\n(    .*\n)*", "", text)
    assert "team:" not in without_team
    own.write_text(re.sub(r"model: claude-sonnet-5-5", "model: claude-3", without_team), "utf-8")
    ended = shell("cassettes", "check")
    assert (ended.code, ended.out) == (0, "")
    assert "0 of 2 cassettes no longer match the team; 1 hold no team" in ended.err


def test_a_team_that_a_test_ran_by_itself_is_not_compared_either(shell: Shell) -> None:
    change(shell, r"(    \S+:\n)      prompt: '?\w+'?\n", r"\1")
    change(shell, r"(    \S+:\n)      prompt: '?\w+'?\n", r"\1")
    change(shell, "    project-orchestrator:\n", "    an-agent-of-the-test:\n")
    assert shell("cassettes", "check").code == 0


def test_a_cassette_that_cannot_be_read_does_not_hide_the_others(shell: Shell) -> None:
    (shell.folder / "cassettes" / "bad.yaml").write_text("interactions: [1]", "utf-8")
    change(shell, r"prompt: '?\w+'?", "prompt: other")
    ended = shell("cassettes", "check", "--json")
    assert ended.code == 1
    assert [Path(entry["file"]).name for entry in ended.json] == ["bad.yaml", "two.yaml"]
    (reason,) = ended.json[0]["reasons"]
    assert "interactions[0] must be a mapping, and is a number" in reason


def test_the_oldest_comes_first(shell: Shell) -> None:
    change(shell, r"prompt: '?\w+'?", "prompt: other")
    text = (shell.folder / "cassettes/a/two.yaml").read_text("utf-8")
    older = re.sub(r"recorded: '[\d-]+'", "recorded: '2025-01-01'", text)
    (shell.folder / "cassettes/zzz.yaml").write_text(older, "utf-8")
    listed = shell("cassettes", "check", "--json").json
    assert [Path(each["file"]).name for each in listed] == ["zzz.yaml", "two.yaml"]


def test_a_cassette_that_is_not_there_is_a_usage_error(shell: Shell) -> None:
    assert shell("cassettes", "check", "none.yaml").code == 2
    assert shell("cassettes", "show", "none.yaml").code == 2


def test_a_cassette_is_shown_as_a_conversation(shell: Shell) -> None:
    shown = shell("cassettes", "show", "cassettes/a/two.yaml").out
    assert shown.startswith("recorded from rolecall's simulator, not from a vendor on ")
    assert "\noperator-intent-interpreter → gemini/gemini-3.8-flash" in shown
    assert "\n── user ─" in shown
    assert "\n── reply 200 ─" in shown
    assert "> **Simulated reply.** Written by rolecall's simulator" in shown
    assert shown.count("(the same as before)") == 1


def test_an_error_is_shown_by_its_cause(shell: Shell) -> None:
    fault = ("--fault", "gemini:overloaded:1")
    shell("run", "Build it", "--offline", "--record", "cassettes/b.yaml", *TWO, *fault)
    assert "[overloaded] HTTP 503" in shell("cassettes", "show", "cassettes/b.yaml").out


def test_nothing_in_a_cassette_drives_the_terminal(shell: Shell) -> None:
    change(shell, r"  request: Build it", r'  request: "Build \\e]0;it\\a\\u202e it"')
    shown = shell("cassettes", "show", "cassettes/a/two.yaml").out
    assert "Build �]0;it�� it" in shown
