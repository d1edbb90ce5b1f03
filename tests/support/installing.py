"""The command line within the tests' process, and plugins that are really installed for it."""

import json
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from rolecall.cli.main import main
from rolecall_plugins.simulator.server import Simulator

FAST = '[tool.rolecall]\ninterval = 0\nblock = ["report"]\n'

# Answers every agent, and fails where the request says so: [auth at technical-writer].
ECHO = """
import re

from rolecall import ProviderError, Response, Stop, Usage, hookimpl

asked = []


class Echo:
    name = "echo"
    model = "echo-1"

    async def complete(self, request):
        text = request.messages[0].text
        (title,) = re.findall(r"deliverable of (.+) now", text)
        agent = title.lower().replace(" ", "-")
        asked.append(agent)
        for cause, where in re.findall(r"\\[(\\w+) at ([-*a-z]+)\\]", text):
            if where not in (agent, "*"):
                continue
            if cause == "truncated":
                return Response("cut off he", stop=Stop.LENGTH)
            raise ProviderError(cause, f"as told: {cause}")
        return Response(f"# {title}", Usage(1000, 100), cost=0.01)


@hookimpl
def rolecall_providers():
    return [Echo()]


@hookimpl
def rolecall_assign():
    return "echo"
"""


@frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def installed(project: Path, name: str) -> None:
    """Put beside the module what pip would put beside it."""
    info = project / f"rolecall_{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: rolecall-{name}\nVersion: 0.1.0\n", "utf-8")
    module = f"rolecall_{name.replace('-', '_')}"
    (info / "entry_points.txt").write_text(f"[rolecall]\n{name} = {module}\n", "utf-8")


def ran(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Shell:
    """A project's folder to run commands in, with plugins installed for it."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self._site = folder / "site"
        self._site.mkdir()
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.syspath_prepend(str(self._site))
        monkeypatch.chdir(self.folder)
        self.configure(FAST)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["rolecall", *arguments])
        self._monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin)))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out, err)

    def configure(self, text: str) -> None:
        (self.folder / "pyproject.toml").write_text(text, "utf-8")

    def install(self, name: str, code: str) -> None:
        """Install a plugin as pip would."""
        module = f"tested_{name}"
        self._monkeypatch.delitem(sys.modules, module, raising=False)
        (self._site / f"{module}.py").write_text(code, "utf-8")
        info = self._site / f"rolecall_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: rolecall-{name}\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[rolecall]\n{name} = {module}\n", "utf-8")

    @property
    def asked(self) -> list[str]:
        """Name the agents for which the plugin `echo` was called, in order."""
        return getattr(sys.modules.get("tested_echo"), "asked", [])

    def read(self, name: str, run: str = "runs/latest") -> str:
        return (self.folder / run / name).read_text("utf-8")

    def deliverables(self, run: str = "runs/latest") -> list[str]:
        return sorted(path.name for path in (self.folder / run / "deliverables").iterdir())


def environment(folder: Path, simulator: Simulator | None = None, **more: str) -> dict[str, str]:
    """Give a process nothing of this one's but where programs are found."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    home = {"HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state")}
    bases = {}
    if simulator is not None:
        bases = {
            "ANTHROPIC_API_BASE": simulator.anthropic_base,
            "GEMINI_API_BASE": simulator.gemini_base,
        }
    return {**kept, **home, **bases, **more}
