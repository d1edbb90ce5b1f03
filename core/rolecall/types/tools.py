"""What agents may be given to do: tools, what a tool may touch, and what is recorded of calls."""

import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen, validators

from .events import Event, ToolStarted, WorkspaceVerified
from .parts import ToolResult

LONGEST_DESCRIPTION = 8_000  # characters of a tool's description
TOOL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Workspace(Protocol):
    """The files that a team works on, in a folder of their own; paths are relative, with `/`.

    Every path is checked: one that leaves the folder, leads through a link or into `.git` is a
    ValueError that says so. Files are text in UTF-8.
    """

    @property
    def root(self) -> str: ...

    def files(self) -> list[str]:
        """List all files, sorted."""
        ...

    def read(self, path: str) -> str:
        """Return a file's text; raise ValueError where there is none, or it is no text."""
        ...

    def write(self, path: str, text: str) -> None:
        """Write a file, and the folders that it needs."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file; raise ValueError where there is none."""
        ...


@frozen
class CommandLimits:
    """What a command may take.

    seconds: of the clock. memory, disk, output: bytes. processes: at one time.
    network: whether it may reach other machines.
    """

    seconds: float = field(default=120.0, validator=validators.gt(0))
    memory: int = field(default=2 * 1024**3, validator=validators.gt(0))
    disk: int = field(default=1024**3, validator=validators.gt(0))
    output: int = field(default=1024**2, validator=validators.gt(0))
    processes: int = field(default=256, validator=validators.gt(0))
    network: bool = False


@frozen
class CommandResult:
    """What a command came to.

    code: its exit status, negative for a signal. output: of both streams, shortened in the middle
    where it is longer than the limit. seconds: it took. stopped: the limit that ended it, or "".
    """

    code: int
    output: str
    seconds: float
    stopped: str = ""


class Sandbox(Protocol):
    """A place where a command sees a folder and hardly anything else.

    No network unless the limits say so, no secret, no home, no process of others.
    """

    @property
    def name(self) -> str: ...

    def missing(self) -> str | None:
        """Return what keeps it from working on this machine, or None."""
        ...

    async def run(
        self, command: Sequence[str], folder: str, limits: CommandLimits
    ) -> CommandResult:
        """Run a command in a folder, which it may write to; a cancelled run ends its processes."""
        ...


def _never_asked(question: str, default: str) -> Awaitable[str]:
    raise NotImplementedError("nobody is there to ask")


@frozen
class Work:
    """What a tool may touch.

    agent: who calls. workspace, sandbox: None where the run has none.
    emit: to tell an event of the run. ask_operator: a question and the answer that stands where
    nobody is there; returns the operator's.
    """

    agent: str
    workspace: Workspace | None = None
    sandbox: Sandbox | None = None
    limits: CommandLimits = CommandLimits()
    emit: Callable[[Event], None] = field(default=lambda event: None, eq=False, repr=False)
    ask_operator: Callable[[str, str], Awaitable[str]] = field(
        default=_never_asked, eq=False, repr=False
    )

    @staticmethod
    def shell(line: str) -> tuple[str, ...]:
        """Return the command that has a line carried out by the system's shell."""
        return ("cmd", "/d", "/c", line) if sys.platform == "win32" else ("/bin/sh", "-c", line)


class Tool(Protocol):
    """Something that an agent may do.

    name: at most 64 letters, digits, `_`, `-` and `.`, a letter first. Dots part it from the group
        that it belongs to; models see `_` in their place.
    description: for the model, at most 8,000 characters.
    parameters: a JSON Schema of an object, in plain JSON; it refers to nothing beyond itself.
    read_only: it changes nothing anywhere, so that it may run beside others and again.
    """

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def parameters(self) -> Mapping[str, Any]: ...

    @property
    def read_only(self) -> bool: ...

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        """Do it. What the model should know of a failure is a result with `is_error`.

        arguments: they fit `parameters`. What it raises is reported as a broken tool.
        """
        ...


@runtime_checkable
class ChangesOutside(Protocol):
    """A tool that changes something beyond the workspace: its calls need the operator's consent."""

    @property
    def outside(self) -> bool: ...


@runtime_checkable
class Repeatable(Protocol):
    """A tool whose call may be made again where a crash left open whether it was made.

    Where it changes the workspace, that is put back to what it was before the call.
    """

    @property
    def repeatable(self) -> bool: ...


@runtime_checkable
class NeedsSandbox(Protocol):
    """A tool that is offered only where the run has a sandbox."""

    @property
    def needs_sandbox(self) -> bool: ...


@frozen
class FileChange:
    """What became of a file of the workspace.

    content: None where the file is gone; of a link, where it leads. mode: git's, one of
    `100644`, `100755` and, for a link, `120000`.
    """

    path: str
    content: bytes | None = field(default=None, repr=False)
    mode: str = "100644"


@frozen(kw_only=True)
class RecordedCall:
    """A tool call and what it came to.

    step: the key of the answer that wanted it. tool: its name; what the model wanted instead, where
        there is no such tool. text: what the model was told, perhaps shortened.
    changes: whether it was carried out as one that may change the workspace; files: what it
        changed there, None where that is too large to be recorded.
    """

    agent: str
    step: str
    tool: str
    arguments: Mapping[str, Any]
    text: str
    is_error: bool = False
    changes: bool = False
    files: Sequence[FileChange] | None = ()


class ToolRecorder(Protocol):
    """Hears what tools a run's agents have and what their calls come to, to have them replayed."""

    def offered(self, agent: str, tools: Sequence[Tool], has_sandbox: bool) -> None:
        """Hear which tools of plugins an agent is given, and whether the run has a sandbox."""
        ...

    def ended(self, call: RecordedCall) -> None:
        """Hear what a call came to, also one that was refused."""
        ...


class ToolPlayer(Protocol):
    """Stands in for the tools, the sandbox, the operator's consent and the checks of a run."""

    @property
    def tools(self) -> Sequence[Tool]:
        """Return what agents are offered in place of the plugins' tools; it is never called."""
        ...

    @property
    def has_sandbox(self) -> bool:
        """Check whether the recorded run had a sandbox; without it some tools are left out."""
        ...

    def result(self, call: ToolStarted) -> RecordedCall:
        """Return what a call came to; raise a RolecallError where that was not recorded."""
        ...

    def verification(self, agent: str, tree: str) -> WorkspaceVerified | None:
        """Return what the next checks of an agent's work came to; None where none were recorded.

        tree: what it left; where a secret was masked in what was recorded, it differs from then.
        Raises a RolecallError where fewer were recorded than are wanted.
        """
        ...
