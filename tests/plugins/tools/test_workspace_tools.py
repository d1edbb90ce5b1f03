"""The tools of the workspace, as a model would call them."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve

from rolecall import CommandLimits, CommandResult, ToolResult, Work
from rolecall.storage.acting.workspace import GitWorkspace
from rolecall.testing import FakeWorkspace, ToolContract
from rolecall_plugins.tools.commands import RunCommand
from rolecall_plugins.tools.files import FILE_TOOLS, FOUND, LINES, LISTED

TOOLS = {tool.name.removeprefix("workspace."): tool for tool in FILE_TOOLS}
FILES = {"src/app.py": "one\ntwo\ntwo\n", "README.md": "# App\n"}


def use(name: str, files: Mapping[str, str] = FILES, **arguments: Any) -> ToolResult:
    work = Work("writer", workspace=FakeWorkspace(files))
    return asyncio.run(TOOLS[name].call(arguments, work))


class TestList(ToolContract):
    tool = TOOLS["list"]


class TestRead(ToolContract):
    tool = TOOLS["read"]
    arguments: ClassVar[Mapping[str, Any]] = {"path": "a"}
    files: ClassVar[Mapping[str, str]] = {"a": "text"}


class TestSearch(ToolContract):
    tool = TOOLS["search"]
    arguments: ClassVar[Mapping[str, Any]] = {"text": "ex"}
    files: ClassVar[Mapping[str, str]] = {"a": "text"}


class TestWrite(ToolContract):
    tool = TOOLS["write"]
    arguments: ClassVar[Mapping[str, Any]] = {"path": "a", "content": "text"}


class TestEdit(ToolContract):
    tool = TOOLS["edit"]
    arguments: ClassVar[Mapping[str, Any]] = {"path": "a", "old": "t", "new": "n", "all": True}
    files: ClassVar[Mapping[str, str]] = {"a": "text"}


class TestDelete(ToolContract):
    tool = TOOLS["delete"]
    arguments: ClassVar[Mapping[str, Any]] = {"path": "a"}
    files: ClassVar[Mapping[str, str]] = {"a": "text"}


def test_files_are_listed_by_pattern() -> None:
    assert use("list").text == "README.md\nsrc/app.py"
    assert use("list", pattern="src/*").text == "src/app.py"
    assert use("list", files={}).text == "no file"
    many = {f"{number:04}": "" for number in range(LISTED + 3)}
    assert use("list", files=many).text.endswith("\n[3 more]")


def test_a_name_cannot_pass_for_several() -> None:
    odd = {"a\nREADME.md": "text", "\u202etxt.exe": "text", "caf\u00e9.md": "text"}
    assert use("list", files=odd).text.split("\n") == [
        '"a\\nREADME.md"',
        "caf\u00e9.md",
        '"\\u202etxt.exe"',
    ]
    assert use("search", files=odd, text="text").text.startswith('"a\\nREADME.md":1: text\n')


def test_a_long_file_is_read_in_parts() -> None:
    text = "\n".join(map(str, range(1, LINES + 11)))
    first = use("read", files={"a": text}, path="a").text
    assert first.startswith(f"[lines 1 to {LINES} of {LINES + 10}]\n1\n")
    rest = use("read", files={"a": text}, path="a", first=LINES + 1).text
    assert rest.split("\n")[1:] == [str(number) for number in range(LINES + 1, LINES + 11)]
    assert use("read", path="src/app.py", first=2, last=2).text == "[lines 2 to 2 of 4]\ntwo"


def test_a_search_names_file_and_line() -> None:
    assert use("search", text="two").text == "src/app.py:2: two\nsrc/app.py:3: two"
    assert use("search", text="two", pattern="*.md").text == "nothing found"
    assert use("search", text="").is_error
    many = use("search", files={"a": "x\n" * (FOUND + 1)}, text="x").text.split("\n")
    assert len(many) == FOUND + 1
    assert many[-1] == "[there are more; narrow the search]"


def test_an_edit_replaces_exactly_one_place() -> None:
    files = FakeWorkspace(FILES)
    work = Work("writer", workspace=files)
    done = asyncio.run(TOOLS["edit"].call({"path": "src/app.py", "old": "one", "new": "1"}, work))
    assert (done.text, done.is_error) == ("src/app.py: changed in 1 place", False)
    assert files.read("src/app.py") == "1\ntwo\ntwo\n"


@pytest.mark.parametrize(
    ("old", "why"),
    [("two", "there 2 times"), ("three", "not there"), ("", "not there")],
)
def test_an_edit_of_another_number_of_places_is_refused(old: str, why: str) -> None:
    result = use("edit", path="src/app.py", old=old, new="x")
    assert result.is_error
    assert why in result.text


@pytest.mark.parametrize("name", ["read", "edit", "delete"])
def test_a_file_that_is_not_there_is_the_models_to_know(name: str) -> None:
    result = use(name, path="missing", old="a", new="b")
    assert (result.is_error, result.text) == (True, "missing: there is no such file")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", ".git/config", "link"])
@pytest.mark.parametrize("name", ["read", "write", "edit", "delete"])
def test_no_tool_leaves_the_workspace(tmp_path: Path, name: str, path: str) -> None:
    (tmp_path / "outside").write_text("private")
    (tmp_path / "run").mkdir()
    workspace = GitWorkspace(tmp_path / "run", {"PATH": os.environ["PATH"]})
    workspace.begin()
    (tmp_path / "run" / "workspace" / "link").symlink_to(tmp_path / "outside")
    work = Work("writer", workspace=workspace)
    arguments = {"path": path, "content": "x", "old": "private", "new": "x"}
    result = asyncio.run(TOOLS[name].call(arguments, work))
    # A link in the workspace may itself be replaced or removed.
    assert result.is_error or (path == "link" and name in ("write", "delete"))
    assert "private" not in result.text
    assert (tmp_path / "outside").read_text() == "private"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["outside", "run"]


def test_a_run_without_a_workspace_says_so() -> None:
    for tool in (*FILE_TOOLS, RunCommand()):
        result = asyncio.run(tool.call({"path": "a", "command": "ls"}, Work("writer")))
        assert result.is_error


class Box:
    """A sandbox that answers as it is told to."""

    name = "box"

    def __init__(self, result: CommandResult) -> None:
        self._result = result
        self.commands: list[object] = []

    def missing(self) -> str | None:
        return None

    async def run(self, command: object, folder: str, limits: CommandLimits) -> CommandResult:
        self.commands.append((command, folder))
        return self._result


@pytest.mark.parametrize(
    ("result", "text", "is_error"),
    [
        (CommandResult(0, "fine\n", 0.25), "fine\n[exit status 0, 0.2 s]", False),
        (CommandResult(1, "", 1.0), "[exit status 1, 1.0 s]", True),
        (CommandResult(-9, "a", 2.0, "time"), "a\n[ended by the limit on time after 2.0 s]", True),
    ],
)
def test_a_command_tells_its_output_and_how_it_ended(
    result: CommandResult, text: str, is_error: bool
) -> None:
    box = Box(result)
    work = evolve(Work("writer", workspace=FakeWorkspace()), sandbox=box)
    shown = asyncio.run(RunCommand().call({"command": "ls"}, work))
    assert (shown.text, shown.is_error) == (text, is_error)
    assert box.commands == [(Work.shell("ls"), "")]
