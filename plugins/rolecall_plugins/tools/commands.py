"""The tool that runs a command in the workspace, inside the run's sandbox."""

from collections.abc import Mapping
from typing import Any

from rolecall import ToolResult, Work


class RunCommand:
    """Runs a command line in the shell; the model gets its output and how it ended."""

    name = "workspace.run"
    description = (
        "Run a shell command in the workspace, for example to run the tests. There is no network, "
        "nothing outlives the command, and files are kept in the workspace alone."
    )
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"command": {"type": "string", "description": "The command line."}},
        "required": ["command"],
        "additionalProperties": False,
    }
    read_only = False
    repeatable = True
    needs_sandbox = True

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        if work.workspace is None or work.sandbox is None:
            return ToolResult("there is no sandbox on this machine to run it in", is_error=True)
        result = await work.sandbox.run(
            work.shell(arguments["command"]), work.workspace.root, work.limits
        )
        if result.stopped:
            ending = f"ended by the limit on {result.stopped} after {result.seconds:.1f} s"
        else:
            ending = f"exit status {result.code}, {result.seconds:.1f} s"
        text = f"{result.output.rstrip()}\n[{ending}]".lstrip()
        return ToolResult(text, is_error=bool(result.code or result.stopped))
