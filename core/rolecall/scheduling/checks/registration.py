"""The tool by which an agent registers how its work is checked, and how it is started."""

from collections.abc import Mapping
from typing import Any

from ...types.parts import ToolResult
from ...types.tools import Work
from ...types.verification import REGISTER_CHECKS, Registration

MOST = 20  # checks
LONGEST = 500  # characters of a command
_COMMAND = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST,
    # One line that holds more than blanks: it is shown in tables, and run by a shell.
    "pattern": r"^[^\r\n\x00]*[^\s\x00][^\r\n\x00]*$",
}


class RegisterChecks:
    """Takes the commands; what counts is the record of the call, which the verification reads."""

    name = REGISTER_CHECKS
    description = (
        "Register the shell commands that show whether the work is right, for example "
        "`python3 -m unittest`, and the one that starts the program. Once you end, rolecall runs "
        "each check in a fresh copy of the workspace; one that does not exit with 0 comes back to "
        "you. A later call replaces an earlier one."
    )
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "checks": {
                "type": "array",
                "items": _COMMAND,
                "minItems": 1,
                "maxItems": MOST,
                "description": "Each is one line, run from the workspace's root, and ends.",
            },
            "start": {
                **_COMMAND,
                "description": "One line that starts the program, from the workspace's root.",
            },
        },
        "required": ["checks"],
        "additionalProperties": False,
    }
    # It changes no file, and may be called again.
    read_only = True

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        checks = Registration.parse(arguments).checks
        number = "1 check is" if len(checks) == 1 else f"{len(checks)} checks are"
        return ToolResult(f"{number} registered, in place of any before")
