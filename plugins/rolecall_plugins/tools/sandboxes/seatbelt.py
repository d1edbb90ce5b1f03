"""Commands under a profile of macOS's own sandbox."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence

from rolecall import CommandLimits, CommandResult

from .processes import run_limited

PROFILE = """\
(version 1)
(deny default)
(allow process-fork)
(allow process-exec)
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))
(allow file-read-metadata)
(allow file-read* (subpath "/usr") (subpath "/bin") (subpath "/sbin") (subpath "/System")
    (subpath "/Library/Developer") (subpath "/opt") (subpath "/private/var/db/dyld")
    (subpath "/dev") {pythons})
(allow file-write* (literal "/dev/null") (literal "/dev/zero"))
(allow file-read* file-write* (subpath (param "FOLDER")) (subpath (param "TMP")))
"""
NETWORK = "(allow network*)\n(allow system-socket)\n"


class Seatbelt:
    """Allows a command to read the system and this Python, and to write to its folder alone.

    Its processes and memory are not counted: the time ends what takes too much.
    """

    name = "seatbelt"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._path = environment.get("PATH", os.defpath)

    def missing(self) -> str | None:
        if sys.platform != "darwin":
            return "it works on macOS alone"
        if shutil.which("sandbox-exec", path=self._path) is None:
            return "sandbox-exec is not there"
        return None

    async def run(
        self, command: Sequence[str], folder: str, limits: CommandLimits
    ) -> CommandResult:
        pythons = " ".join(f'(subpath "{path}")' for path in (sys.prefix, sys.base_prefix))
        profile = PROFILE.format(pythons=pythons) + (NETWORK if limits.network else "")
        with tempfile.TemporaryDirectory() as scratch:
            places = (f"FOLDER={os.path.realpath(folder)}", f"TMP={os.path.realpath(scratch)}")
            given = [flag for place in places for flag in ("-D", place)]
            arguments = ["sandbox-exec", *given, "-p", profile, "--", *command]
            environment = {
                "PATH": f"{sys.prefix}/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                "HOME": scratch,
                "TMPDIR": scratch,
                "LANG": "C.UTF-8",
            }
            return await run_limited(arguments, folder, environment, limits)
