"""What agents may do is listed, and what they left is handed out."""

import json
from pathlib import Path

import pytest
from acting import Acting, act, write
from building import agent
from installing import Shell

from rolecall import ToolCall
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


def acted(folder: Path, *rounds: list[ToolCall]) -> Path:
    """Let an agent make calls in a run, in answer to a question of its own."""
    team = [agent("writer", tools=("workspace",), prompt=f"You are the writer of {rounds}.")]
    return act(folder, team, Acting({"writer": [*rounds, "done"]})).folder


def test_two_runs_are_compared_file_by_file_with_who_wrote_them(
    shell: Shell, tmp_path: Path
) -> None:
    one = acted(tmp_path / "one", [write("a.py", "1\n"), write("b.py", "1\n", "2")])
    two = acted(tmp_path / "two", [write("a.py", "2\n"), write("c.py", "\x1b[31m\n", "2")])
    ended = shell("runs", "diff", str(one), str(two))
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    start = lines.index("files of the workspace: 1 added, 1 changed, 1 removed")
    assert lines[start + 1 : start + 4] == ["M a.py  (writer)", "D b.py", "A c.py  (writer)"]
    assert "-1" in lines[start:]
    assert "+2" in lines[start:]
    assert "\x1b" not in ended.out
    same = acted(tmp_path / "same", [write("a.py", "1\n"), write("b.py", "1\n", "2")])
    assert "files of the workspace" not in shell("runs", "diff", str(one), str(same)).out


def test_a_run_is_compared_with_its_files_before_it_ran_again(shell: Shell, tmp_path: Path) -> None:
    folder = acted(tmp_path / "run", [write("a.py", "1\n")])
    only = shell("runs", "diff", str(folder))
    assert (only.code, "has only one state; name a second run" in only.err) == (1, True)
    acted(folder, [write("b.py", "2\n")])
    lines = shell("runs", "diff", str(folder)).out.splitlines()
    start = lines.index("files of the workspace: 1 added, 1 removed")
    assert lines[start + 1 : start + 3] == ["D a.py", "A b.py  (writer)"]


def test_a_comparison_writes_nothing_and_obeys_no_strangers_history(
    shell: Shell, tmp_path: Path
) -> None:
    one = acted(tmp_path / "one", [write("a.py", "1\n")])
    two = acted(tmp_path / "two", [write("a.py", "2\n")])
    mark = tmp_path / "mark"
    config = f"[core]\n\tfsmonitor = touch {mark}; false\n[diff]\n\texternal = touch {mark}\n"
    (two / "workspace.git" / "config").write_text(config)
    before = {path: path.stat().st_mtime_ns for path in two.rglob("*")}
    assert "M a.py  (writer)" in shell("runs", "diff", str(one), str(two)).out
    assert {path: path.stat().st_mtime_ns for path in two.rglob("*")} == before
    assert not mark.exists()
    (two / "workspace.git" / "objects").rename(tmp_path / "objects")
    (two / "workspace.git" / "objects").symlink_to(tmp_path / "objects")
    refused = shell("runs", "diff", str(one), str(two))
    assert (refused.code, "leads through a link" in refused.err) == (1, True)


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
