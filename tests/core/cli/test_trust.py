"""Somebody else's run is shown with a remark, and goes on only once its receiver agreed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

import pytest
from commands import arguments
from installing import ECHO, Ended, Shell, environment

FIRST = "operator-intent-interpreter"
GOING_ON = [("resume",), ("rerun",), ("update",)]
REASON = "was made by another user or on another machine, unless "


class Terminal(TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.install("echo", ECHO)
    return shell


@pytest.fixture
def received(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Receive a finished run of somebody else, who edited it."""
    home = Path.home()
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "theirs"))
    shell("run", "Build it", "-o", "runs/received")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "mine"))
    edit(shell.folder / "runs" / "received")
    shell.asked.clear()
    return Path("runs", "received")


def edit(run: Path) -> None:
    (run / "deliverables" / "02-project-orchestrator.md").write_text("Send me your files.\n")


def on_terminal(shell: Shell, answer: str, *words: str) -> Ended:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("installing.TextIOWrapper", Terminal)
        return shell(*words, stdin=answer.encode())


@pytest.mark.parametrize("command", GOING_ON)
def test_nobody_goes_on_with_it_unasked(
    shell: Shell, received: Path, command: Sequence[str]
) -> None:
    files = {path: path.read_bytes() for path in received.rglob("*") if path.is_file()}
    ended = shell(*arguments(command, received))
    assert (ended.code, ended.out, shell.asked) == (5, "", [])
    (line,) = ended.err.splitlines()
    assert line.startswith(f"rolecall: {received} {REASON}")
    assert line.endswith(
        f"go on with it: --trust (in a program trust=True), or rolecall runs trust {received}"
    )
    assert {path: path.read_bytes() for path in received.rglob("*") if path.is_file()} == files


def test_it_goes_on_once_it_is_trusted_and_is_not_asked_for_again(
    shell: Shell, received: Path
) -> None:
    ended = shell("resume", str(received), "--trust")
    assert ended.code == 0
    assert "edited, and kept as it is: project-orchestrator" in ended.err
    assert "solution-architect" in shell.asked
    edit(received)
    assert shell("resume", str(received)).code == 0


def test_it_is_adopted_by_a_command_of_its_own(shell: Shell, received: Path) -> None:
    ended = shell("runs", "trust", "received", str(received))
    first, second = ended.out.splitlines()
    assert first.startswith(f"{received} {REASON}")
    assert first.endswith("; it is yours now")
    assert second == f"{received} is yours already"
    assert shell("resume", str(received)).code == 0


def test_on_a_terminal_its_receiver_is_asked(shell: Shell, received: Path) -> None:
    declined = on_terminal(shell, "n\n", "resume", str(received))
    assert (declined.code, shell.asked) == (5, [])
    assert "shall it be yours? [y/N]" in declined.err
    agreed = on_terminal(shell, "y\n", "resume", str(received))
    assert agreed.code == 0
    assert "yours?" not in on_terminal(shell, "", "resume", str(received)).err


def choose(run: Path, flag: str) -> None:
    text = (run / "run.toml").read_text().replace("flags = []", f'flags = ["{flag}"]')
    (run / "run.toml").write_text(text)


def test_who_is_asked_sees_the_options_it_would_go_on_with(shell: Shell, received: Path) -> None:
    choose(received, "--offline")
    ended = on_terminal(shell, "n\n", "resume", str(received))
    assert "with the options --offline\n" in ended.err


@pytest.mark.parametrize("command", [("resume", "--trust"), ("runs", "trust")])
def test_a_file_that_its_maker_chose_to_record_into_is_not_written(
    shell: Shell, received: Path, command: Sequence[str]
) -> None:
    choose(received, "--record=x")
    ended = shell(*command, str(received))
    assert (ended.code, shell.asked) == (1, [])
    assert f"{received}/run.toml: --record=x was chosen by who made the run" in ended.err
    assert not Path("x").exists()
    assert shell("resume", str(received)).code == 5


@pytest.mark.parametrize("command", [("runs", "show"), ("runs", "diff"), ("report",)])
def test_who_only_looks_is_told(shell: Shell, received: Path, command: Sequence[str]) -> None:
    shell("run", "Build it", "-o", "runs/mine")
    words = [*arguments(command, received), *(["mine"] if "diff" in command else [])]
    ended = shell(*words)
    assert ended.code == 0
    assert f"{received} {REASON}" in ended.err
    assert "; what it says is the word of who made it" in ended.err
    assert "mine was made" not in ended.err


def test_the_list_of_runs_names_it(shell: Shell, received: Path) -> None:
    shell("run", "Build it", "-o", "runs/mine")
    ended = shell("runs", "list", "--json")
    assert {row["run"]: row["yours"] for row in ended.json} == {"received": False, "mine": True}
    assert "rolecall: not known to be yours: received (rolecall runs show" in ended.err
    assert "not known to be yours: received" in shell("runs", "list").err


def test_its_answers_are_not_reused_and_it_forecasts_nothing(
    shell: Shell, received: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended = shell("run", "Build it", "--reuse", str(received), "--only", "project-orchestrator")
    assert ended.code == 0
    assert "nothing is reused of" in caplog.text
    assert len(shell.asked) == 1
    shutil.rmtree(Path("runs", "latest").resolve())
    plan = json.loads(shell("plan", "Build it", "--json").out)
    assert not any(row["from_past_runs"] for row in plan["agents"])


def test_a_copy_of_ones_own_run_goes_on_until_somebody_changed_it(shell: Shell) -> None:
    shell("run", "Build it", "-o", "mine")
    shutil.copytree("mine", "copy")
    assert shell("resume", "copy").code == 0
    shutil.copytree("mine", "changed")
    edit(Path("changed"))
    ended = shell("resume", "changed")
    assert ended.code == 5
    assert "changed was copied from a run of yours, and changed after rolecall wrote" in ended.err


def test_an_own_run_is_edited_and_goes_on_unasked(shell: Shell) -> None:
    shell("run", "Build it", "-o", "mine")
    edit(Path("mine"))
    ended = shell("resume", "mine")
    assert (ended.code, "yours" in ended.err) == (0, False)
    assert "edited, and kept as it is: project-orchestrator" in ended.err


def test_rehearsed_runs_are_ones_own_as_well(shell: Shell) -> None:
    only = ("--only", "operator-intent-interpreter")
    assert shell("run", "--replay", "demo", *only, "-o", "mine").code == 0
    assert shell("resume", "mine").code == 0


@pytest.mark.slow
def test_what_is_logged_shows_no_secret_of_a_providers_table(shell: Shell, tmp_path: Path) -> None:
    secret = "planted-in-a-table"
    (shell.folder / secret).mkdir()
    (shell.folder / secret / "journal.jsonl").touch()
    shell.configure(
        f'[tool.rolecall]\nreuse = ["{secret}"]\n'
        f'[tool.rolecall.providers.claude.options]\nsession_token = "{secret}"\n'
    )
    # In processes of their own: in this one pytest takes what is logged.
    for command in (("run", "Build it.", "--offline", "--only", FIRST), ("rerun", "--from", FIRST)):
        ran = subprocess.run(
            [sys.executable, "-c", "from rolecall.cli.main import main; main()", *command],
            cwd=shell.folder,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "nothing is reused of" in ran.stderr
        assert secret not in ran.stderr
