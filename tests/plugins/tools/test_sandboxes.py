"""Commands run in a sandbox reach nothing of the user's, and end where they take too much."""

import asyncio
import os
import socket
import sys
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
