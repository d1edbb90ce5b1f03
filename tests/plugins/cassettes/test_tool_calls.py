"""A cassette holds what tools came to, so that a replay makes no call of a tool."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from installing import Ended, Shell

from rolecall import Check, FileChange, RecordedCall, WorkspaceVerified
from rolecall.storage.acting.workspace import GitWorkspace
from rolecall_plugins.cassettes.errors import CassetteError, NotSaved, SecretFound
from rolecall_plugins.cassettes.files.reader import load
from rolecall_plugins.cassettes.files.recording_log import RecordingLog, log_path
from rolecall_plugins.cassettes.files.writer import save
from rolecall_plugins.cassettes.interactions import CassetteMetadata
from rolecall_plugins.cassettes.redaction import Redaction
from rolecall_plugins.cassettes.tool_calls.recorder import ToolCallRecorder
from rolecall_plugins.cassettes.tool_calls.values import ActingRecord
from rolecall_plugins.simulator.content.scripts import Round, Script
from rolecall_plugins.simulator.exchange import FunctionCall
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the commands are a POSIX shell's"),
]
AGENT = "code-implementer"
ONLY = ("--only", AGENT, "--only", "plan-update-coordinator")
SECRET = "planted-secret-0"
FILE = f"deliverables/10-{AGENT}.md"

# Counts how often it is called; its schema is in the cassette, its code is not.
TICKETS = """
from pathlib import Path

from rolecall import ToolResult, hookimpl


class Open:
    name = "tickets.open"
    description = "Open a ticket."
    parameters = {"type": "object", "properties": {"title": {"type": "string"}}}
    read_only = False
    outside = True

    async def call(self, arguments, work):
        with Path("opened.txt").open("a") as file:
            file.write(arguments["title"])
        return ToolResult("ticket 7 of planted-secret-0")


@hookimpl
def rolecall_tools():
    return [Open()]
"""
SETTINGS = """
[tool.rolecall]
interval = 0
block = ["report"]
sandbox = "none"
verify = ["{python} app.py"]
allow = ["tickets.*"]

[tool.rolecall.agents.code-implementer]
tools = ["workspace", "tickets"]
routes = ["{vendor}"]
"""
ROUNDS = (
    Round(
        "I write.",
        [
            FunctionCall(
                "workspace_write", {"path": "app.py", "content": "raise SystemExit('planted')\n"}
            ),
            FunctionCall("workspace_run", {"command": "printf '\\0' > b.bin; ln -s app.py link"}),
            FunctionCall("tickets_open", {"title": "one"}),
        ],
    ),
    Round("", [FunctionCall("workspace_list", {})]),
    Round("First deliverable."),
)
REPAIR = (
    Round("", [FunctionCall("workspace_write", {"path": "app.py", "content": "print('fine')\n"})]),
    Round("Second deliverable."),
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with serve_in_thread(
        Scenario(scripts={AGENT: [Script(REPAIR, "rolecall ran"), Script(ROUNDS)]})
    ) as served:
        yield served


@pytest.fixture(params=["claude", "gemini"])
def shell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    simulator: Simulator,
    request: pytest.FixtureRequest,
) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    (shell.folder / ".env").write_text(
        f"ANTHROPIC_API_KEY=simulated\nANTHROPIC_API_BASE={simulator.anthropic_base}\n"
        f"GEMINI_API_KEY=simulated\nGEMINI_API_BASE={simulator.gemini_base}\n"
        f"TICKETS_TOKEN={SECRET}\n",
        "utf-8",
    )
    shell.install("tickets", TICKETS)
    shell.configure(SETTINGS.format(python=sys.executable, vendor=request.param))
    return shell


def record(shell: Shell) -> Ended:
    return shell("run", "Build it", "--record", "team.yaml", "-o", "recorded", *ONLY)


def unplugged(shell: Shell) -> None:
    """Take away the keys, the plugin, the settings, and with them the sandbox."""
    (shell.folder / ".env").unlink()
    shell.configure('[tool.rolecall]\ninterval = 0\nblock = ["report", "tickets"]\n')


def tree(shell: Shell, run: str) -> str:
    return GitWorkspace(shell.folder / run, {"PATH": os.environ["PATH"]}).keep()


def test_a_replay_needs_no_tool_no_sandbox_and_no_plugin(shell: Shell) -> None:
    assert record(shell).code == 0
    assert (shell.folder / "opened.txt").read_text() == "one"
    unplugged(shell)
    replayed = shell("run", "--replay", "team.yaml", "-o", "replayed")
    assert replayed.code == 0, replayed.err
    assert (shell.folder / "opened.txt").read_text() == "one"
    assert tree(shell, "replayed") == tree(shell, "recorded")
    assert os.readlink(shell.folder / "replayed" / "workspace" / "link") == "app.py"
    assert shell.read(FILE, "replayed") == shell.read(FILE, "recorded")
    verification = json.loads(shell.read("verification.json", "replayed"))
    assert (verification["passed"], verification["replayed"]) == (True, True)
    assert [each["passed"] for each in verification["rounds"]] == [False, True]
    assert "replayed from a recording, not run" in shell.read("PLAN.md", "replayed")
    assert "not run" not in shell.read("PLAN.md", "recorded")
    assert "no command can be run" not in replayed.err


def test_a_call_that_was_refused_is_refused_again_whatever_is_allowed_here(shell: Shell) -> None:
    allowing = shell.read("pyproject.toml", ".")
    shell.configure(allowing.replace('"tickets.*"', ""))
    record(shell)
    shell.configure(allowing)
    replayed = shell("run", "--replay", "team.yaml", "-o", "replayed")
    assert replayed.code == 0, replayed.err
    assert not (shell.folder / "opened.txt").exists()


def test_no_secret_is_in_what_tools_came_to(shell: Shell) -> None:
    record(shell)
    text = shell.read("team.yaml", ".")
    assert SECRET not in text
    assert "text: ticket 7 of [secret]" in text


def test_an_unfinished_recording_holds_tool_calls_too(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("rolecall_plugins.cassettes.recorder.Recorder.save", _fail)
        assert record(shell).code == 1
    part = log_path(shell.folder / "team.yaml")
    assert part.exists()
    assert len(load(part)[0].acting.calls) == 5
    resumed = shell("resume", "recorded", "--record", "team.yaml")
    assert resumed.code == 0, resumed.err
    assert len(load(shell.folder / "team.yaml")[0].acting.calls) == 5
    unplugged(shell)
    assert shell("run", "--replay", "team.yaml", "-o", "replayed").code == 0


def _fail(*arguments: object, **more: object) -> None:
    raise NotSaved("the disk is full")


def test_a_missing_result_is_one_line(shell: Shell) -> None:
    record(shell)
    path = shell.folder / "team.yaml"
    cassette = yaml.safe_load(path.read_text("utf-8"))
    cassette["tool_calls"] = [
        each for each in cassette["tool_calls"] if each["tool"] != "tickets.open"
    ]
    path.write_text(yaml.safe_dump(cassette, sort_keys=False), "utf-8")
    ended = shell("run", "--replay", "team.yaml", "-o", "replayed")
    assert ended.code == 1
    assert (
        "team.yaml: the result of tickets.open, called by code-implementer, is not in the "
        'cassette. Record it again: rolecall run "REQUEST" --record team.yaml\n'
    ) in ended.err
    assert 'called now: {"title": "one"}' in ended.err


def test_tool_calls_are_shown_without_what_would_drive_a_terminal(shell: Shell) -> None:
    record(shell)
    path = shell.folder / "team.yaml"
    text = path.read_text("utf-8").replace("ticket 7 of [secret]", '"ticket \\e]0;forged\\a"')
    path.write_text(text, "utf-8")
    shown = shell("cassettes", "show", "team.yaml").out
    assert "code-implementer: tickets.open" in shown
    assert "app.py" in shown
    assert "verified in none" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


# The file.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text("abc._-", min_size=1, max_size=8).filter(lambda name: name.strip("."))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
FILES = st.builds(
    FileChange,
    NAMES,
    st.none() | st.binary(max_size=12) | TEXTS.map(str.encode),
    st.sampled_from(["100644", "100755", "120000"]),
).map(lambda file: FileChange(file.path) if file.content is None else file)
CALLS = st.builds(
    RecordedCall,
    agent=NAMES,
    step=NAMES,
    tool=NAMES,
    arguments=st.dictionaries(TEXTS, VALUES, max_size=3),
    text=TEXTS,
    is_error=st.booleans(),
    files=st.none() | st.lists(FILES, max_size=3).map(tuple),
    changes=st.just(True),
)
CHECKS = st.builds(
    Check,
    command=TEXTS,
    code=st.integers(-20, 255),
    output=TEXTS,
    seconds=st.floats(0, 100),
    stopped=st.sampled_from(["", "time"]),
)
VERIFIED = st.builds(
    WorkspaceVerified,
    at=st.just(0.0),
    agent=NAMES,
    tree=NAMES,
    sandbox=NAMES,
    when=st.integers(0, 10**9).map(float),
    checks=st.lists(CHECKS, max_size=2).map(tuple),
    replayed=st.just(True),
)


@given(st.lists(CALLS, max_size=3), st.lists(VERIFIED, max_size=2))
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    calls: Sequence[RecordedCall],
    verified: Sequence[WorkspaceVerified],
) -> None:
    path = tmp_path_factory.mktemp("cassette") / "team.yaml"
    acting = ActingRecord(calls, verified).in_order([])
    save(path, CassetteMetadata(acting=acting), [], Redaction())
    read = load(path)[0].acting
    assert list(read.calls) == list(acting.calls)
    assert list(read.verifications) == list(acting.verifications)
    log = RecordingLog(path, Redaction(), CassetteMetadata(), [], acting)
    log.close(keep=True)
    assert load(log.path)[0].acting == read


def cassette(folder: Path, **acts: Any) -> Path:
    path = folder / "foreign.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "interactions": [], **acts}), "utf-8")
    return path


CALL = {"agent": "a", "tool": "t", "arguments": {}, "text": "x"}
CHECK = {"command": "pytest", "code": 0}
VERIFICATION = {"agent": "a", "sandbox": "s", "when": 1.0, "checks": [CHECK]}


@pytest.mark.parametrize(
    ("acts", "why"),
    [
        ({"tool_calls": {}}, "tool_calls must be a list, and is a mapping"),
        ({"tool_calls": [3]}, r"tool_calls\[0\] must be a mapping"),
        ({"tool_calls": [{**CALL, "agent": None}]}, r"tool_calls\[0\].agent must be a text"),
        ({"tool_calls": [{**CALL, "arguments": [1]}]}, r"arguments must be a mapping"),
        ({"tool_calls": [{**CALL, "arguments": "[1]"}]}, r"arguments must be a mapping, or JSON"),
        ({"tool_calls": [{**CALL, "is_error": 3}]}, r"is_error must be true or false"),
        ({"tool_calls": [{**CALL, "files": "none"}]}, r"files must be a list"),
        ({"tool_calls": [{**CALL, "files": [{"path": "a"}]}]}, r"content must be a text or binary"),
        *(
            (
                {"tool_calls": [{**CALL, "files": [{"path": path, "content": "x"}]}]},
                r"files\[0\].path: .* leaves the workspace",
            )
            for path in ("../x", "/etc/x", "a/../../x", "", ".git/hooks/x", "a/.GIT/x", "a\\b")
        ),
        (
            {"tool_calls": [{**CALL, "files": [{"path": "a", "content": "", "mode": "160000"}]}]},
            r"mode must be one of 100644, 100755, 120000",
        ),
        ({"verifications": [{**VERIFICATION, "when": 1e300}]}, "when must be a time in seconds"),
        ({"verifications": [{**VERIFICATION, "when": float("nan")}]}, "when must be a time"),
        (
            {"verifications": [{**VERIFICATION, "checks": [{**CHECK, "code": "0"}]}]},
            r"verifications\[0\].checks\[0\].code must be a whole number",
        ),
        ({"metadata": {"tools": {"t": {"parameters": 3}}}}, "tools.t.parameters must be a mapping"),
        ({"metadata": {"settings": {"verify": "x"}}}, "settings.verify must be a list"),
        ({"metadata": {"settings": {"max_rounds": -1}}}, "max_rounds must not be below 0"),
    ],
)
def test_what_is_wrong_in_a_strangers_file_is_one_line_with_its_place(
    tmp_path: Path, acts: Any, why: str
) -> None:
    with pytest.raises(CassetteError, match=why) as caught:
        load(cassette(tmp_path, **acts))
    assert "\n" not in str(caught.value)


def test_an_older_cassette_has_no_tools(tmp_path: Path) -> None:
    metadata, _ = load(cassette(tmp_path))
    assert metadata.acting == ActingRecord()
    assert metadata.tools == {}


def test_what_is_recorded_again_takes_the_place_of_the_same() -> None:
    first = RecordedCall(agent="a", step="s", tool="t", arguments={}, text="first")
    other = evolve(first, step="other")
    before = ActingRecord([first, other])
    recorder = ToolCallRecorder(Redaction(), before, lambda *_: None, lambda _: None)
    again = evolve(first, text="again")
    recorder.ended(again)
    assert list(recorder.record.calls) == [other, again]


def test_secrets_are_masked_wherever_they_stand() -> None:
    recorder = ToolCallRecorder(
        Redaction([SECRET]), ActingRecord(), lambda *_: None, lambda _: None
    )
    recorder.ended(
        RecordedCall(
            agent="a",
            step="s",
            tool="t",
            arguments={"k": [SECRET]},
            text=f"x {SECRET}",
            changes=True,
            files=[FileChange(f"{SECRET}.txt", f"is {SECRET}".encode())],
        )
    )
    recorder.verified(
        WorkspaceVerified(
            at=0.0,
            agent="a",
            tree="t",
            sandbox="none",
            when=0.0,
            checks=(Check(command="x", code=0, output=SECRET, seconds=0.0),),
        )
    )
    assert SECRET not in str(recorder.record)
    assert SECRET.encode() not in (recorder.record.calls[0].files or ())[0].content


def test_a_secret_that_cannot_be_masked_keeps_the_cassette_from_being_saved(
    tmp_path: Path,
) -> None:
    files = [FileChange("a.bin", b"\xff" + SECRET.encode())]
    call = RecordedCall(
        agent="a", step="s", tool="t", arguments={}, text="", changes=True, files=files
    )
    metadata = CassetteMetadata(acting=ActingRecord([call]))
    path = tmp_path / "team.yaml"
    with pytest.raises(SecretFound, match="not saved: the result of t, of a, holds a secret"):
        save(path, metadata, [], Redaction([SECRET]))
    assert not path.exists()
    log = RecordingLog(path, Redaction([SECRET]), CassetteMetadata())
    log.append_act(call)
    log.close(keep=True)
    assert load(log.path)[0].acting == ActingRecord()
