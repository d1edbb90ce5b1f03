"""The tests themselves: where they lie, and that CI runs what the README says."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from places import ROOT

TESTS = ROOT / "tests"
SIDES = {"core": ROOT / "core" / "rolecall", "plugins": ROOT / "plugins" / "rolecall_plugins"}
FOLDERS = [
    pytest.param(side, folder, id=f"{side}-{folder.name}")
    for side in SIDES
    for folder in sorted((TESTS / side).iterdir())
    if folder.is_dir() and folder.name != "__pycache__"
]
FILES = [
    pytest.param(path, id=str(path.relative_to(TESTS).with_suffix("")))
    for path in sorted(TESTS.rglob("*.py"))
]


def imported(path: Path) -> Iterator[str]:
    """List what a file imports, and what it imports from, without relative imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def packages(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/__init__.py")}


@pytest.mark.parametrize(("side", "folder"), FOLDERS)
def test_a_folder_of_tests_is_that_of_one_package(side: str, folder: Path) -> None:
    assert folder.name in packages(SIDES[side])


@pytest.mark.parametrize(
    ("side", "path"),
    [
        pytest.param(side, path, id=path.stem)
        for side in SIDES
        for path in sorted((TESTS / side).glob("test_*.py"))
    ],
)
def test_a_test_outside_of_such_a_folder_is_of_modules_outside_of_packages(
    side: str, path: Path
) -> None:
    modules = {f"{SIDES[side].name}.{each.stem}" for each in SIDES[side].glob("*.py")}
    assert set(imported(path)) & modules


@pytest.mark.parametrize("path", FILES)
def test_what_tests_share_lies_in_one_place(path: Path) -> None:
    assert [name for name in imported(path) if name.split(".")[0] in {"tests", "conftest"}] == []


def test_ci_runs_the_line_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.partition("## Run the tests\n")[2]
    (line,) = re.findall(r"```sh\n(.*?)\n```", section.partition("\n## ")[0], re.DOTALL)
    assert shlex.split(line)[-3:] == [".venv/bin/pytest", "-n", "auto"]
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    (pattern,) = re.findall(r"line=\$\(grep -E '(.*)' README.md\)", script)
    assert re.findall(pattern + ".*", readme, re.MULTILINE) == [line]
    assert 'bash -euo pipefail -c "$line"' in script


@pytest.mark.parametrize("name", ["run", "replay"])
def test_ci_runs_the_commands_that_the_readme_begins_with(name: str) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"rolecall (run (?:\"[^\"]+\" )?--(?:offline|replay demo))", readme)
    (command,) = {each for each in commands if (" --replay" in each) == (name == "replay")}
    assert f'rolecall" {command}\n' in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_workflows_test_each_python_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = [
        each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)
    ]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == versions
