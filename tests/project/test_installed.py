"""The installed command, as a user runs it, against the simulator on this machine."""

import json
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from attrs import frozen
from installing import environment

from rolecall import CallEnded
from rolecall.storage.call_log import past_calls
from rolecall_plugins.simulator.scenario import Fault, Latency, Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread
from rolecall_plugins.team.roles import TABLE

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("rolecall")
INTERVAL = 0.2  # in seconds
NOTICED_LATE = 0.05  # how late a busy machine may notice that a call has arrived
AGENTS = [row[0] for row in TABLE]
KEYS = {"ANTHROPIC_API_KEY": "planted-for-claude-0", "GEMINI_API_KEY": "planted-for-gemini-0"}
FAULTS = (
    "gemini:empty:1@agent=research-analyst",
    "gemini:safety@agent=security-architecture-specialist",
    "claude:overloaded:1@agent=solution-architect",
    "claude:truncated:1@agent=code-implementer",
    "gemini:rate_limited:1@retry_after=1,agent=technical-writer",
)


@frozen
class Ended:
    code: int
    out: str
    err: str
    folder: Path  # where it was run

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "latest"

    @property
    def calls(self) -> list[CallEnded]:
        return past_calls(self.run)


def start(folder: Path, arguments: Sequence[str], **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, *arguments],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str], folder: Path) -> Ended:
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return Ended(process.returncode, out, err, folder)


def pace(folder: Path, interval: float) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.rolecall]\ninterval = {interval}\n", "utf-8")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ended, Simulator]]:
    """Run all 13 agents, with something going wrong for five of them."""
    folder = tmp_path_factory.mktemp("whole")
    pace(folder, INTERVAL)
    scenario = Scenario(faults=tuple(Fault.parse(fault) for fault in FAULTS))
    with serve_in_thread(scenario) as simulator:
        arguments = ["run", "Build a URL shortener", "--json", "--debug"]
        process = start(folder, arguments, **environment(folder, simulator, **KEYS))
        yield finish(process, folder), simulator


def test_thirteen_agents_are_done_whatever_goes_wrong(whole: tuple[Ended, Simulator]) -> None:
    ended, _ = whole
    assert ended.code == 0
    names = sorted(path.name for path in (ended.run / "deliverables").iterdir())
    assert names == [f"{number:02}-{name}.md" for number, name in enumerate(AGENTS, 1)]
    assert (ended.run / "PLAN.md").stat().st_size > 500


def test_each_fault_is_known_by_its_cause(whole: tuple[Ended, Simulator]) -> None:
    ended, _ = whole
    failed = Counter((each.agent, each.provider, each.cause) for each in ended.calls if each.cause)
    assert failed == {
        ("research-analyst", "gemini", "empty"): 1,
        ("security-architecture-specialist", "gemini", "safety"): 1,
        ("solution-architect", "claude", "overloaded"): 1,
        ("code-implementer", "claude", "truncated"): 1,
        ("technical-writer", "gemini", "rate_limited"): 1,
    }


def test_every_call_that_was_made_is_on_record(whole: tuple[Ended, Simulator]) -> None:
    ended, simulator = whole
    assert len(simulator.arrivals) == 13 + len(FAULTS)
    assert Counter(arrival.agent for arrival in simulator.arrivals) == Counter(
        each.agent for each in ended.calls
    )


def test_no_two_calls_are_sent_closer_than_the_interval(whole: tuple[Ended, Simulator]) -> None:
    _, simulator = whole
    *earlier, sent = (arrival.at for arrival in simulator.arrivals)
    for arrived in reversed(earlier):
        sent = min(arrived, sent - 0.99 * INTERVAL)  # as late as the next call allows
        assert arrived - sent <= NOTICED_LATE


def test_the_json_on_stdout_is_all_there_is(whole: tuple[Ended, Simulator]) -> None:
    ended, _ = whole
    told = json.loads(ended.out)
    assert told["distribution"] == {"claude": 6, "gemini": 7}
    routes = {each["agent"]: each["route"] for each in told["agents"]}
    assert routes["security-architecture-specialist"].startswith("claude/")
    assert told["total"]["calls"] == 13 + len(FAULTS)
    assert told["total"]["cost_usd"] > 0


def test_a_cut_deliverable_was_completed(whole: tuple[Ended, Simulator]) -> None:
    ended, _ = whole
    text = (ended.run / "deliverables" / "10-code-implementer.md").read_text("utf-8")
    assert "Cut off" not in text
    assert text.count("# Code Implementer") == 1


def test_a_key_is_in_no_file_and_in_no_output_even_when_debugging(
    whole: tuple[Ended, Simulator],
) -> None:
    ended, _ = whole
    written = [path for path in ended.folder.rglob("*") if path.is_file()]
    assert len(written) > len(AGENTS)
    said = [ended.out, ended.err, *(path.read_text("utf-8", "replace") for path in written)]
    for key in KEYS.values():
        assert not any(key in text for text in said)


def test_what_is_said_is_no_traceback(whole: tuple[Ended, Simulator]) -> None:
    ended, _ = whole
    assert "Traceback" not in ended.err
    assert "Warning" not in ended.err
    assert re.search(r"^ +\d+\.\d{3} FellBack .*cause=safety", ended.err, re.MULTILINE)


def test_a_team_runs_offline_without_keys(tmp_path: Path) -> None:
    pace(tmp_path, 0.05)
    arguments = ["run", "Build it — ✓", "--offline", "--fault", "gemini:overloaded:1"]
    ended = finish(start(tmp_path, arguments, **environment(tmp_path)), tmp_path)
    assert ended.code == 0
    assert len(list((ended.run / "deliverables").iterdir())) == 13
    assert "\nStart it\n  rolecall files " in ended.out
    assert "\nVerified by rolecall: 1 of 1 checks passed, in round 2, " in ended.out
    assert ended.out.splitlines()[-2].endswith("/report.html")
    report = finish(start(tmp_path, ["report"], **environment(tmp_path)), tmp_path)
    assert "\nDistribution: 5 of 13 on claude, 8 of 13 on gemini\n" in report.out
    assert ended.err.startswith("rolecall: offline, every reply is simulated by http://127.0.0.1:")
    assert "Simulated reply" in (ended.run / "PLAN.md").read_text("utf-8")
    assert {each.cause for each in ended.calls} == {None, "overloaded"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_an_interrupted_run_goes_on_without_asking_anything_twice(tmp_path: Path) -> None:
    pace(tmp_path, 0.05)
    with serve_in_thread(Scenario(latency=Latency.parse("0.1"))) as simulator:
        variables = environment(tmp_path, simulator, **KEYS)
        process = start(tmp_path, ["run", "Build it"], **variables)
        for line in process.stderr or ():
            if line.startswith("[ 5/13]"):
                break
        process.send_signal(signal.SIGINT)
        interrupted = finish(process, tmp_path)
        assert interrupted.code == 130
        assert "Traceback" not in interrupted.err
        said = interrupted.err.splitlines()[-1]
        assert said.startswith("rolecall: interrupted; what is answered is kept. Go on with: ")
        answered = {each.agent for each in interrupted.calls}
        before = len(simulator.arrivals)

        command = shlex.split(said.partition("Go on with: rolecall ")[2])
        resumed = finish(start(tmp_path, command, **variables), tmp_path)
    assert resumed.code == 0
    assert len(answered) >= 5
    again = [arrival.agent for arrival in simulator.arrivals[before:]]
    assert not answered & set(again)
    assert sorted(again) == sorted(set(AGENTS) - answered)


@pytest.mark.parametrize(
    ("arguments", "code"), [(["agents", "--json"], 0), (["--help"], 0), (["resume"], 2)]
)
def test_a_reader_that_goes_away_changes_nothing_and_is_not_worth_a_word(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    process = start(tmp_path, arguments, **environment(tmp_path))
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert (process.stderr.read() == "") == (code == 0)
    process.stderr.close()
    assert process.wait(10) == code


def test_a_terminal_that_claims_to_know_no_arrows_is_no_error(tmp_path: Path) -> None:
    variables = environment(tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    ended = finish(start(tmp_path, ["agents"], **variables), tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "gemini → claude" in ended.out
