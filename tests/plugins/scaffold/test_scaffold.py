"""The project of a new plugin passes its own tests at once."""

from pathlib import Path

import pytest
from installing import Shell, installed, ran

from rolecall import UsageError
from rolecall_plugins.scaffold import write_plugin

pytestmark = pytest.mark.slow


def test_a_new_plugin_passes_its_own_tests(tmp_path: Path) -> None:
    project = write_plugin(tmp_path, "local-models")
    assert project == tmp_path / "rolecall-local-models"
    installed(project, "local-models")
    done = ran(project, "pytest", "-q", "-p", "no:cacheprovider")
    assert "6 passed" in done.stdout, done.stdout + done.stderr


def test_a_new_plugin_is_typed(tmp_path: Path) -> None:
    project = write_plugin(tmp_path, "acme")
    done = ran(project, "mypy", "--strict", "--cache-dir", str(tmp_path), "rolecall_acme.py")
    assert done.stdout.startswith("Success"), done.stdout


@pytest.mark.parametrize("name", ["", "Acme", "two words", "../x", "-x", "1st"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a plugin"):
        write_plugin(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    write_plugin(tmp_path, "acme")
    with pytest.raises(UsageError, match="rolecall-acme is there already"):
        write_plugin(tmp_path, "rolecall-acme")


def test_the_command_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, monkeypatch, capsys)
    ended = shell("plugins", "new", "acme")
    assert ended.out.startswith("rolecall-acme/\nIts tests: cd rolecall-acme && pip install")
    assert (shell.folder / "rolecall-acme" / "rolecall_acme.py").is_file()
