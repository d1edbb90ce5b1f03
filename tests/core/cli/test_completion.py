"""What a shell is offered while a command is typed."""

from pathlib import Path

import pytest
from installing import ECHO, FAST, Shell


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.install("echo", ECHO)
    return shell


def offered(shell: Shell, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """Return what is offered for the last word."""
    monkeypatch.setenv("_ROLECALL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["rolecall", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    ended = shell()
    assert ended.err == ""
    return [line.partition(",")[2] for line in ended.out.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (["run", "--only", "fe"], ["feature-analyst"]),
        (["resume", "--skip", "fe"], ["feature-analyst"]),
        (["rerun", "--from", "fe"], ["feature-analyst"]),
        (["agents", "show", "fe"], ["feature-analyst"]),
        (["run", "--assign", "fe"], ["feature-analyst="]),
        (["run", "--assign", "feature-analyst=e"], ["feature-analyst=echo"]),
        (["run", "--assign", "feature-analyst=echo,g"], ["feature-analyst=echo,gemini"]),
        (["run", "-p", "no:ec"], ["no:echo"]),
        (["plugins", "-p", "no:ec"], ["no:echo"]),
        (["-p", "no:ec"], ["no:echo"]),
        (["run", "--off"], ["--offline"]),
    ],
)
def test_agents_routes_plugins_and_options_are_offered(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: list[str], offers: list[str]
) -> None:
    assert offered(shell, monkeypatch, *words) == offers


@pytest.mark.parametrize(
    "words",
    [
        ["resume", ""],
        ["report", ""],
        ["update", ""],
        ["runs", "show", ""],
        ["runs", "diff", "old", ""],
        ["runs", "rm", ""],
    ],
)
def test_runs_are_offered(shell: Shell, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    for name in ("old", "new"):
        shell("run", "Build it", "--only", "feature-analyst", "-o", f"runs/{name}")
    assert sorted(offered(shell, monkeypatch, *words)) == ["new", "old"]


def test_an_agent_of_the_project_is_offered(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (shell.folder / "singer.md").write_text("You sing.", "utf-8")
    shell.configure(FAST + 'agents.singer = { prompt = "singer.md", routes = "echo" }\n')
    assert offered(shell, monkeypatch, "run", "--only", "si") == ["singer"]


def test_nothing_is_offered_and_nothing_said_where_a_plugin_is_wrong(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from rolecall import hookimpl\n\n@hookimpl\ndef rolecall_agents():\n    return [1]\n"
    shell.install("wrong", code)
    assert offered(shell, monkeypatch, "run", "--only", "fe") == []
