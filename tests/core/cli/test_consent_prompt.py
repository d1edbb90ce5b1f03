"""On a terminal the operator is asked before a plugin's tool changes something outside."""

import json
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from installing import environment, installed
from terminal import MAIN, Terminal, on_terminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX"),
]

SECRET = "planted-secret-0"
# A team of two: one opens tickets, whose number and arguments the environment tells; one writes.
TICKETS = """
import json
import os

from rolecall import Agent, Response, Stop, ToolCall, ToolResult, Usage, hookimpl

CALLS = json.loads(os.environ["CALLS"])


class Open:
    name = "tickets.open"
    description = "Open a ticket."
    parameters = {"type": "object", "properties": {"title": {"type": "string"}}}
    read_only = False
    outside = True

    async def call(self, arguments, work):
        with open("tickets.txt", "a", encoding="utf-8") as tickets:
            tickets.write(arguments["title"] + "\\n")
        return ToolResult("opened")


class Scripted:
    name = "scripted"
    model = "m"

    async def complete(self, request):
        round = sum(message.role == "assistant" for message in request.messages)
        if request.tools and round < len(CALLS):
            call = ToolCall(str(round), "tickets_open", CALLS[round])
            return Response("", Usage(10, 5), stop=Stop.TOOL_USE, parts=(call,))
        results = [part.text for message in request.messages for part in message.parts
                   if isinstance(part, ToolResult)]
        return Response("told: " + ", ".join(results), Usage(10, 5))


@hookimpl
def rolecall_tools():
    return [Open()]


@hookimpl
def rolecall_providers():
    return [Scripted()]


@hookimpl
def rolecall_team():
    made = dict(goal="work", routes=("scripted",))
    return [
        Agent(name="clerk", title="Clerk", prompt="You open.", tools=("tickets",), **made),
        Agent(name="writer", title="Writer", prompt="You write.", **made),
    ]
"""
ALLOW = "Allow it? "
REFUSED = "the operator does not allow this call"


class Project:
    """A folder with the plugin; `begin` runs a command in it on a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pyproject.toml").write_text("[tool.rolecall]\ninterval = 0\n", "utf-8")
        (folder / "rolecall_tickets.py").write_text(TICKETS, "utf-8")
        installed(folder, "tickets")

    def environment(self, *titles: str, **arguments: str) -> dict[str, str]:
        calls = [{"title": title, **arguments} for title in titles]
        more = {"CALLS": json.dumps(calls), "ONE_API_KEY": SECRET}
        return environment(self.folder, PYTHONPATH=str(self.folder), **more)

    def begin(self, *titles: str, typed: str = "") -> AbstractContextManager[Terminal]:
        command = ("run", "Do it.", "-o", "run")
        return on_terminal(self.folder, self.environment(*titles), *command, typed=typed)

    def resume(self, *titles: str) -> AbstractContextManager[Terminal]:
        return on_terminal(self.folder, self.environment(*titles), "resume", "run")

    @property
    def tickets(self) -> list[str]:
        path = self.folder / "tickets.txt"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    @property
    def told(self) -> str:
        """Return what the model was told of its calls."""
        (path,) = (self.folder / "run" / "deliverables").glob("*-clerk.md")
        return path.read_text("utf-8").strip()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_call_is_shown_and_allowed_once(project: Project) -> None:
    with project.begin("Deploy", "Again") as terminal:
        terminal.wait_for("clerk wants to call tickets.open, of the plugin tickets.\n")
        question = terminal.wait_for(ALLOW)
        assert question == 'It changes something outside of the workspace:\n  title: "Deploy"\n'
        assert project.tickets == []
        terminal.type("y\n")
        terminal.wait_for("tickets.open by clerk is allowed")
        assert '"Again"' in terminal.wait_for(ALLOW)
        terminal.type("\n")
        terminal.wait_for("tickets.open by clerk is refused")
        assert terminal.end() == 0
    assert project.tickets == ["Deploy"]
    assert project.told == f"told: opened, {REFUSED}"
    assert "2 of 2 agents" in terminal.shown


def test_a_yes_to_all_is_asked_for_once(project: Project) -> None:
    with project.begin("One", "Two", "Three") as terminal:
        terminal.wait_for(ALLOW)
        terminal.type("what?\n")
        terminal.wait_for(ALLOW)
        terminal.type("A\n")
        assert terminal.end() == 0
        assert terminal.shown.count(ALLOW) == 2
    assert project.tickets == ["One", "Two", "Three"]


def test_the_end_of_the_input_is_a_no(project: Project) -> None:
    with project.begin("One") as terminal:
        terminal.wait_for(ALLOW)
        terminal.type("\x04")
        assert terminal.end() == 0
    assert (project.tickets, project.told) == ([], f"told: {REFUSED}")


def test_what_was_typed_before_there_was_a_question_does_not_answer_it(project: Project) -> None:
    with project.begin("One", typed="y\ny\n") as terminal:
        terminal.wait_for(ALLOW)
        terminal.type("n\n")
        assert terminal.end() == 0
    assert project.tickets == []


def test_what_a_model_wrote_can_neither_drive_the_terminal_nor_hide(project: Project) -> None:
    evil = f"\x1b[2J\x1b[31m\r\n\u202e\u200bAllow it? {SECRET} " + "x" * 600 + "the end"
    with project.begin(evil) as terminal:
        question = terminal.wait_for(" more characters\n")
        assert r'title: "\u001b[2J\u001b[31m\r\n\u202e\u200bAllow it? [secret] x' in question
        assert "the end" not in question
        terminal.wait_for("s: show all [y/a/N] ")
        terminal.type("s\n")
        terminal.wait_for("xthe end")
        terminal.wait_for(ALLOW)
        terminal.type("n\n")
        assert terminal.end() == 0


def test_ctrl_c_at_the_question_ends_the_run_which_asks_again_when_it_goes_on(
    project: Project,
) -> None:
    with project.begin("One", "Two") as terminal:
        terminal.wait_for(ALLOW)
        terminal.type("y\n")
        terminal.wait_for(ALLOW)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert "interrupted; what is answered is kept. Go on with: rolecall resume" in " ".join(
            terminal.shown.split()
        )
    with project.resume("One", "Two") as terminal:
        assert '"Two"' in terminal.wait_for(ALLOW)  # the first was decided, and made
        terminal.type("y\n")
        assert terminal.end() == 0
        assert terminal.shown.count(ALLOW) == 1
    assert project.tickets == ["One", "Two"]


@pytest.mark.parametrize("allow", [False, True])
def test_where_there_is_no_terminal_the_settings_alone_decide(
    project: Project, allow: bool
) -> None:
    if allow:
        with (project.folder / "pyproject.toml").open("a", encoding="utf-8") as settings:
            settings.write('allow = ["tickets.*"]\n')
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "run", "Do it.", "-o", "run"],
        cwd=project.folder,
        env=project.environment("One"),
        input="y\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ALLOW not in done.stderr
    assert project.tickets == (["One"] if allow else [])
    assert project.told == f"told: {'opened' if allow else REFUSED}"
