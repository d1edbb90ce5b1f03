"""What tools came to is recorded, and replayed without a tool, a sandbox or an operator."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from acting import ENVIRONMENT, SETTINGS, TOOLS, Acting, Send, Shell, act, call, write
from attrs import evolve, frozen
from building import Ran, agent

from rolecall import (
    Consent,
    ConsentAsked,
    FileChange,
    NeedsSandbox,
    RecordedCall,
    RolecallError,
    Tool,
    ToolCall,
    ToolResult,
    ToolStarted,
    Work,
    WorkspaceVerified,
)
from rolecall.scheduling.checks.plan_head import REPLAYED
from rolecall.storage.acting import tree_entries
from rolecall.storage.acting.workspace import GitWorkspace
from rolecall_plugins.tools.commands import RunCommand

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the commands are a POSIX shell's")
ALL: dict[str, Tool] = {**TOOLS, "mail.send": Send(), "workspace.run": RunCommand()}


@frozen
class Named:
    """What is offered in a tool's place, and never called."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    read_only: bool
    needs_sandbox: bool

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        raise AssertionError(f"{self.name} is called in a replay")


class Recording:
    """Keeps what it hears in memory, and plays it."""

    has_sandbox = False

    def __init__(self) -> None:
        self.boxes: dict[str, list[Tool]] = {}
        self.calls: list[RecordedCall] = []
        self.verified: list[WorkspaceVerified] = []

    def offered(self, agent: str, tools: Sequence[Tool], has_sandbox: bool) -> None:
        self.boxes[agent] = list(tools)
        self.has_sandbox = has_sandbox

    def ended(self, call: RecordedCall) -> None:
        self.calls.append(call)

    @property
    def tools(self) -> list[Tool]:
        offered = {tool.name: tool for box in self.boxes.values() for tool in box}
        return [
            Named(
                name,
                tool.description,
                tool.parameters,
                tool.read_only,
                isinstance(tool, NeedsSandbox) and tool.needs_sandbox,
            )
            for name, tool in offered.items()
        ]

    def result(self, call: ToolStarted) -> RecordedCall:
        for number, recorded in enumerate(self.calls):
            if (recorded.step, recorded.tool) == (call.step, call.tool):
                return self.calls.pop(number)
        raise RolecallError(f"{call.tool} is not recorded")

    def verification(self, agent: str, tree: str) -> WorkspaceVerified | None:
        return self.verified.pop(0) if self.verified else None


class Untouched(Shell):
    """A sandbox that nothing runs in."""

    async def run(self, *arguments: Any) -> NoReturn:
        raise AssertionError("a command runs in a replay")


def record(folder: Path, script: Any, **more: Any) -> tuple[Ran, Recording]:
    recording = Recording()
    verify = more.get("settings") is CHECKED
    agents = [
        agent("writer", tools=("workspace", "mail"), verify=verify),
        agent("planner", "writer", plan=True),
    ]
    provider = Acting({"writer": script, "planner": ["# The plan"]})
    more = {"tools": ALL, "sandbox": Shell(), "recorder": recording, **more}
    ran = act(folder, agents, provider, **more)
    recording.verified = ran.events.of(WorkspaceVerified)
    return ran, recording


def replay(folder: Path, script: Any, recording: Recording, **more: Any) -> Ran:
    async def consent(question: ConsentAsked) -> Consent:
        raise AssertionError("the operator is asked in a replay")

    tools = {tool.name: tool for tool in recording.tools}
    more = {"player": recording, "tools": tools, "consent": consent, "recorder": None, **more}
    return record(folder, script, **{"sandbox": None, **more})[0]


def tree(ran: Ran) -> str:
    return GitWorkspace(ran.folder, ENVIRONMENT).keep()


LINE = (
    "printf 'x\\0' > b.bin; chmod +x b.bin; ln -s a.py link; rm old; mkdir -p c/d; echo 1 > c/d/e"
)
SCRIPT = [
    [write("a.py", "one\n"), write("old", "x", "2"), write("../x", "y", "3")],
    [call("run", command=LINE), call("list", "2"), ToolCall("3", "mail_send", {"to": "a"})],
    [call("run", command="cat c/d/e; exit 3"), ToolCall("2", "unknown"), call("read", "3", path=1)],
    [ToolCall("1", "workspace_list", malformed="{")],
    "done",
]


def test_a_replay_calls_no_tool_and_ends_with_the_same_files(tmp_path: Path) -> None:
    ran, recording = record(tmp_path / "run", SCRIPT)
    assert len(recording.calls) == 10
    again = replay(tmp_path / "again", SCRIPT, recording)
    assert again.outcome.failed == {}
    assert again.outcome.done == ("writer", "planner")
    assert recording.calls == []
    assert tree(again) == tree(ran)
    workspace = again.folder / "workspace"
    assert (workspace / "b.bin").read_bytes() == b"x\0"
    assert os.access(workspace / "b.bin", os.X_OK)
    assert os.readlink(workspace / "link") == "a.py"
    assert not (workspace / "old").exists()


def test_the_model_is_told_the_same(tmp_path: Path) -> None:
    recording = Recording()
    agents = [agent("writer", tools=("workspace", "mail"))]
    first, second = Acting({"writer": SCRIPT}), Acting({"writer": SCRIPT})
    act(tmp_path / "run", agents, first, tools=ALL, sandbox=Shell(), recorder=recording)
    tools = {tool.name: tool for tool in recording.tools}
    act(tmp_path / "again", agents, second, tools=tools, player=recording)
    assert second.requests == first.requests


def test_what_changed_is_recorded_file_by_file(tmp_path: Path) -> None:
    _, recording = record(tmp_path / "run", SCRIPT)
    (command,) = (call for call in recording.calls if call.tool == "workspace.run" and call.files)
    assert {file.path: (file.content, file.mode) for file in command.files or ()} == {
        "b.bin": (b"x\0", "100755"),
        "c/d/e": (b"1\n", "100644"),
        "link": (b"a.py", "120000"),
        "old": (None, "100644"),
    }
    refused = next(call for call in recording.calls if call.tool == "mail.send")
    assert (refused.text, refused.changes) == ("the operator does not allow this call", False)


def test_what_is_too_large_is_recorded_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_entries, "LARGEST", 3)
    _, recording = record(tmp_path / "run", [[write("a", "xyz")], [write("b", "wxyz")], "done"])
    assert [call.files for call in recording.calls] == [(FileChange("a", b"xyz"),), None]


def test_a_replay_that_is_killed_goes_on(tmp_path: Path) -> None:
    ran, recording = record(tmp_path / "run", SCRIPT)
    calls = list(recording.calls)
    whole = replay(tmp_path / "whole", SCRIPT, recording)
    lines = (whole.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for number in range(1, len(lines)):
        folder = tmp_path / f"cut-{number}"
        shutil.copytree(whole.folder, folder, symlinks=True)
        shutil.rmtree(folder / "deliverables")
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:number]))
        ended = [json.loads(line) for line in lines[:number] if b'"tool_ended"' in line]
        # In the order in which they ended, each is one of those with its step and its tool.
        recording.calls = list(calls)
        for record_ in ended:
            same = (each for each in recording.calls if _is_of(each, record_))
            recording.calls.remove(next(same))
        again = replay(folder, SCRIPT, recording)
        assert again.outcome.done == ("writer", "planner")
        assert recording.calls == []
        assert tree(again) == tree(ran)


def _is_of(recorded: RecordedCall, ended: Mapping[str, Any]) -> bool:
    return (recorded.step, recorded.tool) == (ended["step"], ended["tool"])


FAULT, MENDED = "raise SystemExit(1)\n", "print('fine')\n"
REPAIRED = [[write("app.py", FAULT)], "first", [write("app.py", MENDED)], "mended"]
CHECKED = evolve(SETTINGS, verify=("python3 app.py",), repairs=2)


def test_checks_are_not_run_and_what_they_came_to_is_said_to_be_replayed(tmp_path: Path) -> None:
    ran, recording = record(tmp_path / "run", REPAIRED, settings=CHECKED)
    assert REPLAYED not in ran.read("PLAN.md")
    assert json.loads(ran.read("verification.json"))["replayed"] is False
    again = replay(tmp_path / "again", REPAIRED, recording, settings=CHECKED)
    assert again.read("deliverables/01-writer.md") == "mended\n"
    found = again.events.of(WorkspaceVerified)
    assert [(each.has_passed, each.replayed) for each in found] == [(False, True), (True, True)]
    assert REPLAYED in again.read("PLAN.md")
    verification = json.loads(again.read("verification.json"))
    assert (verification["passed"], verification["replayed"]) == (True, True)
    assert verification["sandbox"] == "shell"


def test_a_result_that_was_not_recorded_fails_the_agent(tmp_path: Path) -> None:
    _, recording = record(tmp_path / "run", SCRIPT)
    del recording.calls[3]
    again = replay(tmp_path / "again", SCRIPT, recording)
    assert str(again.outcome.failed["writer"]) == "workspace.run is not recorded"
