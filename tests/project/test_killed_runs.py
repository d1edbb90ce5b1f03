"""A run that acts is killed at any moment, goes on, and ends as one that nobody killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from forking import Forking, forking
from killing import LONGEST, POSTS, SCRIPTS, TEXTS, WORKSPACE, Project

from rolecall import RunBusy
from rolecall.storage.acting.workspace import EMPTY_TREE
from rolecall_plugins.simulator.scenario import Fault, Latency, Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread
from rolecall_plugins.tools.sandboxes.bubblewrap import Bubblewrap

BUBBLEWRAP = Bubblewrap({"PATH": os.environ["PATH"]}).missing()
SANDBOXES = [
    pytest.param(
        "bubblewrap", marks=pytest.mark.skipif(BUBBLEWRAP is not None, reason=str(BUBBLEWRAP))
    ),
    "none",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="what is left is looked for in /proc"),
    pytest.mark.skipif(shutil.which("git") is None, reason="a workspace needs git"),
]
# Half of what an agent asks its first choice fails there, and goes to the other vendor.
FAULTS = [
    Fault.parse("gemini:quota_exhausted:50%@agent=coder"),
    Fault.parse("claude:context_overflow:50%@agent=auditor"),
    Fault.parse("gemini:safety:50%@agent=editor"),
]
LATENCY = Latency.parse("0.01-0.06")
SEED = 17


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    scenario = Scenario(scripts=SCRIPTS, faults=tuple(FAULTS), latency=LATENCY, seed=SEED)
    with serve_in_thread(scenario) as served:
        yield served


@pytest.fixture(scope="module")
def forks() -> Iterator[Forking]:
    with forking() as process:
        yield process


def is_shared(name: str) -> bool:
    """Check whether a file is the user's and no run's."""
    return name.startswith(("home/state/", "site/"))


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_run_that_acts_and_is_killed_at_any_moment_ends_as_if_it_had_not_been(
    tmp_path: Path,
    simulator: Simulator,
    forks: Forking,
    sandbox: str,
    pytestconfig: pytest.Config,
) -> None:
    whole = Project(tmp_path / "whole", simulator, forks, sandbox)
    assert whole.finish().code == 0, whole.errors
    check(whole, whole.files())
    # Forks begin sooner than processes that import everything first.
    seconds = Project(tmp_path / "forked", simulator, forks, sandbox).kill().seconds
    count = pytestconfig.getoption("kills")
    rng = Random(SEED)
    for number in range(count):
        project = Project(tmp_path / f"{number:03}", simulator, forks, sandbox)
        # One moment in each part of the run, and then perhaps again while it goes on.
        moment = seconds * (number + rng.random()) / count
        while (ended := project.kill(moment)).code != 0:
            assert ended.code == -signal.SIGKILL, ended.err
            assert project.no_process_is_left(), project.processes()
            moment = rng.choice([seconds * rng.random(), LONGEST])
        check(project, whole.files())
        shutil.rmtree(project.folder)


def test_of_two_processes_that_go_on_with_a_run_at_once_one_does(
    tmp_path: Path, simulator: Simulator, forks: Forking
) -> None:
    project = Project(tmp_path / "one", simulator, forks, "none")
    while not project.is_begun:
        project.kill(1.0)
    started = [project.start() for _ in range(3)]
    codes = sorted(project.wait(each).code for each in started)
    assert codes.count(0) <= 1
    assert all(code in (0, RunBusy.exit_code) for code in codes)
    assert any("is being written by another rolecall" in text for text in project.errors)
    assert project.kill().code == 0
    check(project, project.files())


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
@pytest.mark.parametrize("part", [".", "workspace.git", "deliverables"])
def test_a_folder_that_may_not_be_written_in_mid_run_is_no_loss(
    tmp_path: Path, simulator: Simulator, forks: Forking, part: str
) -> None:
    project = Project(tmp_path / "one", simulator, forks, "none")
    process = project.start()
    while not (project.run / part).exists():
        time.sleep(0.001)
    (project.run / part).chmod(0o500)
    ended = project.wait(process)
    (project.run / part).chmod(0o700)
    if ended.code != 0:
        assert "cannot be" in ended.err or "Mend this, then go on" in ended.err
        assert project.kill().code == 0, project.errors
    check(project, project.files())


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts a small disk"
)
@pytest.mark.parametrize("kilobytes", [60, 120, 180, 240])
def test_a_disk_that_is_full_in_mid_run_is_no_loss(
    tmp_path: Path, simulator: Simulator, forks: Forking, kilobytes: int
) -> None:
    project = Project(tmp_path / "one", simulator, forks, "none")
    disk = project.run
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        ended = project.kill()
        assert ended.code not in (0, -signal.SIGKILL)
        assert "o space left" in ended.err
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        assert project.kill().code == 0, project.errors
        check(project, project.files())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def check(project: Project, files: set[str]) -> None:
    """Compare a run with one that nobody killed, and these files of that."""
    unsaid = ("Traceback", "internal error", "Warning")
    assert not [text for text in project.errors if any(word in text for word in unsaid)]
    assert project.no_process_is_left()
    check_payments(project)
    check_effects(project)
    check_result(project)
    left = project.files() ^ files
    assert not {name for name in left if not is_shared(name)}


def check_payments(project: Project) -> None:
    records = project.records()
    ended = [each for each in records if each["type"] == "call_ended"]
    paid = Counter(each["step"] for each in ended if each["cause"] is None)
    assert set(paid.values()) == {1}, "a step was answered twice"
    open_calls = {each["call"] for each in records if each["type"] == "call_started"}
    in_doubt = open_calls - {each["call"] for each in ended}
    assert len(paid) <= len(project.answered()) <= len(paid) + len(in_doubt)
    told = "".join(project.errors)
    for call in in_doubt:
        agent = next(each["agent"] for each in records if each.get("call") == call)
        assert any("cut off under way" in line and agent in line for line in told.splitlines())


def check_effects(project: Project) -> None:
    records = project.records()
    done = [each for each in records if each["type"] == "tool_ended"]
    ended = Counter((each["step"], each["call"]) for each in done)
    assert set(ended.values()) == {1}, "a tool call ended twice"
    doubtful = [each["arguments"]["what"] for each in done if "not known whether" in each["text"]]
    posted = project.posted()
    assert set(posted.values()) == {1}, "an effect was doubled"
    assert POSTS - set(posted) <= set(doubtful), "an effect was lost"
    told = "".join(project.errors)
    assert told.count("ledger.post by") == len(doubtful)


def check_result(project: Project) -> None:
    workspace = project.workspace()
    tree = workspace.keep()
    assert set(workspace.changes(EMPTY_TREE, tree)) == WORKSPACE
    assert workspace.read("app.py") == "def add(a, b):\n    return a + b\n"
    assert workspace.read("audit/1.md") == "1\naudited\n"
    last = workspace.last()
    assert last is not None
    assert last.tree == tree
    assert {commit.agent for commit in workspace.commits()} == set(TEXTS)
    assert project.fsck() == ""
    texts = project.deliverables()
    assert {
        name.removesuffix(".md").partition("-")[2]: text
        for name, text in texts.items()
        if name != "PLAN.md"
    } == {**TEXTS, "editor": texts["PLAN.md"]}
    assert "1 of 1 checks passed, in round 2" in texts["PLAN.md"]
    assert TEXTS["editor"] in texts["PLAN.md"]
