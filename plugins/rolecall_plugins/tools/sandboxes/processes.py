"""Run a command within limits: output, time, memory, processes and disk."""

import asyncio
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, evolve, field, frozen

from rolecall import CommandLimits, CommandResult

POLL = 0.05  # seconds between two looks at what a command takes
DISK_POLLS = 10  # looks of which one counts the disk, for that takes longer
READ = 65536  # bytes
LAST_WORDS = 1.0  # seconds in which the output must end once all that could write is ended
ENDLESS = 256  # times the kept output after which a command that writes on is ended
SMALLEST = 4096  # bytes that a file counts as at least: names take room, too
# Ends the command's whole group, and what else it left, once its standard input ends: that is when
# this process dies, however it does. The command itself reads nothing.
GUARD = (
    "exec 3<&0 </dev/null; end=$1; shift; "
    '(read _ <&3; eval "$end"; kill -9 0) >/dev/null 2>&1 & exec "$@" 3<&-'
)


@define
class Output:
    """The head and the tail of what a command writes, at most so many bytes of each."""

    most: int
    head: bytearray = field(factory=bytearray)
    tail: bytearray = field(factory=bytearray)
    length: int = 0

    def add(self, piece: bytes) -> None:
        self.length += len(piece)
        half = self.most // 2
        free = half - len(self.head)
        if free > 0:
            self.head += piece[:free]
            piece = piece[free:]
        self.tail += piece
        if len(self.tail) > 2 * half:
            del self.tail[:-half]

    @property
    def text(self) -> str:
        """Return what was kept, and how much was left out between head and tail."""
        tail = self.tail[-(self.most // 2) :]
        left_out = self.length - len(self.head) - len(tail)
        head, rest = (bytes(each).decode("utf-8", "replace") for each in (self.head, tail))
        return head + (f"\n[... {left_out} bytes left out ...]\n" if left_out > 0 else "") + rest


@frozen
class Taken:
    """What the processes of a command take at one moment; memory in bytes."""

    processes: int = 0
    memory: int = 0


Count = Callable[[int], Taken]


async def run_limited(
    command: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    limits: CommandLimits,
    count: Count | None = None,
    ending: Sequence[str] = (),
) -> CommandResult:
    """Run a command in a folder, and end all its processes where it takes more than it may.

    count: what the processes below one take; where the system cannot tell, these limits are not
    kept. ending: a command that ends what is not below it; it is run where this process is killed.
    Raises OSError where the command cannot be started.
    """
    began = time.monotonic()
    room = await asyncio.to_thread(_size, folder) + limits.disk
    output = Output(limits.output)
    with _lifeline() as lifeline:
        # A session of its own, so that everything it starts can be ended together.
        process = await asyncio.create_subprocess_exec(
            *_guarded(command, ending),
            cwd=folder,
            env=dict(environment),
            stdin=lifeline,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        reading = asyncio.ensure_future(_read(process, output))
        stopped = ""
        try:
            stopped = await _watch(process, reading, output, folder, limits, began, room, count)
        finally:
            _end(process)
            with suppress(asyncio.CancelledError):
                await asyncio.shield(process.wait())
                await asyncio.wait({reading}, timeout=LAST_WORDS)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
    code = process.returncode
    seconds = time.monotonic() - began
    if not stopped and await asyncio.to_thread(_size, folder, room) > room:
        stopped = "disk"  # too fast to be seen while it ran
    return CommandResult(-9 if code is None else code, output.text, seconds, stopped)


@contextmanager
def _lifeline() -> Iterator[int]:
    """Make what the guard reads: it ends with this process, and nothing ever comes from it."""
    ours, theirs = os.pipe()
    try:
        yield ours if os.name == "posix" else subprocess.DEVNULL
    finally:
        os.close(ours)
        os.close(theirs)


def _guarded(command: Sequence[str], ending: Sequence[str]) -> Sequence[str]:
    if os.name != "posix":
        return command
    return ("/bin/sh", "-c", GUARD, "sh", shlex.join(ending), *command)


async def _watch(
    process: asyncio.subprocess.Process,
    reading: "asyncio.Future[None]",
    output: Output,
    folder: str,
    limits: CommandLimits,
    began: float,
    room: int,
    count: Count | None,
) -> str:
    """Wait for a command's end, or for the limit that it breaks; return that limit, or "".

    room: bytes that the folder may come to.
    """
    looks = 0
    while True:
        with suppress(TimeoutError):
            # Its output ends after itself, where it left processes behind.
            await asyncio.wait_for(asyncio.shield(process.wait()), POLL)
        if process.returncode is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(reading), POLL)
            return ""
        if time.monotonic() - began > limits.seconds:
            return "time"
        if output.length > ENDLESS * limits.output:
            return "output"
        taken = count(process.pid) if count else Taken()
        if taken.processes > limits.processes:
            return "processes"
        if taken.memory > limits.memory:
            return "memory"
        looks += 1
        if looks % DISK_POLLS == 0 and await asyncio.to_thread(_size, folder, room) > room:
            return "disk"


async def _read(process: asyncio.subprocess.Process, output: Output) -> None:
    assert process.stdout is not None
    while piece := await process.stdout.read(READ):
        output.add(piece)


def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _size(folder: str, most: float = math.inf) -> int:
    """Add up the bytes below a folder; what vanishes meanwhile counts as nothing.

    most: from more on the rest is not counted.
    """
    total = 0
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            with suppress(OSError):
                total += max(os.lstat(os.path.join(place, name)).st_size, SMALLEST)
        if total > most:
            break
    return total


def below(pid: int) -> Taken:
    """Count what the descendants of a process take, by Linux's /proc.

    Children of children that ended belong to the namespace's first process, so none is missed where
    the command runs in a namespace of its own.
    """
    parents: dict[int, int] = {}
    memory: dict[int, int] = {}
    for other, parent, pages in _processes():
        parents[other], memory[other] = parent, pages * os.sysconf("SC_PAGE_SIZE")
    children: dict[int, list[int]] = {}
    for other, parent in parents.items():
        children.setdefault(parent, []).append(other)
    found = [pid]
    for each in found:  # grows while it is read
        found += children.get(each, ())
    return Taken(len(found), sum(memory.get(each, 0) for each in found))


def below_and_hidden(room: int) -> Count:
    """Return what counts as `below` does, and the memory that no process has mapped as well.

    That is what the machine's shared memory has grown by since, beyond `room`: the bytes that files
    in memory may take. Others' may be in it: where it decides, there is little left for anybody.
    """
    before = _shared_memory()

    def count(pid: int) -> Taken:
        taken = below(pid)
        hidden = max(0, _shared_memory() - before - room)
        return evolve(taken, memory=taken.memory + hidden)

    return count


def _shared_memory() -> int:
    with open("/proc/meminfo", encoding="ascii") as lines:
        found = [line.split()[1] for line in lines if line.startswith("Shmem:")]
    return 1024 * int(found[0]) if found else 0


def _processes() -> Iterator[tuple[int, int, int]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # The program's name stands in brackets and may hold blanks and brackets itself.
                fields = Path("/proc", name, "stat").read_text("ascii", "replace")
                rest = fields.rpartition(")")[2].split()
                yield int(name), int(rest[1]), int(rest[21])
