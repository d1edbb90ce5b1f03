"""For pytest: the fixture and marker `cassette`, recorded once and replayed without a network.

What it needs is imported by the first test that uses it; every other suite pays for this file.
"""

import re
import shlex
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from .player import Player
    from .recorder import Recorder

    CassetteFixture = Player | Recorder

# pytest-recording has the same option; its further modes mean the nearest of ours.
MODES = {"none": "none", "once": "once", "all": "all", "rewrite": "all", "new_episodes": "once"}
KEYS = ("ANTHROPIC_API_KEY", "GEMINI_API_KEY")
_active: pytest.StashKey["CassetteFixture"] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    theirs = find_spec("pytest_recording") and not pluginmanager.is_blocked("recording")
    if not theirs:
        parser.getgroup("rolecall").addoption(
            "--record-mode",
            choices=("none", "once", "all"),
            default="none",
            help="Cassettes: replay only, record those that are not there, or record all anew.",
        )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "cassette(path): replay the test's HTTP traffic from a file, by default "
        "cassettes/MODULE/TEST.yaml; a path is one in the folder cassettes.",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    names = getattr(item, "fixturenames", None)
    if names is not None and "cassette" not in names and item.get_closest_marker("cassette"):
        names.append("cassette")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed although a request was not recorded, or a reply not asked for."""
    result = yield
    if (cassette := item.stash.get(_active, None)) is not None and (why := cassette.complaint):
        pytest.fail(why, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    cassette = item.stash.get(_active, None)
    if cassette is not None and call.when == "call" and report.failed and cassette.complaint:
        report.sections.append(("cassette", cassette.complaint))
    return report


@pytest.fixture
def cassette(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> "Iterator[CassetteFixture]":
    """Replay the test's HTTP traffic, and allow no other; see docs/cassettes.md.

    `recording` is true while it is being recorded; `misses` has what was asked in vain.
    """
    path = _path(request)
    chosen = request.config.getoption("--record-mode", default=None) or "none"
    mode = MODES[chosen]
    record_again = f"pytest {shlex.quote(request.node.nodeid)} --record-mode="
    record_again += "all" if path.exists() else "once"
    if mode == "all" or (mode == "once" and not path.exists()):
        with _recording(path) as recorder:
            request.node.stash[_active] = recorder
            yield recorder
        return
    for name in KEYS:
        monkeypatch.setenv(name, "replayed")
    with _replaying(path, record_again) as player, _unplugged(player, record_again):
        request.node.stash[_active] = player
        yield player


@contextmanager
def _recording(path: Path) -> "Iterator[Recorder]":
    from rolecall import Redactor, load_settings

    from .recording import recorded_in
    from .redaction import Redaction

    redact = Redactor.of(load_settings(Path.cwd()))
    redaction = Redaction(redact.secrets, redact.known)
    with recorded_in(path, redaction, "drop") as recorder:
        yield recorder


@contextmanager
def _replaying(path: Path, record_again: str) -> "Iterator[Player]":
    from .files.reader import load
    from .interactions import CassetteMetadata
    from .player import Player
    from .recording import patched
    from .redaction import Redaction

    metadata, interactions = load(path) if path.exists() else (CassetteMetadata(), [])
    player = Player(path, metadata, interactions, Redaction(), record_again)
    with patched(player):
        yield player


@contextmanager
def _unplugged(player: "Player", record_again: str) -> Iterator[None]:
    """Refuse every connection of a socket but to itself, which event loops on Windows make."""
    pairing = local()
    pair = socket.socketpair

    def paired(*arguments: Any, **more: Any) -> Any:
        pairing.on = True
        try:
            return pair(*arguments, **more)
        finally:
            pairing.on = False

    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        def checked(self: socket.socket, address: Any, *more: Any) -> Any:
            return connect(self, address, *more) if _on(pairing) else refuse(address)

        return checked

    def refuse(address: Any, *more: Any, **options: Any) -> NoReturn:
        from .errors import Miss

        where = address[0] if isinstance(address, tuple) else address
        miss = Miss(
            f"the test connects to {where!r}, past its cassette; no network is there while a "
            f"cassette replays. Record it again: {record_again}"
        )
        player.misses.append(miss)
        raise miss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socketpair", paired)
        patch.setattr(socket, "getaddrinfo", refuse)
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        yield


def _on(pairing: local) -> bool:
    return getattr(pairing, "on", False)


def _path(request: pytest.FixtureRequest) -> Path:
    folder = request.config.rootpath / "cassettes"
    marker = request.node.get_closest_marker("cassette")
    if marker is not None and marker.args:
        return folder / str(marker.args[0])
    within = request.node.nodeid.partition("::")[2].replace("::", ".")
    name = re.sub(r"[^\w.-]+", "-", within).strip("-")
    return folder / request.path.stem / f"{name}.yaml"
