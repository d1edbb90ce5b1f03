"""Agents that act: providers that call tools by a script, tools, and a sandbox to try them in."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve
from building import Ran, run

from rolecall import (
    Agent,
    CommandLimits,
    CommandResult,
    Request,
    Response,
    Settings,
    Stop,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    Work,
)
from rolecall.testing import FakeClock
from rolecall_plugins.tools.files import FILE_TOOLS

ENVIRONMENT = {"PATH": os.environ["PATH"]}
SETTINGS = Settings(interval=0, environment=ENVIRONMENT)
TOOLS: dict[str, Tool] = {tool.name: tool for tool in FILE_TOOLS}
Turn = str | Sequence[ToolCall] | Response


def call(name: str, id: str = "1", **arguments: Any) -> ToolCall:
    return ToolCall(id, f"workspace_{name}", arguments)


def write(path: str, content: str, id: str = "1") -> ToolCall:
    return call("write", id, path=path, content=content)


def answer(turn: Turn) -> Response:
    if isinstance(turn, Response):
        return turn
    if isinstance(turn, str):
        return Response(turn, Usage(10, 5))
    return Response("", Usage(10, 5), stop=Stop.TOOL_USE, parts=tuple(turn))


class Acting:
    """A provider without memory: what it answers follows from how long a conversation is.

    script: agent (as its prompt names it) to its turns.
    """

    def __init__(self, script: Mapping[str, Sequence[Turn]], name: str = "one") -> None:
        self.name = name
        self.requests: list[Request] = []
        self._script = script

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        await request.progress.sending()
        turns = next(turns for agent, turns in self._script.items() if agent in request.system)
        return answer(turns[sum(message.role == "assistant" for message in request.messages)])

    def results(self, asked: int = -1) -> list[ToolResult]:
        """List the tool results that the model was told last in one of its requests."""
        parts = self.requests[asked].messages[-1].parts
        return [part for part in parts if isinstance(part, ToolResult)]


class Shell:
    """A sandbox that confines nothing; it runs the commands of these tests alone."""

    name = "shell"

    def __init__(self) -> None:
        self.folders: list[str] = []

    def missing(self) -> str | None:
        return None

    async def run(
        self, command: Sequence[str], folder: str, limits: CommandLimits
    ) -> CommandResult:
        self.folders.append(folder)
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={"PATH": f"{os.path.dirname(sys.executable)}:{os.defpath}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return CommandResult(process.returncode or 0, output.decode(), 0.0)


class Send:
    """A tool that changes something outside."""

    name = "mail.send"
    description = "Send a mail."
    parameters: Mapping[str, Any] = {"type": "object", "properties": {"to": {"type": "string"}}}
    read_only = False
    outside = True

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        self.sent.append(arguments)
        return ToolResult("sent")


def act(
    folder: Path, agents: Sequence[Agent], provider: Acting, *others: Acting, **more: Any
) -> Ran:
    """Run agents that may use the workspace's tools, in real time."""

    def within(clock: FakeClock, running: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(running)

    more = {"settings": SETTINGS, "tools": TOOLS, **more}
    return run(folder, agents, provider, *others, within=within, **more)


def allowing(*patterns: str) -> Settings:
    return evolve(SETTINGS, allow=patterns)
