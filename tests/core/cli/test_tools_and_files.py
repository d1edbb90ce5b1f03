"""What agents may do is listed, and what they left is handed out."""

import json
from pathlib import Path

import pytest
from acting import Acting, act, write
from building import agent
from installing import Shell

from rolecall.storage.acting.workspace import GitWorkspace

TEAM = """
[tool.rolecall.agents]
code-implementer = {tools = ["workspace"]}
technical-writer = {tools = ["workspace.read"]}
"""


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    script = {"writer": [[write("src/app.py", "print(1)\n")], "done"]}
    act(tmp_path / "run", [agent("writer", tools=("workspace",))], Acting(script))
    return tmp_path / "run"


def test_tools_are_listed_with_who_may_use_them(shell: Shell) -> None:
    shell.configure(TEAM)
    rows = {row["tool"]: row for row in json.loads(shell("tools", "--json").out)}
    reading, writing = (rows[f"workspace.{name}"]["agents"] for name in ("read", "write"))
    assert "code-implementer" in writing
    assert {"technical-writer", *writing} <= {*reading}
    assert "technical-writer" not in writing
    assert "operator-intent-interpreter" not in reading
    assert rows["workspace.write"]["plugin"] == "tools"
    assert rows["register_checks"]["agents"] == ["code-implementer"]
    assert rows["register_checks"]["plugin"] == "rolecall"
    assert "workspace.run" in shell("tools").out


OUTSIDE = """
from rolecall import ToolResult, hookimpl


class Open:
    name = "tickets.open"
    description = "Open a ticket. It is seen by all."
    parameters = {"type": "object"}
    read_only = False
    outside = True

    async def call(self, arguments, work):
        return ToolResult("opened")


@hookimpl
def rolecall_tools():
    return [Open()]
"""


@pytest.mark.parametrize(("allow", "said"), [("", "asks"), ('allow = ["tickets.*"]', "allowed")])
def test_what_changes_something_outside_is_listed_as_that(
    shell: Shell, allow: str, said: str
) -> None:
    shell.install("tickets", OUTSIDE)
    shell.configure(f"[tool.rolecall]\n{allow}\n")
    rows = {row["tool"]: row for row in json.loads(shell("tools", "--json").out)}
    assert (rows["tickets.open"]["outside"], rows["workspace.write"]["outside"]) == (True, False)
    assert rows["tickets.open"]["allowed"] is (said == "allowed")
    (line,) = (line for line in shell("tools").out.splitlines() if "tickets.open" in line)
    assert f"outside, {said}" in line


def test_the_files_of_a_run_are_listed_and_written_out(
    shell: Shell, run: Path, tmp_path: Path
) -> None:
    assert shell("files", str(run)).out == "src/app.py\n"
    assert shell("files", str(run), "-o", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out" / "src" / "app.py").read_text() == "print(1)\n"
    again = shell("files", str(run), "-o", str(tmp_path / "out"))
    assert again.code == 2
    assert "is not an empty folder; name another" in again.err


def test_a_run_whose_agents_wrote_nothing_says_so(shell: Shell, tmp_path: Path) -> None:
    act(tmp_path / "run", [agent("writer")], Acting({"writer": ["done"]}))
    listed = shell("files", str(tmp_path / "run"))
    assert (listed.code, listed.out) == (2, "")
    assert "has no workspace: its agents wrote no file" in listed.err


def test_before_anything_is_written_there_is_nothing_to_list(tmp_path: Path) -> None:
    assert GitWorkspace(tmp_path, {}).files() == []


UNSOUND = """
from rolecall import hookimpl


class Broken:
    name = "broken.tool"
    description = "Break."
    parameters = {"type": "object", "required": None}
    read_only = True

    async def call(self, arguments, work): ...


@hookimpl
def rolecall_tools():
    return [Broken()]
"""


def test_a_tool_with_an_unsound_schema_is_one_line_that_names_it(shell: Shell) -> None:
    shell.install("unsound", UNSOUND)
    ended = shell("tools")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "rolecall: the plugin 'unsound' breaks a hook's contract: the tool 'broken.tool': its "
        "parameters are no JSON Schema of arguments: required: None is not of type 'array'; "
        "skip it with -p no:unsound\n"
    )
