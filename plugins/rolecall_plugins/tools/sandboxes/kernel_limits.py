"""Have Linux itself bound what a command takes: processes, memory, the size of a file.

A fork bomb leaves whoever counts from outside no time to count, and memory that no process has
mapped is seen by none. Within a user's namespace the system's limit on processes bounds them; root
is exempt from that, and gets control groups instead, which bound memory as well.
"""

import asyncio
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import frozen

from rolecall import CommandLimits

from .processes import SMALLEST

ROOT = Path("/sys/fs/cgroup")
JOIN = 'groups=$1; shift; for group in $groups; do echo $$ > "$group" || exit 125; done; exec "$@"'
PREFIX = "rolecall-"
ATTEMPTS, PAUSE = 40, 0.005  # to remove a group, and seconds between them


def limited_inside(command: Sequence[str], limits: CommandLimits) -> list[str]:
    """Bound a command that runs in a user namespace of its own, where nobody else is counted."""
    program = shutil.which("prlimit", path="/usr/bin:/bin")
    if program is None:
        return list(command)
    largest = limits.disk + SMALLEST  # a file that breaks the limit on the disk is seen to
    bounds = (f"--nproc={limits.processes}", f"--fsize={largest}", "--core=0")
    return [program, *bounds, "--", *command]


@frozen
class ControlGroup:
    """The control groups of one command, none where this process may not make any.

    folders: one of each hierarchy; the second version of control groups has one hierarchy alone.
    """

    folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, limits: CommandLimits, shared: int) -> "ControlGroup":
        """Make the groups. shared: bytes of memory that processes may share by name."""
        if os.geteuid() != 0:
            return cls()
        # What is written to the command's /tmp is in memory, too.
        memory = limits.memory + limits.disk + shared
        made: list[Path] = []
        for controller, bounds in (
            ("pids", {"pids.max": limits.processes}),
            ("memory", {"memory.limit_in_bytes": memory}),
            ("", {"pids.max": limits.processes, "memory.max": memory, "memory.swap.max": 0}),
        ):
            if not controller and made:
                break
            _sweep(ROOT / controller)
            folder = _make(ROOT / controller, bounds)
            made += [folder] if folder else []
        return cls(tuple(made))

    def joined(self, command: Sequence[str]) -> list[str]:
        """Return a command that joins the groups before it begins."""
        if not self.folders:
            return list(command)
        entries = " ".join(str(folder / "cgroup.procs") for folder in self.folders)
        return ["/bin/sh", "-c", JOIN, "sh", entries, *command]

    def broken_limit(self) -> str:
        """Return the limit by which the kernel ended something, or ""."""
        for folder in self.folders:
            for name in ("memory.oom_control", "memory.events"):
                with suppress(OSError):
                    lines = (folder / name).read_text("ascii").splitlines()
                    if any(line.startswith("oom_kill ") and line[9:] != "0" for line in lines):
                        return "memory"
        return ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for folder in self.folders:
            for _ in range(ATTEMPTS):
                try:
                    folder.rmdir()
                    break
                except OSError:  # some process has not quite ended
                    await asyncio.sleep(PAUSE)


def _make(place: Path, bounds: Mapping[str, int]) -> Path | None:
    """Make a group with those of the bounds that the system has here; None where it has none."""
    folder = place / f"{PREFIX}{os.getpid()}-{uuid.uuid4().hex}"
    try:
        folder.mkdir()
    except OSError:
        return None
    are_set = [_is_set(folder / name, bound) for name, bound in bounds.items()]
    if any(are_set):
        return folder
    with suppress(OSError):
        folder.rmdir()
    return None


def _is_set(file: Path, bound: int) -> bool:
    try:
        file.write_text(f"{bound}\n", "ascii")
    except OSError:
        return False
    return True


def _sweep(place: Path) -> None:
    """Remove the groups of processes that were killed."""
    for folder in place.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with suppress(OSError):
                folder.rmdir()
