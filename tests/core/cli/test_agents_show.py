"""One agent with its prompt, and the prompt as a file of one's own."""

from pathlib import Path

import pytest
from installing import ECHO, FAST, Shell

ROLE = "technical-writer"


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def test_an_agent_is_shown_with_where_it_runs_whom_it_needs_and_what_its_prompt_takes(
    shell: Shell,
) -> None:
    told = shell("agents", "show", ROLE, "--json").json
    assert told["title"] == "Technical Writer"
    assert told["routes"][0].startswith("gemini/")
    assert told["decided_by"] == "plugin roles (default)"
    assert told["needs"] == ["feature-analyst", "solution-architect", "code-implementer"]
    assert told["needed_by"] == ["plan-update-coordinator"]
    assert told["characters"] == len(told["prompt"]) + len(told["shared"])
    assert told["tools"][:2] == ["workspace.list", "workspace.read"]
    assert told["tokens"] > told["characters"] / 4 + 100  # the tools' descriptions are sent as well
    assert told["cost_usd"] > 0
    assert len(told["shared_with"]) == 12
    out = shell("agents", "show", ROLE).out
    for said in ("technical-writer: Technical Writer", "needed by", "plan-update-coordinator"):
        assert said in out
    assert told["prompt"].strip() in out
    assert told["shared"].strip() in out


def test_where_it_runs_may_be_asked_for_otherwise(shell: Shell) -> None:
    told = shell("agents", "show", ROLE, "--json", "--assign", f"{ROLE}=claude").json
    assert told["routes"][0].startswith("claude/")
    assert told["decided_by"] == "--assign"


def test_an_agent_that_is_switched_off_is_shown_as_that(shell: Shell) -> None:
    shell.configure(FAST + f"agents.{ROLE} = false\n")
    ended = shell("agents", "show", ROLE)
    assert "runs on     off" in ended.out


def test_a_price_that_nobody_knows_is_said_to_be_unknown(shell: Shell) -> None:
    shell.install("echo", ECHO)
    assert "at an unknown price" in shell("agents", "show", ROLE).out
    assert shell("agents", "show", ROLE, "--json").json["cost_usd"] is None


def test_what_a_prompt_holds_cannot_drive_the_terminal(shell: Shell) -> None:
    (shell.folder / "singer.md").write_text("You sing.\x1b[2J\u202e", "utf-8")
    shell.configure(FAST + 'agents.singer = { prompt = "singer.md", routes = "claude" }\n')
    assert "You sing.�[2J�" in shell("agents", "show", "singer").out


def test_an_unknown_agent_is_named_with_the_nearest(shell: Shell) -> None:
    ended = shell("agents", "show", "technical-riter")
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean 'technical-writer'?" in ended.err


def test_a_prompt_is_written_out_and_put_to_use_by_the_lines_that_are_shown(shell: Shell) -> None:
    before = shell("agents", "show", ROLE, "--json").json["prompt"]
    ended = shell("agents", "show", ROLE, "--eject")
    file = shell.folder / "prompts" / f"{ROLE}.md"
    assert file.read_text("utf-8").strip() == before.strip()
    assert f"the prompt is in {file}" in ended.err
    file.write_text("You write poems.", "utf-8")
    shell.configure(FAST + ended.out)
    assert shell("agents", "show", ROLE, "--json").json["prompt"] == "You write poems."


def test_a_written_prompt_keeps_the_routes_that_the_project_gives(shell: Shell) -> None:
    shell.configure(FAST + f'agents.{ROLE} = "claude"\n')
    ended = shell("agents", "show", ROLE, "--eject")
    assert "instead of the line that it has there now" in ended.err
    shell.configure(FAST + ended.out)
    told = shell("agents", "show", ROLE, "--json").json
    assert told["routes"][0].startswith("claude/")


def test_a_prompt_is_written_beside_the_projects_file(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = shell.folder / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert shell("agents", "show", ROLE, "--eject").code == 0
    assert (shell.folder / "prompts" / f"{ROLE}.md").is_file()


def test_a_file_that_is_there_is_not_overwritten(shell: Shell) -> None:
    shell("agents", "show", ROLE, "--eject")
    file = shell.folder / "prompts" / f"{ROLE}.md"
    file.write_text("Mine.", "utf-8")
    ended = shell("agents", "show", ROLE, "--eject")
    assert (ended.code, ended.out) == (2, "")
    assert "is there already" in ended.err
    assert file.read_text("utf-8") == "Mine."


def test_a_prompt_that_is_a_file_already_is_not_written_out(shell: Shell) -> None:
    (shell.folder / "mine.md").write_text("Mine.", "utf-8")
    shell.configure(FAST + f'agents.{ROLE}.prompt = "mine.md"\n')
    ended = shell("agents", "show", ROLE, "--eject")
    assert ended.code == 2
    assert f"the prompt of {ROLE} is a file already" in ended.err
