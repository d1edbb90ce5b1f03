"""The examples, each built, installed into an environment of its own, and tested there."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from attrs import frozen
from installing import environment
from places import ROOT

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"
# what to list, and what of it is the plugin's own
ADDS = {
    "rolecall-budget-limiter": ("plugins", {"budget-limiter"}),
    "rolecall-ollama": ("providers", {"ollama"}),
    "rolecall-sqlite": ("tools", {"sqlite.query", "sqlite.schema"}),
    "rolecall-webteam": (
        "agents",
        {
            "accessibility-reviewer",
            "code-implementer",
            "frontend-architecture-specialist",
            "technical-writer",
        },
    ),
}
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
ROLECALL = "from rolecall.cli.main import main; main()"


@frozen
class Installed:
    """A distribution in an environment, and a copy of its source to work in."""

    name: str
    source: Path
    python: Path

    @property
    def plugin(self) -> str:
        return self.name.removeprefix("rolecall-")

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    def run(self, *arguments: str | Path) -> str:
        """Run the environment's Python, without its finding modules in the current folder."""
        ran = subprocess.run(
            [self.python, "-P", *arguments],
            cwd=self.source,
            env=environment(self.source),
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def listing(self, command: str) -> list[dict[str, Any]]:
        """List what rolecall knows of; everything else there is our own."""
        rows: list[dict[str, Any]] = json.loads(self.run("-c", ROLECALL, command, "--json"))
        return [row for row in rows if row["plugin"] == self.plugin]


@pytest.fixture(scope="module", params=ADDS)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp(request.param)
    source = folder / "source"
    shutil.copytree(EXAMPLES / request.param, source)
    venv.create(folder / "env", symlinks=os.name != "nt")
    base = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    where = {name: Path(sysconfig.get_path(name, "venv", base)) for name in ("purelib", "scripts")}
    installed = Installed(request.param, source, where["scripts"] / Path(sys.executable).name)
    # Its dependencies are those of the environment that the tests run in.
    ours = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
    where["purelib"].joinpath("ours.pth").write_text(ours, "utf-8")
    wheel = folder / installed.run("-c", BUILD, folder).strip()
    ZipFile(wheel).extractall(where["purelib"])
    return installed


def test_every_example_is_tested() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir()) == sorted(ADDS)


def test_its_own_tests_pass(example: Installed) -> None:
    example.run("-m", "pytest", "-q")


def test_its_types_are_sound(example: Installed, tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = tmp_path_factory.getbasetemp() / "mypy"
    (module,) = example.source.glob(f"{example.module}*")
    example.run("-m", "mypy", "--cache-dir", cache, module)


def test_rolecall_finds_it(example: Installed) -> None:
    (found,) = example.listing("plugins")
    assert (found["distribution"], found["state"]) == (example.name, "loaded")


def test_rolecall_lists_what_it_adds(example: Installed) -> None:
    command, names = ADDS[example.name]
    assert {row[command.removesuffix("s")] for row in example.listing(command)} == names
