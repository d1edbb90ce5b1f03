"""Every test runs without keys, without a network, and away from the user's own files."""

import ipaddress
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile(
    "rolecall", database=None, deadline=None, derandomize=True, max_examples=40
)
settings.load_profile("rolecall")

OURS = ("ANTHROPIC_", "GEMINI_", "GOOGLE_", "OTEL_", "ROLECALL_")
_homes = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-rounds", type=int, metavar="N", help="change each reply N times at random"
    )
    parser.addoption(
        "--kills", type=int, metavar="N", default=4, help="kill runs that act at N moments each"
    )


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.getbasetemp() / "homes" / str(next(_homes))
    home.mkdir(parents=True)
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.chdir(home)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _on_this_machine(getattr(socket.socket, name)))


@pytest.fixture(autouse=True, scope="session")
def _no_process_is_left_behind() -> Iterator[None]:
    yield
    until = time.monotonic() + 10.0
    while running := _children():
        assert time.monotonic() < until, f"the tests left processes behind: {running}"
        time.sleep(0.05)


def _children() -> list[str]:
    """List the processes that were started and still run, where the system tells (Linux)."""
    running = []
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread, or a process, that ends meanwhile
            for child in path.read_text("ascii").split():
                status = Path("/proc", child, "status").read_text("utf-8", "replace")
                fields = dict(re.findall(r"^(Name|State):\s+(.*)$", status, re.MULTILINE))
                # One that has ended (Z) only waits to be noticed.
                if not fields["State"].startswith("Z"):
                    running.append(f"{child} {fields['Name']}")
    return running


def _on_this_machine(connect: Callable[[socket.socket, Any], Any]) -> Callable[..., Any]:
    def checked(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            pytest.fail(f"a test tried to connect to {address[0]}; tests run without a network")
        return connect(self, address)

    return checked


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
