"""The tutorial of docs/tools.md works to the letter."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installing import installed
from places import ROOT

from rolecall_plugins.simulator.scenario import load_scenario
from rolecall_plugins.simulator.server import serve_in_thread

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs" / "tools.md").read_text("utf-8").partition("## Tools of your own")[2]
MODULE, TESTS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SETTINGS, SCENARIO = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
ROLECALL = ("-c", "from rolecall.cli.main import main; main()")


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    run(tmp_path, *ROLECALL, *re.findall(r"rolecall (plugins new .+)", SHELL[0])[0].split())
    project = tmp_path / "rolecall-packages"
    installed(project, "packages")
    assert "7 passed" in run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert (project / "tests" / "test_rolecall_packages.py").exists()
    (project / "rolecall_packages.py").write_text(MODULE, "utf-8")
    (project / "tests" / "test_rolecall_packages.py").write_text(TESTS, "utf-8")
    with (project / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{SETTINGS}\n[tool.rolecall]\ninterval = 0\n")
    return project


def test_a_stranger_s_tool_is_written_tested_used_and_replayed(project: Path) -> None:
    assert "5 passed" in run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    rows = json.loads(run(project, *ROLECALL, "tools", "--json"))
    (row,) = [row for row in rows if row["plugin"] == "packages"]
    assert (row["tool"], row["agents"]) == ("packages.version", ["code-implementer"])
    (project / "scenario.toml").write_text(SCENARIO, "utf-8")
    first, *others = [line for line in SHELL[2].splitlines() if line]
    with serve_in_thread(load_scenario(project / "scenario.toml")) as served:
        env = SHELL[1].replace("http://127.0.0.1:8765", served.anthropic_base)
        (project / ".env").write_text(env, "utf-8")
        run(project, *ROLECALL, *_words(first))
    show, replay = others
    shown = run(project, *ROLECALL, *_words(show))
    assert "code-implementer: packages.version" in shown
    assert re.search(r"\nrolecall \d", shown)
    for info in project.glob("*.dist-info"):  # as if it were not installed
        shutil.rmtree(info)
    run(project, *ROLECALL, *_words(replay))


def _words(line: str) -> list[str]:
    words = line.removeprefix("../.venv/bin/rolecall ")
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', words)]
