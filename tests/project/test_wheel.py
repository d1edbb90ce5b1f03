"""The built wheel, in an environment that has it alone: what a user's type checker sees of it."""

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
from attrs import frozen
from places import ROOT

pytestmark = pytest.mark.slow

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
PROGRAM = """\
import asyncio

from rolecall import Agent, Team
from rolecall_plugins.claude import create_claude_llm_with_monitoring
from rolecall_plugins.gemini import create_gemini_llm_with_monitoring

reveal_type(create_claude_llm_with_monitoring())
reveal_type(create_gemini_llm_with_monitoring().call("Hello"))


async def plan(request: str) -> str | None:
    writer = Agent(name="writer", title="Writer", goal="write", prompt="Write.", routes="claude")
    result = await Team([writer]).run(request)
    return result.plan


print(asyncio.run(plan("An ode to queues")))
"""


@frozen
class Environment:
    python: Path
    packages: Path
    wheel: Path


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Put the wheel into an environment of its own; its dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wheel = folder / built.stdout.split()[-1]
    venv.create(folder / "env", symlinks=sys.platform != "win32")
    base = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    where = {name: Path(sysconfig.get_path(name, "venv", base)) for name in ("purelib", "scripts")}
    ZipFile(wheel).extractall(where["purelib"])
    # As a path alone: what is installed there for editing, our own source, is not followed.
    where["purelib"].joinpath("ours.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    return Environment(where["scripts"] / Path(sys.executable).name, where["purelib"], wheel)


def run(fresh: Environment, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [fresh.python, "-P", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_users_strict_type_checker_sees_both_packages(fresh: Environment, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    checked = run(fresh, tmp_path, "-m", "mypy", "--strict", "program.py")
    assert 'Revealed type is "rolecall.api.llm.LLM"' in checked.stdout
    assert re.search(r'Revealed type is "(builtins\.)?str"', checked.stdout)
    assert "Success: no issues found in 1 source file" in checked.stdout, checked.stdout


@pytest.mark.parametrize("package", ["rolecall", "rolecall_plugins"])
def test_it_is_the_wheel_that_is_imported(fresh: Environment, package: str, tmp_path: Path) -> None:
    imported = run(fresh, tmp_path, "-c", f"import {package}; print({package}.__file__)")
    assert Path(imported.stdout.strip()).parent == fresh.packages / package


def test_the_wheel_holds_both_packages_and_nothing_else(fresh: Environment) -> None:
    names = {Path(name).parts[0] for name in ZipFile(fresh.wheel).namelist()}
    (info,) = (name for name in names if name.endswith(".dist-info"))
    assert names == {"rolecall", "rolecall_plugins", info}


def test_every_file_of_the_source_is_in_the_wheel(fresh: Environment) -> None:
    held = set(ZipFile(fresh.wheel).namelist())
    source = {
        path.relative_to(root).as_posix()
        for root in (ROOT / "core", ROOT / "plugins")
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert source - held == set()
    assert "rolecall_plugins/cassettes/demo.yaml" in held
