"""Recording replaces nothing but cassettes, and loses nothing that was recorded."""

import asyncio
import errno
import gzip
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from installing import Shell
from replying import reply_of
from serving import serving
from vcr.request import Request

from rolecall_plugins.cassettes.errors import CassetteError, NotSaved
from rolecall_plugins.cassettes.files import recording_log, safe_files, writer
from rolecall_plugins.cassettes.files.reader import load
from rolecall_plugins.cassettes.files.recording_log import log_path
from rolecall_plugins.cassettes.interactions import CassetteMetadata
from rolecall_plugins.cassettes.recorder import Recorder
from rolecall_plugins.cassettes.recording import recorded_in
from rolecall_plugins.cassettes.redaction import Redaction
from rolecall_plugins.providers.outbound import (
    IncomingReply,
    OutboundTransport,
    OutgoingRequest,
)

pytest_plugins = ("pytester",)

ONE = ("--only", "operator-intent-interpreter")
POSIX = pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def exchange(recorder: Recorder, asked: str = "hello", reply: bytes = b"{}", **more: Any) -> None:
    request = Request("POST", "https://example.com/ask", json.dumps({"ask": asked}), {})
    headers = {name.replace("_", "-"): [value] for name, value in more.items()}
    recorder.append(
        request,
        {"status": {"code": 200, "message": "OK"}, "headers": headers, "body": {"string": reply}},
    )


def asked_in(path: Path) -> list[Any]:
    return [json.loads(interaction.request["body"])["ask"] for interaction in load(path)[1]]


def record(
    path: Path,
    *asked: str,
    unfinished: Any = "keep",
    then: Callable[[], object] = lambda: None,
) -> None:
    """Record these exchanges, and do something before the recording ends."""
    with recorded_in(path, Redaction(), unfinished) as recorder:
        for each in asked:
            exchange(recorder, each)
        then()


# What stands at the path.


OTHERS = {
    "notes.txt": "Buy milk.\n",
    "pyproject.toml": "[project]\nname = 'x'\n",
    "data.yaml": "a: [1, 2]\n",
    "list.yaml": "- 1\n",
    "interactions.yaml": "interactions: many\n",
    "some.json": '{"interactions": {}}',
    "empty.yaml": "",
    "code.py": "print('hello')\n",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_is_no_cassette_is_never_replaced(shell: Shell, name: str) -> None:
    path = shell.folder / "mine" / name
    path.parent.mkdir()
    path.write_text(OTHERS[name], "utf-8")
    shell("run", "Build it", "--offline", "-o", "done", *ONE)
    for command in (
        ("run", "Build it", "-o", "other"),
        ("resume", "done"),
        ("rerun", "done", "--from", ONE[1]),
        ("update", "done", "Do more"),
    ):
        ended = shell(*command, "--offline", "--record", f"mine/{name}")
        assert ended.code == 2
        assert f"mine/{name} is no cassette: " in ended.err
        assert "it is left as it is" in ended.err
    assert path.read_text("utf-8") == OTHERS[name]
    assert [file.name for file in path.parent.iterdir()] == [name]
    assert not (shell.folder / "other").exists()


@POSIX
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_what_is_no_file_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "team.yaml"
    record(tmp_path / "real.yaml", "hello")
    before = (tmp_path / "real.yaml").read_bytes()
    match kind:
        case "link":
            path.symlink_to(tmp_path / "real.yaml")
        case "dangling link":
            path.symlink_to(tmp_path / "elsewhere.yaml")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    name = kind.removeprefix("dangling ")
    with pytest.raises(CassetteError, match=f"team.yaml: cannot be written: it is a {name}"):
        record(path, "goodbye")
    assert (tmp_path / "real.yaml").read_bytes() == before
    assert not (tmp_path / "elsewhere.yaml").exists()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="this system has no such device")
def test_a_device_is_refused_by_name() -> None:
    with pytest.raises(CassetteError, match="/dev/null: cannot be written: it is a device"):
        record(Path("/dev/null"), "hello")


def test_what_came_there_while_it_was_recorded_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    with pytest.raises(NotSaved, match=r"is no cassette: .*; 1 of the calls are kept in .*part"):
        record(path, "hello", then=lambda: path.write_text("somebody's notes", "utf-8"))
    assert path.read_text("utf-8") == "somebody's notes"
    assert asked_in(log_path(path)) == ["hello"]


def test_a_cassette_is_replaced(tmp_path: Path) -> None:
    record(tmp_path / "team.yaml", "hello")
    record(tmp_path / "team.yaml", "goodbye")
    assert asked_in(tmp_path / "team.yaml") == ["goodbye"]
    assert [file.name for file in tmp_path.iterdir()] == ["team.yaml"]


def test_a_test_records_over_no_foreign_file(pytester: pytest.Pytester) -> None:
    notes = pytester.path / "cassettes" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("Buy milk.", "utf-8")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.cassette("notes.txt")
        def test_ask():
            pass
        """
    )
    result = pytester.runpytest_inprocess("--record-mode=all", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*notes.txt is no cassette*it is left as it is*"])
    assert notes.read_text("utf-8") == "Buy milk."


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_its_owner_can_read_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    with recorded_in(path, Redaction(), "keep") as recorder:
        exchange(recorder)
        assert stat.S_IMODE(log_path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@POSIX
def test_nothing_is_written_through_a_link_that_stands_in_for_the_log(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    (tmp_path / "private").write_text("private", "utf-8")
    log_path(path).symlink_to(tmp_path / "private")
    with pytest.raises(CassetteError, match="part is in the way of recording"):
        record(path, "hello")
    assert (tmp_path / "private").read_text("utf-8") == "private"


def test_a_file_of_somebody_else_with_the_name_of_the_log_is_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    log_path(path).write_text("a novel", "utf-8")
    with pytest.raises(CassetteError, match="part is in the way of recording"):
        record(path, "hello")
    assert log_path(path).read_text("utf-8") == "a novel"


# What is recorded is kept.


KILLED = """
import os, signal, sys
from collections.abc import Callable
from pathlib import Path
sys.path[:0] = {path!r}
import httpx
from rolecall_plugins.cassettes.recording import recorded_in
from rolecall_plugins.cassettes.redaction import Redaction

with recorded_in(Path("team.yaml"), Redaction(), sys.argv[2]):
    for word in sys.argv[3:]:
        httpx.post(sys.argv[1] + "/ask", json={{"ask": word}})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, url: str, unfinished: str, *asked: str) -> None:
    code = KILLED.format(path=sys.path)
    command = [sys.executable, "-c", code, url, unfinished, *asked]
    assert subprocess.run(command, cwd=folder, timeout=60).returncode == -9


@POSIX
def test_what_was_recorded_before_kill_9_is_kept_and_added_to(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    with serving() as url:
        killed(tmp_path, url, "keep", "one", "two")
        assert not path.exists()
        assert asked_in(log_path(path)) == ["one", "two"]
        killed(tmp_path, url, "add", "three")
        assert asked_in(log_path(path)) == ["one", "two", "three"]
        record(path, "four", unfinished="add")
    assert asked_in(path) == ["one", "two", "three", "four"]
    assert not log_path(path).exists()


def test_a_new_recording_does_not_drop_one_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    left_by_a_crash(path, "one")
    with pytest.raises(CassetteError, match="holds the 1 calls of a recording that was cut off"):
        record(path, "two")
    assert asked_in(log_path(path)) == ["one"]
    record(path, "two", unfinished="drop")
    assert asked_in(path) == ["two"]


def test_what_was_cut_off_is_saved_by_a_resumed_run_that_asks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    record(path, "zero")
    left_by_a_crash(path, "one")
    record(path, unfinished="add")
    assert asked_in(path) == ["zero", "one"]


@pytest.mark.parametrize("torn", [1, 30, -2])
def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "team.yaml"
    left_by_a_crash(path, "one")
    whole = log_path(path).read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    log_path(path).write_bytes(whole + last[:torn])
    assert asked_in(log_path(path)) == ["one"]


def test_a_log_that_is_damaged_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    left_by_a_crash(path, "one")
    with log_path(path).open("ab") as log:
        log.write(b'{"interaction": {"position": 1, "request": 5, "response": {}}}\n')
    with pytest.raises(CassetteError, match=r"line \d+\.interaction\.request must be a mapping"):
        load(log_path(path))


def left_by_a_crash(path: Path, *asked: str) -> None:
    """Leave what a process leaves that is killed while it records."""
    log = recording_log.RecordingLog(path, Redaction(), CassetteMetadata())
    recorder = Recorder(path, Redaction(), log=log)
    for each in asked:
        exchange(recorder, each)
    log.close(keep=True)


def test_what_was_cut_off_is_in_the_new_log_from_its_first_moment(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    left_by_a_crash(path, "one", "two")
    _, unsaved = load(log_path(path))
    log = recording_log.RecordingLog(path, Redaction(), CassetteMetadata(), unsaved)
    log.close(keep=True)
    assert asked_in(log_path(path)) == ["one", "two"]


def test_what_is_added_to_does_not_hide_where_the_rest_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    record(path, "one")
    with recorded_in(path, Redaction(), "add") as recorder:
        request = Request("POST", "https://other.example/ask", '{"ask": "two"}', {})
        response = {"status": {"code": 200, "message": ""}, "headers": {}, "body": {"string": ""}}
        recorder.append(request, response)
    source = "the services at example.com, and the services at other.example"
    assert load(path)[0].source == source
    record(path, "three", unfinished="add")
    assert load(path)[0].source == source


def test_a_run_that_is_interrupted_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    with pytest.raises(KeyboardInterrupt):
        record(path, "hello", then=interrupt)
    assert asked_in(path) == ["hello"]


def interrupt() -> None:
    raise KeyboardInterrupt


class FullDisk:
    """A disk on which so many bytes are left; what is written beyond is an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        self._write = os.write
        monkeypatch.setattr(recording_log.os, "write", self.write)
        monkeypatch.setattr(writer, "write_atomically", self.write_atomically)

    def write(self, file: int, data: bytes) -> int:
        if len(data) > self.left:
            written = self._write(file, bytes(data)[: self.left])
            self.left = 0
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return written
        self.left -= len(data)
        return self._write(file, data)

    def write_atomically(self, path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_named_with_the_file_and_with_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "team.yaml"
    with recorded_in(tmp_path / "other.yaml", Redaction(), "keep") as recorder:
        exchange(recorder, "number 0")
        size = log_path(tmp_path / "other.yaml").stat().st_size
    FullDisk(monkeypatch, 3 * size)
    with pytest.raises(NotSaved) as caught:
        record(path, *(f"number {number}" for number in range(9)))
    kept = asked_in(log_path(path))
    assert kept == [f"number {number}" for number in range(len(kept))]
    assert 0 < len(kept) < 9
    assert str(caught.value) == (
        f"what was recorded is not saved: {path}: {os.strerror(errno.ENOSPC)}; "
        f"{len(kept)} of the calls are kept in {log_path(path)}"
    )


def test_a_failure_to_save_hides_no_error_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "team.yaml"
    FullDisk(monkeypatch, 10**6)
    with pytest.raises(KeyboardInterrupt):
        record(path, "hello", then=interrupt)
    assert "rolecall: what was recorded is not saved: " in capsys.readouterr().err


def test_a_failure_to_save_does_not_change_how_a_run_ended(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch, 10**6)
    failed = shell("run", "x", "--offline", "--record", "a.yaml", *ONE, "--fault", "*:auth")
    assert "a.yaml: No space left on device" in failed.err
    assert failed.code == shell("run", "x", "--offline", *ONE, "--fault", "*:auth").code == 4
    assert "Traceback" not in failed.err
    whole = shell("run", "x", "--offline", "--record", "b.yaml", *ONE, "-o", "whole")
    assert whole.code == 1
    assert "b.yaml: No space left on device" in whole.err
    assert (shell.folder / "whole/deliverables/01-operator-intent-interpreter.md").exists()


def test_a_recording_larger_than_can_be_read_is_not_saved_and_kept_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_BYTES", 100)
    with pytest.raises(NotSaved, match=r"it would be larger than .* 1 of the calls are kept in"):
        record(tmp_path / "team.yaml", "hello")


# Whatever a vendor sends.


ANY_TEXT = st.text(st.characters(codec=None), max_size=30)


@given(ANY_TEXT, ANY_TEXT, st.booleans())
def test_half_a_surrogate_pair_is_written_so_that_it_can_be_read_again(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str, streamed: bool
) -> None:
    path = tmp_path_factory.mktemp("tapes") / "team.yaml"
    text = json.loads(json.dumps(f"\ud83d{text}\ude00"))  # two halves are read as a whole
    name = json.loads(json.dumps(name))
    body = json.dumps({name: text, "text": text, "secret": "sk-ant-api03-abcdefgh"})
    raw = f"data: {body}\n\n" if streamed else body
    kind = "text/event-stream" if streamed else "application/json"
    with recorded_in(path, Redaction(), "keep") as recorder:
        exchange(recorder, text, raw.encode(), content_type=kind)
        assert len(load(log_path(path))[1]) == 1
    _, (interaction,) = load(path)
    value = json.loads(str(interaction.reply).removeprefix("data: "))
    assert value == {name: text, "text": text, "secret": "[secret]"}
    assert json.loads(str(interaction.request["body"]))["ask"] == text


def test_a_request_that_no_file_can_hold_is_still_readable(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    with recorded_in(path, Redaction(), "keep") as recorder:
        exchange(recorder)
        recorder._note(request="Build \udc80 it")
    assert load(path)[0].request == "Build \\udc80 it"


def test_a_reply_that_unpacks_without_end_is_not_recorded_and_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rolecall_plugins.cassettes import masking

    monkeypatch.setattr(masking, "MAX_BYTES", 10**6)
    path = tmp_path / "team.yaml"
    bomb = gzip.compress(gzip.compress(bytes(10**8)))
    with recorded_in(path, Redaction(), "keep") as recorder:
        exchange(recorder, "bomb", gzip.compress(bytes(10**7)), content_encoding="gzip")
        exchange(recorder, "bombs", bomb, content_encoding="gzip, gzip")
        exchange(recorder, "nested", bomb, content_encoding="gzip, gzip, gzip")
        exchange(recorder, "fine", gzip.compress(b"fine"), content_encoding="gzip")
    assert recorder.complaint.count("is not recorded: a body") == 3
    assert asked_in(path) == ["fine"]
    assert load(path)[1][0].reply == "fine"


def test_headers_that_come_twice_are_kept_twice(tmp_path: Path) -> None:
    class Connections:
        async def post(self, request: OutgoingRequest) -> IncomingReply:
            return reply_of(b"{}", 429, [("retry-after", "1"), ("retry-after", "2")])

        async def aclose(self) -> None:
            pass

    async def ask() -> None:
        transport = OutboundTransport(Connections)
        request = OutgoingRequest("https://example.com/ask", {}, b'{"ask": "hello"}')
        reply = await transport.send(request)
        while await reply.read():
            pass
        await reply.close()

    path = tmp_path / "team.yaml"
    with recorded_in(path, Redaction(), "keep"):
        asyncio.run(ask())
    assert load(path)[1][0].response["headers"]["retry-after"] == ["1", "2"]


def test_a_file_is_the_old_or_the_new_one_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "team.yaml"
    record(path, "hello")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(safe_files.os, name, fail)
            with pytest.raises(OSError, match="Input/output error"):
                safe_files.write_atomically(path, b"new")
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["team.yaml"]
