"""Commands without any sandbox, for those who say that they want it."""

import os
import sys
from collections.abc import Mapping, Sequence

from rolecall import CommandLimits, CommandResult

from .processes import below, run_limited


class Unconfined:
    """Runs commands as the user, with the user's files and network: chosen by name alone.

    Of the environment a command gets the path and a language, and no secret.
    """

    name = "none"
    is_confining = False

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def missing(self) -> str | None:
        return None

    async def run(
        self, command: Sequence[str], folder: str, limits: CommandLimits
    ) -> CommandResult:
        kept = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "LANG")
        environment = {name: value for name in kept if (value := self._environment.get(name))}
        python = os.path.dirname(sys.executable)
        environment["PATH"] = os.pathsep.join([python, environment.get("PATH", os.defpath)])
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        count = below if sys.platform == "linux" else None
        return await run_limited(command, folder, environment, limits, count)
