"""The project of a new plugin passes its own tests at once, of whatever kind it is."""

import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from installing import Shell, installed, ran

from rolecall import UsageError
from rolecall_plugins.scaffold import KINDS
from rolecall_plugins.scaffold.project import KINDS as DESCRIBED
from rolecall_plugins.scaffold.project import write_project


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "tests"),
    [
        ("provider", 6),
        ("limiter", 5),
        ("agents", 4),
        ("observer", 4),
        ("command", 3),
        ("tool", 7),
    ],
)
def test_a_new_plugin_passes_its_own_tests(tmp_path: Path, kind: str, tests: int) -> None:
    project = write_project(tmp_path, "local-models", kind)
    assert project == tmp_path / "rolecall-local-models"
    installed(project, "local-models")
    done = ran(project, "pytest", "-q", "-p", "no:cacheprovider")
    assert f"{tests} passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_new_plugins_are_typed_and_keep_to_common_style(tmp_path: Path) -> None:
    projects = [write_project(tmp_path, f"acme-{kind}", kind) for kind in KINDS]
    modules = [str(path) for project in projects for path in project.glob("*.py")]
    assert len(modules) == len(KINDS)
    typed = ran(tmp_path, "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *modules)
    assert typed.stdout.startswith("Success"), typed.stdout
    ruff = Path(sys.executable).with_name("ruff")
    for project in projects:
        for check in (["check", "--select", "B,E,F,I,UP,W"], ["format", "--check"]):
            styled = subprocess.run(
                [ruff, *check, "--isolated", "--no-cache", "--line-length", "100"],
                cwd=project,
                capture_output=True,
                text=True,
                check=False,
            )
            assert styled.returncode == 0, styled.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugins_project_says_what_it_is(tmp_path: Path, kind: str) -> None:
    project = write_project(tmp_path, "acme-models", kind)
    about = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    assert about["entry-points"] == {"rolecall": {"acme-models": "rolecall_acme_models"}}
    readme = (project / "README.md").read_text("utf-8")
    assert about["description"] in readme
    assert "$" not in readme


def test_every_kind_has_its_templates() -> None:
    folders = files("rolecall_plugins.scaffold").joinpath("templates").iterdir()
    assert sorted(each.name for each in folders if each.is_dir()) == sorted(KINDS)
    assert sorted(DESCRIBED) == sorted(KINDS)


@pytest.mark.parametrize("name", ["", "Acme", "two words", "../x", "-x", "1st"])
def test_a_name_that_is_not_one_of_a_plugin_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a plugin"):
        write_project(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_not_written_to(tmp_path: Path) -> None:
    write_project(tmp_path, "acme")
    with pytest.raises(UsageError, match="rolecall-acme is there already"):
        write_project(tmp_path, "rolecall-acme")


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def test_the_command_says_how_to_go_on(shell: Shell) -> None:
    ended = shell("plugins", "new", "acme")
    assert ended.out.startswith("rolecall-acme/\nIts tests: cd rolecall-acme && pip install")
    assert "class Acme:" in (shell.folder / "rolecall-acme" / "rolecall_acme.py").read_text("utf-8")


def test_the_command_takes_a_kind(shell: Shell) -> None:
    assert shell("plugins", "new", "acme", "--kind", "limiter").code == 0
    module = shell.folder / "rolecall-acme" / "rolecall_acme.py"
    assert "def rolecall_limiters" in module.read_text("utf-8")
    refused = shell("plugins", "new", "other", "--kind", "vendor")
    assert (refused.code, "'provider', 'limiter'" in refused.err) == (2, True)
