"""Runs of a small team that acts, in processes of their own, killed from outside at any moment.

The team works on both vendors' wire formats at a simulator in the tests' process, which sees what
every process was answered. What its tool changes outside of the run is counted in a file.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen
from forking import Forking

from rolecall.storage.acting.workspace import GIT, GitWorkspace
from rolecall.storage.journal import JOURNAL
from rolecall_plugins.simulator.scenario import FunctionCall, Round, Script
from rolecall_plugins.simulator.server import Arrival, Simulator

ENVIRONMENT = {"PATH": os.environ["PATH"]}
LONGEST = 120.0  # seconds of one process
PLUGIN = '''
import asyncio
import os

from rolecall import Agent, ToolResult, hookimpl


class Ledger:
    """Changes something outside: each call adds a line to a file."""

    description = "Book something."
    parameters = {
        "type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]
    }
    read_only = False
    outside = True

    def __init__(self, name, repeatable):
        self.name = name
        self.repeatable = repeatable

    async def call(self, arguments, work):
        await asyncio.sleep(0.02)
        handle = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, f"{self.name} {arguments['what']}\\n".encode())
        os.close(handle)
        await asyncio.sleep(0.02)
        return ToolResult(f"booked {arguments['what']}")


def agent(name, routes, *needs, **more):
    prompt = f"You are the {name} of a team."
    return Agent(name, name.title(), "Act.", prompt, routes, needs, **more)


@hookimpl
def rolecall_tools(settings):
    return [Ledger("ledger.post", False), Ledger("ledger.set", True)]


@hookimpl
def rolecall_agents():
    tools = ("workspace", "ledger")
    return [
        agent("planner", ("claude", "gemini"), tools=tools),
        agent("coder", ("gemini", "claude"), "planner", tools=tools, verify=True),
        agent("auditor", ("claude", "gemini"), "planner", tools=tools),
        agent("editor", ("gemini", "claude"), "*", tools=tools, plan=True),
    ]
'''
SETTINGS = """
[tool.rolecall]
interval = 0
block = ["roles"]
allow = ["ledger.*"]
verify = ["sleep 0.1; python3 test_app.py"]
sandbox = "{sandbox}"
"""
FAULT = "def add(a, b):\n    return a - b\n"
TEST = "from app import add\n\nassert add(1, 2) == 3\nprint('fine')\n"
TEXTS = {name: f"# What the {name} wrote\n" for name in ("planner", "coder", "auditor", "editor")}


def _call(tool: str, **arguments: Any) -> FunctionCall:
    return FunctionCall(tool, arguments)


def _write(path: str, content: str) -> FunctionCall:
    return _call("workspace_write", path=path, content=content)


def _run(command: str) -> FunctionCall:
    return _call("workspace_run", command=command)


def _post(what: str) -> FunctionCall:
    return _call("ledger_post", what=what)


LIST = _call("workspace_list")
SCRIPTS: Mapping[str, list[Script]] = {
    "planner": [
        Script(
            [
                Round("I begin.", [_write("notes/plan.md", "# Plan\n"), _post("plan")]),
                Round(calls=[LIST, _call("workspace_read", path="notes/plan.md")]),
                Round(TEXTS["planner"]),
            ]
        )
    ],
    "coder": [
        Script(
            [
                Round(calls=[_call("workspace_edit", path="app.py", old="a - b", new="a + b")]),
                Round(calls=[_run("python3 test_app.py"), _post("mended")]),
                Round(TEXTS["coder"]),
            ],
            when="rolecall ran the checks",
        ),
        Script(
            [
                Round(calls=[LIST, _call("workspace_search", text="Plan")]),
                Round("Two files.", [_write("app.py", FAULT), _write("test_app.py", TEST)]),
                Round(calls=[_post("code"), _run("sleep 0.1; mkdir -p out; echo made > out/made")]),
                Round(calls=[_call("ledger_set", what="state"), LIST, _post("again")]),
                Round("# A first try\n"),
            ]
        ),
    ],
    "auditor": [
        Script(
            [
                Round(calls=[_write(f"audit/{n}.md", f"{n}\n"), LIST, _post(f"audit {n}")])
                for n in range(4)
            ]
            + [
                Round(calls=[_call("workspace_delete", path="audit/0.md")]),
                Round(calls=[_run("sleep 0.05; echo audited >> audit/1.md")]),
                Round(TEXTS["auditor"]),
            ]
        )
    ],
    "editor": [
        Script(
            [
                Round(calls=[LIST, _call("workspace_read", path="app.py")]),
                Round(calls=[_write("README.md", "# Read me\n"), _post("read me")]),
                Round(TEXTS["editor"]),
            ]
        )
    ],
}
POSTS = {"plan", "code", "again", "mended", "read me", *(f"audit {n}" for n in range(4))}
WORKSPACE = {
    *("README.md", "app.py", "test_app.py", "out/made", "notes/plan.md"),
    *(f"audit/{n}.md" for n in range(1, 4)),
}


@frozen
class Ended:
    """How a process ended; `code` is negative where it was killed."""

    code: int
    err: str
    seconds: float


@frozen
class Started:
    """A process at work: its standard error goes to a file."""

    pid: int
    errors: Path
    at: float


@frozen
class Project:
    """A folder with the team's plugin, in which runs are made.

    folder: everything of it, the user's home and folder of temporary files included.
    """

    folder: Path
    simulator: Simulator
    forking: Forking
    sandbox: str
    errors: list[str] = field(factory=list)
    seen: int = field(init=False)

    @seen.default
    def _arrived(self) -> int:
        return len(self.simulator.arrivals)

    def __attrs_post_init__(self) -> None:
        for name in ("home", "tmp", "site"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "pyproject.toml").write_text(SETTINGS.format(sandbox=self.sandbox), "utf-8")
        site = self.folder / "site"
        (site / "tested_team.py").write_text(PLUGIN, "utf-8")
        info = site / "rolecall_team-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: rolecall-team\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text("[rolecall]\nteam = tested_team\n", "utf-8")

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def is_begun(self) -> bool:
        return (self.run / JOURNAL).exists()

    def arguments(self) -> list[str]:
        """Return the command that begins the run, or goes on with it where it has begun."""
        if self.is_begun:
            return ["resume", str(self.run)]
        if self.run.exists():  # as whoever sees the message would do
            for path in self.run.iterdir():
                path.unlink()
        return ["run", "Add numbers.", "-o", str(self.run)]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.folder / "home"),
            "XDG_STATE_HOME": str(self.folder / "home" / "state"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": str(self.folder / "site"),
            "LEDGER": str(self.folder / "ledger"),
            "ANTHROPIC_API_KEY": "key-a",
            "GEMINI_API_KEY": "key-g",
            "ANTHROPIC_API_BASE": self.simulator.anthropic_base,
            "GEMINI_API_BASE": self.simulator.gemini_base,
        }

    def finish(self) -> Ended:
        """Let a process of the command line itself run to its end."""
        began = time.monotonic()
        done = subprocess.run(
            [Path(sys.executable).with_name("rolecall"), *self.arguments()],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        self.errors.append(done.stderr)
        return Ended(done.returncode, done.stderr, time.monotonic() - began)

    def start(self) -> "Started":
        """Start a process that works on the run, as the leader of a group."""
        errors = self.folder / "tmp" / f"errors-{len(self.errors)}-{time.monotonic_ns()}"
        errors.touch()
        pid = self.forking.start(self.arguments(), self.folder, self.environment(), errors)
        return Started(pid, errors, time.monotonic())

    def wait(self, started: "Started", until: float = LONGEST) -> Ended:
        """Wait for a process; kill it with all its group so many seconds after its start."""
        while (code := self.forking.poll(started.pid)) is None:
            left = until - (time.monotonic() - started.at)
            if left <= 0:
                with suppress(ProcessLookupError):
                    os.killpg(started.pid, signal.SIGKILL)
            time.sleep(min(max(left, 0.001), 0.01))
        err = started.errors.read_text("utf-8")
        started.errors.unlink()
        self.errors.append(err)
        return Ended(code, err, time.monotonic() - started.at)

    def kill(self, after: float = LONGEST) -> Ended:
        """Work on the run, and be killed after so many seconds, unless it ends before."""
        return self.wait(self.start(), after)

    # What is there in the end.

    def records(self) -> list[dict[str, Any]]:
        lines = (self.run / "journal.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def posted(self) -> Counter[str]:
        """Count what was booked outside by the tool that must not be called twice."""
        path = self.folder / "ledger"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        names = (line.partition(" ") for line in lines)
        return Counter(what for tool, _, what in names if tool == "ledger.post")

    def workspace(self) -> GitWorkspace:
        return GitWorkspace(self.run, ENVIRONMENT)

    def deliverables(self) -> dict[str, str]:
        """Return the texts that the team wrote, without the moment of its verification."""
        files = [*(self.run / "deliverables").iterdir(), self.run / "PLAN.md"]
        moment = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
        return {file.name: moment.sub("NOW", file.read_text("utf-8")) for file in files}

    def files(self) -> set[str]:
        """List all files of the project but those that hold the history's objects."""
        return {
            name
            for path in self.folder.rglob("*")
            if path.is_file()
            and not (name := str(path.relative_to(self.folder))).startswith(f"run/{GIT}/objects/")
        }

    def fsck(self) -> str:
        """Return what git finds wrong with the history."""
        command = ["git", f"--git-dir={self.run / GIT}", "fsck", "--no-dangling", "--full"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def processes(self) -> list[str]:
        """List the processes that see a folder of the project, by Linux's /proc."""
        mark = str(self.folder)
        return [text for text in _seen() if mark in text]

    def no_process_is_left(self) -> bool:
        """Wait a moment for killed processes to be gone."""
        until = time.monotonic() + 3.0
        while self.processes():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def answered(self) -> list[Arrival]:
        """List the calls that were answered whole, and well, since the project was made."""
        arrived = self.simulator.arrivals[self.seen :]
        return [each for each in arrived if each.sent and each.cause is None]


def _seen() -> Iterator[str]:
    """Tell of each process what it was started as, where it is, and what it alone has mounted."""
    ours = os.readlink("/proc/self/ns/mnt")
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if path.name == str(os.getpid()) or _has_ended(path):
                continue
            about = [(path / "cmdline").read_text("utf-8", "replace"), os.readlink(path / "cwd")]
            if os.readlink(path / "ns" / "mnt") != ours:
                about.append((path / "mountinfo").read_text("utf-8", "replace"))
            yield "\n".join(about).replace("\0", " ")


def _has_ended(path: Path) -> bool:
    status = (path / "stat").read_text("utf-8", "replace")
    return status.rpartition(")")[2].split()[0] == "Z"
