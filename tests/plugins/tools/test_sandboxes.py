"""Commands run in a sandbox reach nothing of the user's, and end where they take too much."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolecall import CommandLimits, CommandResult, Sandbox
from rolecall_plugins.tools.sandboxes.bubblewrap import Bubblewrap
from rolecall_plugins.tools.sandboxes.processes import Output
from rolecall_plugins.tools.sandboxes.unconfined import Unconfined

ENVIRONMENT = {"PATH": os.environ["PATH"], "PLANTED_KEY": "planted-secret-0"}
BUBBLEWRAP = Bubblewrap(ENVIRONMENT)
LIMITS = CommandLimits(seconds=20.0)
POSIX = pytest.mark.skipif(os.name != "posix", reason="these are a POSIX shell's commands")
CONFINED = pytest.mark.skipif(
    BUBBLEWRAP.missing() is not None, reason=f"no bubblewrap here: {BUBBLEWRAP.missing()}"
)
SANDBOXES = [
    pytest.param(BUBBLEWRAP, marks=CONFINED, id="bubblewrap"),
    pytest.param(Unconfined(ENVIRONMENT), marks=POSIX, id="none"),
]


def run(sandbox: Sandbox, line: str, folder: Path, limits: CommandLimits = LIMITS) -> CommandResult:
    return asyncio.run(sandbox.run(("/bin/sh", "-c", line), str(folder), limits))


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_command_works_in_its_folder(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("text\n")
    result = run(sandbox, "cat here; echo more > there; echo oops >&2; exit 3", tmp_path)
    assert (result.code, result.output, result.stopped) == (3, "text\noops\n", "")
    assert (tmp_path / "there").read_text() == "more\n"


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_it_has_this_python(sandbox: Sandbox, tmp_path: Path) -> None:
    result = run(sandbox, "python3 -c 'import sys; print(sys.version_info[:2])'", tmp_path)
    assert result.output == f"{sys.version_info[:2]}\n"


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_no_secret_of_the_environment_is_seen(sandbox: Sandbox, tmp_path: Path) -> None:
    assert "planted" not in run(sandbox, "env", tmp_path).output


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize(
    ("line", "limits", "limit"),
    [
        ("sleep 60", CommandLimits(seconds=0.5), "time"),
        ("sleep 60 & exec sleep 60", CommandLimits(seconds=0.5), "time"),
        ("exec yes", CommandLimits(output=10_000), "output"),
        (
            "python3 -c 'held = bytearray(400_000_000); import time; time.sleep(60)'",
            CommandLimits(memory=200_000_000),
            "memory",
        ),
        ("head -c 30000000 /dev/zero > a; sleep 60", CommandLimits(disk=10_000_000), "disk"),
    ],
)
def test_a_command_that_takes_too_much_is_ended(
    sandbox: Sandbox, line: str, limits: CommandLimits, limit: str, tmp_path: Path
) -> None:
    if sys.platform != "linux" and limit == "memory":
        pytest.skip("only Linux tells")
    result = run(sandbox, line, tmp_path, limits)
    assert result.stopped == limit
    assert result.seconds < 15


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_command_cannot_have_more_processes_than_it_may(sandbox: Sandbox, tmp_path: Path) -> None:
    line = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 60 & done; wait"
    result = run(sandbox, line, tmp_path, CommandLimits(processes=8))
    assert result.stopped == "processes" or "fork" in result.output
    assert result.seconds < 15


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_cancelled_command_leaves_no_process(sandbox: Sandbox, tmp_path: Path) -> None:
    # A number of its own, by which its processes are known among those of other tests.
    seconds = f"61.{os.getpid()}{sandbox.name == 'none':d}"

    async def cancel() -> None:
        line = f"sleep {seconds} & touch started; sleep {seconds}"
        task = asyncio.ensure_future(sandbox.run(("/bin/sh", "-c", line), str(tmp_path), LIMITS))
        while not (tmp_path / "started").exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.1)

    asyncio.run(cancel())
    if sys.platform == "linux":
        assert not [command for command in _commands() if seconds.encode() in command]


def _commands() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue  # it ended meanwhile


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


CONNECT = """python3 -c "
import socket
try:
    socket.create_connection(('127.0.0.1', {port}), timeout=3)
    print('connected')
except OSError as error:
    print('refused')
" """


@CONFINED
def test_there_is_no_network_unless_it_is_wanted(tmp_path: Path, server: int) -> None:
    line = CONNECT.format(port=server)
    assert run(BUBBLEWRAP, line, tmp_path).output == "refused\n"
    wanted = CommandLimits(network=True)
    assert run(BUBBLEWRAP, line, tmp_path, wanted).output == "connected\n"


@CONFINED
@pytest.mark.parametrize(
    "line",
    [
        "cat {outside}/private",
        "ls {outside}",
        "cat /workspace/..{outside}/private",
        "ln -s {outside}/private link && cat link",
        "cat ~root/.bashrc",
        "cat /proc/1/root{outside}/private",
        "grep -a planted /proc/1/environ /proc/self/environ",
        "echo x > /usr/bin/mine",
        "echo x > /etc/mine",
        "mount -t tmpfs none /usr",
        "kill -9 {pid}",
        "unshare -Ur true",
        "cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern",
        "cat /proc/sys/kernel/hostname > /proc/sys/kernel/hostname",
        "echo 0 > /proc/self/oom_score_adj",
        "echo x > /dev/mine",
        "head -c 200000000 /dev/zero > /dev/shm/much",
    ],
)
def test_what_lies_outside_is_out_of_reach(line: str, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "private").write_text("content")
    result = run(BUBBLEWRAP, line.format(outside=outside, pid=os.getpid()), inside)
    assert result.code != 0
    assert "content" not in result.output
    assert (outside / "private").read_text() == "content"


@CONFINED
def test_what_root_does_to_devices_is_undone(tmp_path: Path) -> None:
    devices = [Path("/dev", name) for name in ("null", "zero", "full", "random", "urandom", "tty")]
    before = [path.stat().st_mode for path in devices]
    run(BUBBLEWRAP, "chmod 0 /dev/null /dev/zero /dev/random", tmp_path)
    assert [path.stat().st_mode for path in devices] == before
    assert run(BUBBLEWRAP, "head -c 3 /dev/zero | wc -c > /dev/stdout", tmp_path).output == "3\n"


@CONFINED
def test_no_process_of_others_is_seen(tmp_path: Path) -> None:
    result = run(BUBBLEWRAP, "ls -d /proc/[0-9]* | wc -l", tmp_path)
    assert int(result.output) < 8


@CONFINED
def test_a_fork_bomb_ends(tmp_path: Path) -> None:
    limits = CommandLimits(seconds=3.0, processes=64)
    result = run(BUBBLEWRAP, "f() { f | f & }; f; sleep 60", tmp_path, limits)
    assert result.seconds < 6
    assert run(BUBBLEWRAP, "echo fine", tmp_path).output == "fine\n"


def test_a_machine_without_bubblewrap_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rolecall_plugins.tools.sandboxes.bubblewrap.find_spec", lambda name: None)
    missing = Bubblewrap({"PATH": str(tmp_path)}).missing()
    assert missing is not None
    assert "install" in missing or "Linux" in missing


@pytest.mark.parametrize("pieces", [[b"x" * 100], [b"x"] * 100, [b"ab" * 10, b"c" * 80]])
def test_long_output_keeps_its_head_and_its_tail(pieces: list[bytes]) -> None:
    output = Output(20)
    for piece in pieces:
        output.add(piece)
    whole = b"".join(pieces).decode()
    assert output.text == f"{whole[:10]}\n[... 80 bytes left out ...]\n{whole[-10:]}"


def test_short_output_is_kept_whole() -> None:
    output = Output(20)
    output.add(b"short ")
    output.add(b"and sweet")
    assert output.text == "short and sweet"


# What a command leaves, and what it does to be let be.


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize(
    "line",
    [
        "trap '' TERM HUP INT; sleep {mark} & sleep {mark}",
        "(setsid sleep {mark} &) ; sleep 0.2; sleep {mark}",
        "python3 -c 'import os, time; os.fork() or os.setsid(); time.sleep({mark})'",
    ],
)
def test_a_process_that_will_not_end_is_ended(sandbox: Sandbox, line: str, tmp_path: Path) -> None:
    if "setsid" in line and sandbox.name == "none":
        pytest.skip("without a sandbox nothing holds a process that leaves its session")
    mark = _mark(line)
    result = run(sandbox, line.format(mark=mark), tmp_path, CommandLimits(seconds=1.0))
    assert result.stopped == "time"
    assert result.seconds < 10
    assert _is_gone(mark)


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_command_ends_although_what_it_started_holds_its_output(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    mark = _mark("output")
    result = run(sandbox, f"sleep {mark} & echo done", tmp_path)
    assert (result.code, result.output, result.stopped) == (0, "done\n", "")
    assert result.seconds < 10
    assert _is_gone(mark)


KILLED = """
import asyncio, sys
from rolecall import CommandLimits
from rolecall_plugins.tools.sandboxes.{module} import {name}

sandbox = {name}({{"PATH": {path!r}}})
line = "touch started; sleep {mark} & sleep {mark}"
asyncio.run(sandbox.run(("/bin/sh", "-c", line), {folder!r}, CommandLimits()))
"""


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_what_runs_for_a_process_that_is_killed_dies_with_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    mark = _mark("killed")
    code = KILLED.format(
        module=type(sandbox).__module__.rpartition(".")[2],
        name=type(sandbox).__name__,
        path=os.environ["PATH"],
        folder=str(tmp_path),
        mark=mark,
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        until = time.monotonic() + 20
        while not (tmp_path / "started").exists() and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
    assert (tmp_path / "started").exists()
    assert _is_gone(mark)


# A client like docker's: what it starts is no process of its own group.
CLIENT = """#!/bin/sh
case $1 in
  run) setsid sleep {mark} >/dev/null 2>&1 & echo $! > {pid}; touch started; wait ;;
  rm) kill -9 $(cat {pid}); echo "$@" > {removed} ;;
esac
"""
CONTAINED = """
import asyncio
from rolecall import CommandLimits, Settings
from rolecall_plugins.tools.sandboxes.container import Container

settings = Settings(sandbox="docker", environment={{"PATH": {path!r}}})
asyncio.run(Container("docker", settings).run(("true",), {folder!r}, CommandLimits()))
"""


@POSIX
@pytest.mark.skipif(shutil.which("setsid") is None, reason="there is no setsid here")
def test_a_container_is_removed_where_its_process_is_killed(tmp_path: Path) -> None:
    mark, removed = _mark("container"), tmp_path / "removed"
    client = tmp_path / "bin" / "docker"
    client.parent.mkdir()
    client.write_text(CLIENT.format(mark=mark, pid=tmp_path / "pid", removed=removed))
    client.chmod(0o755)
    (tmp_path / "work").mkdir()
    path = f"{client.parent}:{os.environ['PATH']}"
    code = CONTAINED.format(path=path, folder=str(tmp_path / "work"))
    with subprocess.Popen([sys.executable, "-c", code], env={"PATH": path}) as process:
        until = time.monotonic() + 20
        while not (tmp_path / "work" / "started").exists() and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
    assert _is_gone(mark)
    until = time.monotonic() + 5
    while not removed.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert removed.read_text().startswith("rm --force rolecall-")


def _mark(about: str) -> str:
    """Return seconds to sleep by which the processes of one test are known."""
    return f"62.{os.getpid()}{zlib.crc32(about.encode())}"


def _is_gone(mark: str) -> bool:
    until = time.monotonic() + 5.0
    while [each for each in _commands() if mark.encode() in each and b"sleep" in each]:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@CONFINED
@pytest.mark.parametrize(
    ("line", "limits", "limit"),
    [
        ("truncate -s 1T sparse", CommandLimits(disk=10_000_000), ""),
        ("truncate -s 9M a; truncate -s 9M b", CommandLimits(disk=10_000_000), "disk"),
        ("seq 4000 | xargs touch", CommandLimits(disk=10_000_000), "disk"),
        ("seq 4000 | xargs mkdir", CommandLimits(disk=10_000_000), "disk"),
        ("head -c 30000000 /dev/zero > /tmp/much", CommandLimits(disk=10_000_000), ""),
    ],
)
def test_no_room_is_taken_beyond_the_limit_however_fast(
    line: str, limits: CommandLimits, limit: str, tmp_path: Path
) -> None:
    result = run(BUBBLEWRAP, line, tmp_path, limits)
    assert result.stopped == limit
    assert limit or result.code != 0
    assert not (tmp_path / "sparse").exists() or (tmp_path / "sparse").stat().st_size == 0


@CONFINED
@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no files in memory here")
def test_memory_that_nobody_has_mapped_counts(tmp_path: Path) -> None:
    code = (
        "import os, time\nfor n in range(40):\n f = os.memfd_create(str(n))\n"
        " os.write(f, bytes(10_000_000))\ntime.sleep(60)"
    )
    limits = CommandLimits(seconds=20.0, memory=100_000_000, disk=10_000_000)
    result = run(BUBBLEWRAP, f'python3 -c "{code}"', tmp_path, limits)
    assert result.stopped == "memory"


NETWORK = """python3 - <<'END'
import socket
for family, address in (
    (socket.AF_INET, ("127.0.0.1", {port})),
    (socket.AF_INET, ("169.254.169.254", 80)),
    (socket.AF_INET6, ("::1", {port})),
    (socket.AF_UNIX, "\\\\0{abstract}"),
    (socket.AF_UNIX, "{path}"),
):
    try:
        socket.socket(family).connect(address)
        print("connected", address)
    except OSError:
        pass
try:
    print("found", socket.getaddrinfo("example.com", 80))
except OSError:
    pass
END
"""


@CONFINED
def test_no_socket_leads_out(tmp_path: Path, server: int) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    name = f"rolecall-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as named:
        abstract.bind(f"\0{name}")
        named.bind(str(tmp_path / "socket"))
        for listening in (abstract, named):
            listening.listen()
        line = NETWORK.format(port=server, abstract=name, path=tmp_path / "socket")
        result = run(BUBBLEWRAP, line.replace("\\\\", "\\"), inside)
    assert (result.code, result.output) == (0, "")


@CONFINED
@pytest.mark.parametrize(
    "code",
    [
        "libc.ptrace(16, {pid}, 0, 0)",
        "libc.unshare(0x10000000)",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.umount2(b'/proc', 2)",
        "libc.setuid(1) if os.getuid() else libc.chroot(b'/tmp')",
        "libc.syscall(435, 0, 0)",  # clone3
        "fcntl.ioctl(0, termios.TIOCSTI, b'x')",
        "fcntl.ioctl(os.open('/dev/tty', 2), termios.TIOCSTI, b'x')",
    ],
)
def test_no_system_call_leads_out(code: str, tmp_path: Path) -> None:
    script = (
        "import ctypes, fcntl, os, termios\nlibc = ctypes.CDLL(None)\n"
        f"raise SystemExit(({code.format(pid=os.getpid())}) < 0)"
    )
    result = run(BUBBLEWRAP, f'python3 -c "{script}"', tmp_path)
    assert result.code == 1, result.output


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_no_variable_of_ours_decides_what_a_command_loads(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LD_PRELOAD", "PYTHONPATH", "PYTHONSTARTUP", "BASH_ENV", "GIT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "planted"))
    assert "planted" not in run(sandbox, "env; cat /proc/self/environ", tmp_path).output
