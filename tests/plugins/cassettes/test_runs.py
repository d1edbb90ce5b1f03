"""`--record` and `--replay`: a team, recorded once, replays without a key and without a socket."""

import asyncio
import json
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest
from installing import Ended, Shell
from serving import serving

from rolecall.scheduling.checks.plan_head import REPLAYED
from rolecall_plugins.cassettes import current_call
from rolecall_plugins.cassettes.files.reader import load
from rolecall_plugins.cassettes.runs import Hurried
from rolecall_plugins.simulator.scenario import FunctionCall, Round, Scenario, Script
from rolecall_plugins.simulator.server import serve_in_thread

pytestmark = pytest.mark.slow

REQUEST = "Build a URL shortener — ✓"
SOME = (
    "operator-intent-interpreter",
    "project-orchestrator",
    "research-analyst",
    "feature-analyst",
)
PART = tuple(word for name in SOME for word in ("--only", name))
FAULTS = (
    *("--fault", "gemini:empty:1", "--fault", "gemini:safety:1"),
    *("--fault", "claude:overloaded:1", "--fault", "claude:truncated:1"),
    *("--fault", "gemini:thinking_only:1", "--fault", "gemini:auth:2"),
)


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture(autouse=True)
def _silent() -> Any:
    yield
    assert current_call.active_cassette.get() is None


@pytest.fixture
def unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> NoReturn:
        raise AssertionError(f"a replay touched a socket: {arguments}")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)


def written(shell: Shell, run: str) -> dict[str, bytes]:
    """Return what agents wrote, without what tells a replay's plan from a recorded one's."""
    folder = shell.folder / run
    files = [*folder.glob("deliverables/*"), *folder.glob("PLAN.md")]
    note = f"\n{REPLAYED}\n".encode()
    return {file.name: file.read_bytes().replace(note, b"") for file in files}


def record(shell: Shell, *more: str, file: str = "team.yaml") -> Ended:
    return shell("run", REQUEST, "--offline", "--record", file, "-o", "recorded", *more)


def test_a_team_replays_byte_by_byte_without_key_and_socket(
    shell: Shell, request: pytest.FixtureRequest
) -> None:
    assert record(shell).code == 0
    request.getfixturevalue("unplugged")
    replayed = shell("run", "--replay", "team.yaml", "-o", "replayed")
    assert replayed.code == 0
    assert written(shell, "replayed") == written(shell, "recorded")
    assert len(written(shell, "replayed")) == 14
    assert (shell.folder / "replayed/request.md").read_text("utf-8") == f"{REQUEST}\n"
    told = "rolecall: replaying team.yaml, recorded from rolecall's simulator, not from a vendor on"
    assert replayed.err.startswith(told)
    assert "not needed" not in replayed.err


def test_what_went_wrong_goes_wrong_again_and_ends_the_same(
    shell: Shell, request: pytest.FixtureRequest
) -> None:
    recorded = record(shell, *FAULTS)
    request.getfixturevalue("unplugged")
    replayed = shell("run", "--replay", "team.yaml", "-o", "replayed")
    assert replayed.code == recorded.code == 0
    assert written(shell, "replayed") == written(shell, "recorded")


def test_a_run_without_a_key_replays_with_its_fallbacks(shell: Shell) -> None:
    shell.configure(
        "[tool.rolecall]\nblock = ['report']\ninterval = 0\n"
        "[tool.rolecall.on]\noverloaded = 'fallback'\n"
    )
    faults = ("--fault", "gemini:overloaded:9")
    recorded = record(shell, *faults)
    shell.configure("[tool.rolecall]\nblock = ['report']\ninterval = 0\n")
    replayed = shell("run", "--replay", "team.yaml", "-o", "replayed")
    assert replayed.code == recorded.code == 0
    assert written(shell, "replayed") == written(shell, "recorded")


@pytest.mark.parametrize("balance", ["fixed", "fastest"])
def test_a_balanced_run_replays_as_it_was_balanced(shell: Shell, balance: str) -> None:
    one = ("--only", "research-analyst")
    routes = ("--assign", "research-analyst=claude,gemini")
    recorded = record(shell, *one, *routes, "--balance", "cheapest", "--json")
    assert json.loads(recorded.out)["distribution"] == {"gemini": 1}
    replayed = shell(
        "run", "--replay", "team.yaml", "-o", "replayed", "--balance", balance, "--json"
    )
    assert json.loads(replayed.out)["distribution"] == {"gemini": 1}
    assert written(shell, "replayed") == written(shell, "recorded")


def test_a_replay_asks_as_it_was_recorded_whatever_the_settings_here(shell: Shell) -> None:
    only = ("--only", "research-analyst", "--only", "operator-intent-interpreter")
    record(shell, *only, "--assign", "research-analyst=claude/claude-opus-5-5")
    shell.configure("[tool.rolecall]\nblock = ['report']\nmax_output_tokens = 99\nstream = false\n")
    assert shell("run", "--replay", "team.yaml", "-o", "replayed").code == 0
    assert sorted(path.name for path in (shell.folder / "replayed/deliverables").iterdir()) == [
        "01-operator-intent-interpreter.md",
        "03-research-analyst.md",
    ]


def test_a_resumed_run_is_one_recording(shell: Shell) -> None:
    record(shell, *PART, "--fault", "claude:auth:1")
    told = shell("resume", "recorded")
    assert told.code == 0
    assert shell("run", "--replay", "team.yaml", "-o", "replayed").code == 0
    assert written(shell, "replayed") == written(shell, "recorded")


def test_a_replay_can_be_resumed(shell: Shell) -> None:
    record(shell)
    part = shell("run", "--replay", "team.yaml", "-o", "part", "--only", "feature-analyst")
    assert part.code == 1  # it lacks what it needs, so it asks what was never recorded
    shell("run", "--replay", "team.yaml", "-o", "whole")
    (shell.folder / "whole/deliverables/13-plan-update-coordinator.md").unlink()
    resumed = shell("rerun", "whole", "--only", "plan-update-coordinator")
    assert resumed.code == 0
    assert "recorded calls were not needed" in resumed.err


def replay_something_else(shell: Shell, *more: str) -> Ended:
    """Replay what nobody recorded: a run whose request was edited."""
    record(shell, *PART)
    shell("run", "--replay", "team.yaml", "-o", "edited")
    (shell.folder / "edited" / "request.md").write_text("Build something else", "utf-8")
    return shell("resume", "edited", *more)


@pytest.mark.parametrize("given", [["Build something else"], ["-f", "request.md"]])
def test_another_request_than_the_recorded_one_is_refused_before_the_run(
    shell: Shell, given: list[str]
) -> None:
    record(shell, *PART)
    (shell.folder / "request.md").write_text("Build something else", "utf-8")
    ended = shell("run", *given, "--replay", "team.yaml", "-o", "other")
    assert ended.code == 2
    assert "team.yaml was recorded for another request; leave out yours" in ended.err
    assert not (shell.folder / "other").exists()
    assert shell("run", REQUEST, "--replay", "team.yaml", *PART).code == 0


def test_a_change_that_was_not_recorded_leaves_the_run_as_it_is(shell: Shell) -> None:
    shell("run", "--replay", "demo", "-o", "done")
    journal = shell.read("journal.jsonl", "done")
    ended = shell("update", "done", "Use another database")
    assert ended.code == 2
    assert "no change was recorded in demo" in ended.err
    assert shell.read("journal.jsonl", "done") == journal


def test_a_request_that_was_not_recorded_is_said_with_its_agent_and_the_difference(
    shell: Shell,
) -> None:
    ended = replay_something_else(shell)
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert re.search(
        r"team\.yaml: what operator-intent-interpreter asks of gemini-3\.8-flash is not in the "
        r"cassette; from the nearest one differs: messages\. "
        r"Record it again: rolecall run \"REQUEST\" --record team\.yaml\n",
        ended.err,
    )
    assert f"\n    -{REQUEST}\n    +Build something else\n" in ended.err
    assert "0 of 4 agents done" in ended.err


def test_a_miss_is_followed_by_no_retry_and_no_fallback(shell: Shell) -> None:
    ended = replay_something_else(shell, "--debug")
    assert ended.err.count("CallStarted") == 1
    assert not re.search("Retrying|FellBack", ended.err)


def test_a_stranger_s_provider_records_and_replays_with_its_own_client(shell: Shell) -> None:
    shell.install("stranger", STRANGER)
    assigned = ("--only", "research-analyst", "--assign", "research-analyst=stranger")
    with serving() as url:
        (shell.folder / ".env").write_text(f"STRANGER_KEY=a-secret-word\nSTRANGER_BASE={url}\n")
        recorded = shell("run", "Go", "--record", "s.yaml", "-o", "recorded", *assigned)
    assert recorded.code == 0
    (shell.folder / ".env").unlink()
    assert shell("run", "--replay", "s.yaml", "-o", "replayed").code == 0
    name = "deliverables/03-research-analyst.md"
    assert shell.read(name, "replayed") == shell.read(name, "recorded") == "# Said\n"
    text = (shell.folder / "s.yaml").read_text("utf-8")
    assert "a-secret-word" not in text


def test_a_miss_stays_a_miss_where_a_provider_takes_it_for_a_failure(shell: Shell) -> None:
    shell.install("stranger", STRANGER)
    assigned = ("--only", "research-analyst", "--assign", "research-analyst=stranger")
    with serving() as url:
        (shell.folder / ".env").write_text(f"STRANGER_KEY=a-secret-word\nSTRANGER_BASE={url}\n")
        shell("run", "Go", "--record", "s.yaml", *assigned)
    shell("run", "--replay", "s.yaml", "-o", "edited", *assigned)
    (shell.folder / "edited" / "request.md").write_text("Stay", "utf-8")
    ended = shell("resume", "edited", "--debug")
    assert ended.code == 1
    assert ended.err.count("CallStarted") == 1
    assert "research-analyst asks is not in the cassette" in ended.err


def test_a_cassette_that_would_hold_a_key_is_not_saved(shell: Shell) -> None:
    shell.install("stranger", STRANGER)
    with serving(b"\xff sk-ant-api03-abcdefgh") as url:
        (shell.folder / ".env").write_text(f"STRANGER_KEY=a-secret-word\nSTRANGER_BASE={url}\n")
        assigned = ("--only", "research-analyst", "--assign", "research-analyst=stranger")
        ended = shell("run", "Go", "--record", "s.yaml", *assigned)
    assert ended.code == 4  # the run's own failure is not hidden by it
    assert "s.yaml is not saved: the reply's body of exchange 1 of research-analyst" in ended.err
    assert not (shell.folder / "s.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--replay", "none.yaml"), "none.yaml: cannot be read: No such file"),
        (("--replay", "bad.yaml"), "bad.yaml is no cassette"),
        (("--replay", "empty.yaml"), "empty.yaml is no cassette: it does not list interactions"),
        (("--replay", "bytes.yaml"), "bytes.yaml is no cassette: it is not UTF-8 text"),
        (("--record", "folder"), "folder: cannot be written: it is a folder"),
        (("--record", "bad.yaml/team.yaml"), "bad.yaml/team.yaml: cannot be written: "),
        (("--replay-speed", "1"), "--replay-speed only goes with --replay"),
        (("--record", "a.yaml", "--replay", "a.yaml"), "do not go together"),
        (("--replay", "a.yaml", "--offline"), "do not go together"),
    ],
)
def test_a_wrong_cassette_is_a_usage_error(
    shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    (shell.folder / "bad.yaml").write_text("[]", "utf-8")
    (shell.folder / "empty.yaml").touch()
    (shell.folder / "bytes.yaml").write_bytes(b"\xff")
    (shell.folder / "folder").mkdir()
    (shell.folder / "a.yaml").write_text("version: 1\ninteractions: []\n", "utf-8")
    ended = shell("run", "Go", *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_at_speed_one_a_replay_takes_its_time(shell: Shell) -> None:
    shell.configure("[tool.rolecall]\nblock = ['report']\ninterval = 0.2\n")
    only = ("--only", "operator-intent-interpreter", "--only", "feature-analyst")
    record(shell, *only)
    text = (shell.folder / "team.yaml").read_text("utf-8")
    held = re.sub(r"(  route: .*\n)(  seconds: .*\n)?", r"\1  seconds: 0.4\n", text)
    (shell.folder / "team.yaml").write_text(held, "utf-8")
    began = time.monotonic()
    assert shell("run", "--replay", "team.yaml", "--replay-speed", "1").code == 0
    assert time.monotonic() - began >= 0.8


def test_a_vendors_cooldown_passes_as_fast_as_the_rest_of_a_replay(shell: Shell) -> None:
    shell.configure("[tool.rolecall]\nblock = ['report']\ninterval = 0.01\n")
    fault = ("--fault", "gemini:rate_limited:1@retry_after=1")
    record(shell, "--only", "operator-intent-interpreter", *fault)
    replayed = shell("run", "--replay", "team.yaml", "--replay-speed", "50", "--json")
    gemini = json.loads(replayed.out)["providers"]["gemini"]
    assert gemini["failed_calls"] == 1
    assert gemini["waiting_seconds"] < 0.5


@pytest.mark.parametrize(("speed", "waited"), [(None, 0), (1, 3), (4, 0.75)])
def test_a_wait_takes_a_fraction_of_its_time(
    speed: float | None, waited: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(Hurried(speed).sleep(3))
    assert waits == [waited]


def test_recording_again_makes_the_same_file(shell: Shell) -> None:
    record(shell, *PART)
    shell("run", "--replay", "team.yaml", "-o", "replayed")
    record(shell, *PART, "-o", "again", file="again.yaml")
    texts = [
        re.sub(r"(?m)^  seconds: .*\n|message_start.*|\"?(id|responseId)\"?: ?\S+", "", text)
        for name in ("team.yaml", "again.yaml")
        if (text := (shell.folder / name).read_text("utf-8"))
    ]
    orders = [
        [interaction.agent for interaction in load(shell.folder / name)[1]]
        for name in ("team.yaml", "again.yaml")
    ]
    assert orders[0] == orders[1]
    assert texts[0] == texts[1]


STRANGER = """
import httpx

from rolecall import Cause, ProviderError, Response, hookimpl


class Stranger:
    name = "stranger"
    model = "s-1"

    def __init__(self, settings):
        self._key = settings.variable("STRANGER_KEY")
        self._base = settings.variable("STRANGER_BASE") or "https://api.stranger.example"

    def missing(self):
        return None if self._key else "STRANGER_KEY is not set"

    async def complete(self, request):
        try:
            async with httpx.AsyncClient() as client:
                reply = await client.post(
                    f"{self._base}/ask?key={self._key}",
                    json={"ask": request.messages[0].text},
                    headers={"x-stranger-key": self._key},
                )
            return Response(reply.json()["text"])
        except Exception as error:
            raise ProviderError(Cause.SERVER_ERROR, str(error)) from error


@hookimpl
def rolecall_providers(settings):
    return [Stranger(settings)]
"""


ACTING = """
[tool.rolecall]
block = ["report"]
interval = 0
sandbox = "none"
repairs = 1

[tool.rolecall.agents.code-implementer]
tools = ["workspace"]
"""


def run_acting_team(shell: Shell) -> Ended:
    """Record an agent that runs commands which come to something else each time."""
    now = f'{Path(sys.executable).as_posix()} -c "import time; print(time.time_ns())"'
    first = (
        FunctionCall("workspace_write", {"path": "app.py", "content": "print(1)\n"}),
        FunctionCall("workspace_run", {"command": f"{now} > made.txt && {now}"}),
        FunctionCall("register_checks", {"checks": [now, "exit 1"]}),
    )
    more = (FunctionCall("workspace_edit", {"path": "app.py", "old": "1", "new": "2"}),)
    scripts = [
        Script([Round(calls=more), Round("Mended.")], when="rolecall ran the checks"),
        Script([Round(calls=first), Round("Written.")]),
    ]
    shell.configure(ACTING)
    with serve_in_thread(Scenario(scripts={"code-implementer": scripts})) as served:
        (shell.folder / ".env").write_text(
            f"ANTHROPIC_API_KEY=a-key-for-tests\nANTHROPIC_API_BASE={served.anthropic_base}\n"
        )
        only = ("--only", "code-implementer")
        return shell("run", REQUEST, "--record", "team.yaml", "-o", "recorded", *only)


def test_calls_of_tools_and_their_results_are_shown(shell: Shell) -> None:
    run_acting_team(shell)
    shown = shell("cassettes", "show", "team.yaml").out
    assert '[calls workspace_write {\n "path": "app.py",\n "content": "print(1)\\n"\n}]' in shown
    assert "app.py: 1 lines written" in shown
    assert "Your tools in this run: workspace_list, " in shown
    assert shown.count('"name": "workspace_list"') == 1
    assert shown.count("── tools ──") == 4
