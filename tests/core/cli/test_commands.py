"""The command line: what it takes, what it says where, and what it ends with."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from building import full_disk
from installing import ECHO, FAST, Ended, Shell

from rolecall.cli.command_line import RootCommand
from rolecall.cli.main import COMMANDS
from rolecall.plugin.manager import Host
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import serve_in_thread
from rolecall_plugins.team.roles import TABLE

AGENTS = [row[0] for row in TABLE]
FILES = [f"{number:02}-{name}.md" for number, name in enumerate(AGENTS, 1)]


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def echo(shell: Shell) -> Shell:
    """Give a shell in which all agents run on a plugin's provider, without key and network."""
    shell.install("echo", ECHO)
    return shell


def refused(ended: Ended) -> str:
    """Give the only line that was said about wrong input."""
    assert ended.code == 2
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith("rolecall: ")
    assert "Traceback" not in line
    return line.removeprefix("rolecall: ")


# A run.


def test_a_run_leaves_thirteen_deliverables_and_a_plan(echo: Shell) -> None:
    ended = echo("run", "Build a URL shortener")
    assert ended.code == 0
    assert echo.deliverables() == FILES
    assert echo.read("PLAN.md") == "# Plan Update Coordinator\n"
    assert echo.read("request.md") == "Build a URL shortener\n"


def test_a_runs_result_goes_to_stdout_and_all_else_to_stderr(echo: Shell) -> None:
    ended = echo("run", "Build a URL shortener")
    *made, blank, total, plan, folder = ended.out.splitlines()
    assert made == ["Made", *(f"  deliverables/{file}" for file in FILES), "  PLAN.md"]
    assert not blank
    assert re.fullmatch(r"13 of 13 agents in \d+\.\d s for \$0\.1300; rolecall report .+", total)
    assert re.fullmatch(r"runs/\d{8}-\d{6}-build-a-url-shortener", folder)
    assert plan == f"{folder}/PLAN.md"
    assert ended.err.splitlines()[0] == f"13 agents at work in {folder}"
    assert "[13/13]" in ended.err
    assert "[13/13]" not in ended.out


def test_what_a_plugin_prints_is_no_result(shell: Shell) -> None:
    noisy = ECHO.replace("asked.append(agent)", "asked.append(agent); print('while it works')")
    noisy = noisy.replace('return "echo"', 'print("as it is asked"); return "echo"')
    shell.install("echo", f"print('as it is imported')\n{noisy}")
    ended = shell("run", "Build it", "--only", AGENTS[0], "--json")
    assert ended.json["exit_code"] == 0
    for words in ("as it is imported", "as it is asked", "while it works"):
        assert f"{words}\n" in ended.err


def test_the_latest_run_is_pointed_to(echo: Shell) -> None:
    echo("run", "First")
    ended = echo("run", "Second")
    latest = echo.folder / "runs" / "latest"
    assert latest.resolve() == (echo.folder / ended.out.splitlines()[-1]).resolve()


def test_json_is_all_there_is_on_stdout(echo: Shell) -> None:
    ended = echo("run", "Build it", "--json")
    told = ended.json
    assert (told["exit_code"], told["distribution"]) == (0, {"echo": 13})
    assert [each["agent"] for each in told["agents"]] == AGENTS
    assert told["total"]["cost_usd"] == pytest.approx(0.13)
    assert (echo.folder / told["run"] / "journal.jsonl").is_file()
    assert told["files"] == [*(f"deliverables/{file}" for file in FILES), "PLAN.md"]
    assert told["plan"] == {"summary": "", "questions": []}
    assert told["elapsed_seconds"] > 0


@pytest.mark.parametrize("where", ["argument", "-f FILE", "-f -", "-"])
def test_the_request_may_come_from_anywhere(echo: Shell, where: str) -> None:
    text = "Build it — ✓\nover two lines"
    (echo.folder / "request.txt").write_text(text, "utf-8")
    arguments = {
        "argument": [text],
        "-f FILE": ["-f", "request.txt"],
        "-f -": ["-f", "-"],
        "-": ["-"],
    }
    only = ["--only", AGENTS[0]]
    ended = echo("run", *arguments[where], *only, stdin=text.encode())
    assert ended.code == 0
    assert echo.read("request.md") == text + "\n"


def test_the_folder_of_a_run_may_be_named(echo: Shell) -> None:
    ended = echo("run", "Build it", "-o", "here/one", "--only", AGENTS[0])
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "here/one")
    assert echo.deliverables("here/one") == FILES[:1]
    assert not (echo.folder / "runs").exists()


def test_the_folder_of_all_runs_is_a_setting(echo: Shell) -> None:
    echo.configure(FAST + 'runs = "out"\n')
    echo("run", "Build it", "--only", AGENTS[0])
    assert echo.deliverables("out/latest") == FILES[:1]


def test_two_runs_of_the_same_second_do_not_meet(echo: Shell) -> None:
    for _ in range(3):
        assert echo("run", "Build it", "--only", AGENTS[0]).code == 0
    assert len(list((echo.folder / "runs").iterdir())) == 4  # and latest


def test_only_some_agents_run_and_are_told_what_they_go_without(echo: Shell) -> None:
    ended = echo("run", "Build it", "--only", "feature-analyst", "--only", "solution-architect")
    assert echo.deliverables() == ["04-feature-analyst.md", "05-solution-architect.md"]
    assert (
        "rolecall: solution-architect goes without project-orchestrator, research-analyst, "
        "left out of this run\n"
    ) in ended.err


def test_some_agents_are_skipped(echo: Shell) -> None:
    echo("run", "Build it", "--skip", "technical-writer")
    assert echo.deliverables() == [name for name in FILES if "technical-writer" not in name]


def test_patterns_choose_and_skip_agents_in_a_run_and_in_a_rerun(echo: Shell) -> None:
    echo("run", "Build it", "--skip", "*-specialist", "--skip", "*-writer")
    assert echo.deliverables() == [
        name for name in FILES if "specialist" not in name and "writer" not in name
    ]
    echo("run", "Build it", "--only", "*-analyst")
    assert echo.deliverables() == ["03-research-analyst.md", "04-feature-analyst.md"]
    del echo.asked[:]
    assert echo("rerun", "--only", "res*").code == 0
    assert echo.asked == ["research-analyst"]


def test_an_agent_runs_elsewhere_for_once(echo: Shell) -> None:
    told = echo("run", "Build it", "--json", "--assign", "technical-writer=echo/large").json
    routes = {each["agent"]: each["route"] for each in told["agents"]}
    assert routes.pop("technical-writer") == "echo/large"
    assert set(routes.values()) == {"echo/echo-1"}


def test_several_routes_are_given_with_commas(echo: Shell) -> None:
    told = echo("agents", "--json", "--assign", "technical-writer=claude/c, echo").json
    (writer,) = (each for each in told if each["agent"] == "technical-writer")
    assert writer["routes"] == ["claude/c", "echo"]


@pytest.mark.parametrize("how", ["--debug", "ROLECALL_DEBUG"])
def test_debugging_shows_a_line_per_event(
    echo: Shell, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "ROLECALL_DEBUG":
        monkeypatch.setenv(how, "1")
    arguments = ["--debug"] if how == "--debug" else []
    ended = echo("run", "Build it", "--only", AGENTS[0], *arguments)
    assert re.search(r"^ +0\.\d{3} CallEnded .*took=", ended.err, re.MULTILINE)


def test_a_plugin_is_left_out_for_once(echo: Shell) -> None:
    ended = echo("run", "Build it", "--only", AGENTS[0], "-p", "no:report", "-pno:terminal")
    assert (ended.code, ended.err) == (0, "")
    assert not (echo.folder / "runs" / "latest" / "report.md").exists()


def test_a_plugin_is_left_out_for_good(echo: Shell) -> None:
    echo.configure('[tool.rolecall]\ninterval = 0\nblock = ["report"]\n')
    echo("run", "Build it", "--only", AGENTS[0])
    assert not (echo.folder / "runs" / "latest" / "report.md").exists()


# How it ends.


@pytest.mark.parametrize(
    ("request_text", "code", "said"),
    [
        ("[auth at technical-writer]", 4, "technical-writer: all routes failed: echo: auth (as"),
        ("[refusal at technical-writer]", 1, "technical-writer: stopped: echo: refusal (as told"),
        ("[truncated at technical-writer]", 1, "technical-writer: its deliverable is cut off by"),
        ("[auth at *]", 4, "operator-intent-interpreter: all routes failed: echo: auth"),
    ],
)
def test_the_exit_code_says_what_became_of_a_run(
    echo: Shell, request_text: str, code: int, said: str
) -> None:
    ended = echo("run", request_text)
    assert ended.code == code
    assert f"\nrolecall: {said}" in ended.err
    assert "Traceback" not in ended.err


def test_a_failure_says_how_to_go_on_and_that_goes_on(echo: Shell) -> None:
    ended = echo("run", "[auth at technical-writer]")
    missing, why, how = ended.err.splitlines()[-3:]
    assert missing == "rolecall: missing: technical-writer, plan-update-coordinator"
    assert why.startswith("rolecall: technical-writer: all routes failed: ")
    assert how.startswith("rolecall: 11 of 13 agents done. Go on with: rolecall resume ")
    assert echo.deliverables() == [*FILES[:11]]
    (echo.folder / "runs" / "latest" / "request.md").write_text("Build it.\n", "utf-8")
    again = shlex.split(ended.err.splitlines()[-1].partition("Go on with: rolecall ")[2])
    assert echo(*again).code == 0
    assert echo.deliverables() == FILES


def test_a_cut_deliverable_says_how_to_go_on_and_that_goes_on(echo: Shell) -> None:
    echo.configure(FAST + "continuations = 1\n")
    ended = echo("run", "[truncated at technical-writer]", "--only", "technical-writer")
    assert "12-technical-writer.md (cut off)" in ended.out
    how = ended.err.splitlines()[-1]
    assert how.startswith("rolecall: raise `continuations` in [tool.rolecall], then go on with: ")
    echo.configure(FAST + "continuations = 3\n")
    before = len(echo.asked)
    echo(*shlex.split(how.partition("go on with: rolecall ")[2]))
    assert (before, len(echo.asked)) == (2, 4)


def test_a_full_disk_is_named_and_the_run_goes_on_once_there_is_room(echo: Shell) -> None:
    with full_disk(at=5000):
        ended = echo("run", "Build it")
    assert (ended.code, ended.out) == (1, "")
    kept, reason = ended.err.splitlines()[-2:]
    assert re.fullmatch(r"rolecall: runs/.*/journal.jsonl: cannot be written: .+", reason)
    assert kept.startswith("rolecall: what is answered is kept. Mend this, then go on with: ")
    before = len(echo.asked)
    again = shlex.split(kept.partition("go on with: rolecall ")[2])
    assert echo(*again).code == 0
    assert 0 < before < 13
    assert len(set(echo.asked)) == 13
    assert len(echo.asked) <= 14  # what was answered as the disk gave out is asked again


PRICED = ECHO.replace(
    "    async def complete",
    "    def cost(self, model, usage):\n        return usage.output * 1e-4\n\n"
    "    async def complete",
)


def test_a_run_that_its_budget_stops_says_so_and_what_would_do(shell: Shell) -> None:
    shell.install("echo", PRICED)
    team = ["--only", "*-analyst", "--only", AGENTS[0]]
    ended = shell("run", "Build it", *team, "--budget", "1.64", "--json")
    assert ended.code == 3
    states = {each["agent"]: each["state"] for each in ended.json["agents"]}
    assert states[AGENTS[0]] == "done"
    assert states["research-analyst"] == "stopped by budget"
    assert "research-analyst: stopped by the budget\n" in ended.err
    assert shell("runs", "list", "--json").json[0]["state"] == "stopped by budget"
    again = ended.err.splitlines()[-1].partition("Go on with: rolecall ")[2].split()
    assert again[-2] == "--budget"
    assert 1.64 < float(again[-1]) < 5
    assert shell(*again).code == 0


def test_a_path_with_blanks_is_quoted_where_it_is_to_be_repeated(echo: Shell) -> None:
    ended = echo("run", "[auth at *]", "-o", "my runs/the first")
    again = shlex.split(ended.err.splitlines()[-1].partition("Go on with: rolecall ")[2])
    assert again == ["resume", "my runs/the first"]


def test_a_vendors_long_words_stay_in_one_line(shell: Shell) -> None:
    shell.install("echo", ECHO.replace("as told: {cause}", "two\\nlines"))
    ended = shell("run", "[auth at *]", "-p", "no:terminal")
    assert all(line.startswith("rolecall: ") for line in ended.err.splitlines())


def test_what_nobody_expected_is_one_line_and_more_only_when_debugging(shell: Shell) -> None:
    shell.install(
        "boom",
        """
import click
from rolecall import hookimpl

@hookimpl
def rolecall_commands(cli):
    @cli.command()
    @click.option("--debug", is_flag=True)
    def boom(debug):
        raise KeyError("oh")
""",
    )
    ended = shell("boom")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "rolecall: internal error: KeyError: 'oh' (--debug shows where)\n"
    debugged = shell("boom", "--debug").err
    assert "Traceback (most recent call last)" in debugged
    assert "KeyError: 'oh'" in debugged


# A run, again.


def test_resuming_a_finished_run_asks_nothing_again(echo: Shell) -> None:
    echo("run", "Build it")
    first = list(echo.asked)
    ended = echo("resume", "--json")
    assert (ended.code, echo.asked) == (0, first)
    assert {each["state"] for each in ended.json["agents"]} == {"reused"}
    assert "rolecall: 13 agents' answers were kept, which saves $0.1300\n" in ended.err


def test_resuming_keeps_to_what_the_run_was_started_with(echo: Shell) -> None:
    echo("run", "Build it", "--skip", "technical-writer", "--assign", "research-analyst=echo/x")
    told = echo("resume", "--json").json
    assert "technical-writer" not in [each["agent"] for each in told["agents"]]


def test_resuming_may_choose_otherwise(echo: Shell) -> None:
    echo("run", "[auth at technical-writer]", "--only", "technical-writer")
    echo("resume", "--only", "feature-analyst")
    assert echo.deliverables() == ["04-feature-analyst.md"]


@pytest.mark.parametrize("name", ["path", "name", "latest", None])
def test_a_run_to_resume_is_found_by_path_by_name_or_as_the_latest(
    echo: Shell, name: str | None
) -> None:
    path = echo("run", "Build it", "--only", AGENTS[0]).out.splitlines()[-1]
    names = {"path": [path], "name": [Path(path).name], "latest": ["latest"], None: []}
    ended = echo("resume", *names[name])
    assert (ended.code, ended.out.splitlines()[-1]) == (0, path)


def test_a_torn_journal_is_mentioned_and_mended(echo: Shell) -> None:
    path = echo("run", "Build it", "--only", AGENTS[0]).out.splitlines()[-1]
    with (echo.folder / path / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"v":1,"typ')
    ended = echo("resume")
    assert ended.code == 0
    assert f"rolecall: {path}: the journal's last line was unfinished and is dropped" in ended.err
    assert "unfinished" not in echo("resume").err


def test_a_damaged_journal_is_one_line(echo: Shell) -> None:
    path = echo("run", "Build it", "--only", AGENTS[0]).out.splitlines()[-1]
    journal = echo.folder / path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"echo", b"ecHo", 1))
    ended = echo("resume")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("rolecall: journal.jsonl: line 2 is damaged; restore the file")


def test_calls_that_were_cut_off_under_way_are_mentioned(echo: Shell) -> None:
    path = echo("run", "Build it", "--only", AGENTS[0]).out.splitlines()[-1]
    journal = echo.folder / path / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
    ended = echo("resume")
    assert f"cut off under way, perhaps billed, and asked again: {AGENTS[0]}" in ended.err


def test_an_option_of_a_plugin_is_repeated_when_a_run_is_resumed(shell: Shell) -> None:
    shell.install(
        "echo",
        ECHO
        + """
from contextlib import contextmanager

from rolecall import RunOption

given = []


@contextmanager
def colour(value, setup):
    given.append((value, setup.command, setup.kept))
    yield setup


@hookimpl
def rolecall_commands(cli):
    cli.add_run_option(RunOption("--colour", "Paint it.", str, colour, commands=("run", "resume")))
""",
    )
    shell("run", "Build it", "--only", AGENTS[0], "--colour", "deep red")
    shell("resume")
    assert sys.modules["tested_echo"].given == [
        ("deep red", "run", None),
        ("deep red", "resume", {"--colour": "deep red"}),
    ]


def test_a_rerun_asks_an_agent_and_all_who_need_it(echo: Shell) -> None:
    echo("run", "Build it")
    del echo.asked[:]
    ended = echo("rerun", "--from", "quality-assurance")
    assert ended.code == 0
    assert echo.asked == ["quality-assurance", "plan-update-coordinator"]
    assert (
        "rolecall: to run again, for about $0.0200: quality-assurance, plan-update-coordinator\n"
    ) in ended.err


def test_a_rerun_of_one_alone_leaves_the_others_as_they_are(echo: Shell) -> None:
    echo("run", "Build it")
    del echo.asked[:]
    assert echo("rerun", "--only", "solution-architect").code == 0
    assert echo.asked == ["solution-architect"]


def test_runs_are_listed_shown_compared_and_deleted(echo: Shell) -> None:
    for name in ("one", "two"):
        echo("run", f"Build {name}", "-o", f"runs/{name}", "--only", AGENTS[0])
    assert {each["run"] for each in echo("runs", "list", "--json").json} == {"one", "two"}
    assert "one" in echo("runs", "list").out
    assert "1 of 1 agents done" in echo("runs", "show", "one").out
    assert "-Build one\n+Build two\n" in echo("runs", "diff", "one", "two").out
    assert echo("runs", "rm", "one", "--yes").code == 0
    assert [each["run"] for each in echo("runs", "list", "--json").json] == ["two"]


def test_a_run_is_not_deleted_without_a_word(echo: Shell) -> None:
    echo("run", "Build it", "-o", "runs/one", "--only", AGENTS[0])
    ended = echo("runs", "rm", "one", stdin=b"y\n")
    assert (ended.code, ended.out) == (2, "")
    assert "add --yes" in ended.err
    assert (echo.folder / "runs" / "one").is_dir()


# Wrong input.


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run"], "what shall the team do? rolecall run 'REQUEST'"),
        (["run", ""], "the request is empty"),
        (["run", " \n"], "the request is empty"),
        (["run", "Build it", "-f", "file"], "as an argument or with -f, not both"),
        (["run", "-f", "missing.md"], "missing.md: cannot be read: No such file"),
        (["run", "-f", "."], ".: cannot be read: Is a directory"),
        (["run", "-f", "-"], "the request is empty"),
        (["run", "two", "arguments"], "unexpected extra argument (arguments)"),
        (["run", "--onyl", "x"], "--onyl"),
        (["run", "Build it", "--only", "riter"], "--only: no agent is called 'riter'"),
        (["run", "Build it", "--skip", "riter"], "--skip: no agent is called 'riter'"),
        (["run", "Build it", *(f"--skip={name}" for name in AGENTS)], "the team is empty"),
        (["run", "Build it", "--assign", "x"], "'x' is not AGENT=ROUTE"),
        (["run", "Build it", "--assign", "=echo"], "'=echo' is not AGENT=ROUTE"),
        (["run", "Build it", "--assign", "riter=echo"], "--assign: no agent is called 'riter'"),
        (["run", "Build it", "--assign", "code-implementer=ecco"], "did you mean 'echo'?"),
        (["run", "Build it", "--assign", "code-implementer=e c"], "'e c' is not a route"),
        (["run", "Build it", "--assign", "code-implementer=echo,"], "'' is not a route"),
        (["run", "Build it", "-o", "full"], "full is there already and is not an empty folder"),
        (["run", "Build it", "-p", "report"], "-p report: write -p no:PLUGIN"),
        (["run", "Build it", "-p", "no:"], "-p no:: write -p no:PLUGIN"),
        (["run", "Build it", "-p"], "-p wants the name of a plugin"),
        (["run", "Build it", "-p", "no:reprot"], "no plugin is called 'reprot'; did you mean"),
        (["run", "Build it", "--fault", "gemini:empty"], "--fault only goes with --offline"),
        (["run", "Build it", "--offline", "--fault", "gemini:emty"], "'emty'"),
        (["run", "Build it", "--budget", "nan"], "'--budget': nan is no amount"),
        (["run", "Build it", "--budget", "inf"], "'--budget': inf is no amount"),
        (["resume"], "there is no run in runs; start one with: rolecall run 'REQUEST'"),
        (["resume", "nothing"], "nothing is no run: it has no journal.jsonl"),
        (["rerun", "--from", "x"], "there is no run in runs"),
        (["runs", "show"], "there is no run in runs"),
        (["runs", "diff", "x"], "x is no run"),
        (["runs", "rm", "x", "--yes"], "x is no run"),
        (["agents", "--assign", "riter=echo"], "--assign: no agent is called 'riter'"),
        (["simulator", "--port", "x"], "'x' is not a valid integer"),
        (["simulator", "--fault", "x"], "'x'"),
        (["simulator", "--scenario", "missing.toml"], "missing.toml"),
    ],
)
def test_wrong_input_is_one_line_that_names_the_culprit(
    echo: Shell, arguments: list[str], culprit: str
) -> None:
    (echo.folder / "file").write_text("Build it.", "utf-8")
    (echo.folder / "full").mkdir()
    (echo.folder / "full" / "precious").touch()
    assert culprit in refused(echo(*arguments))
    assert echo.asked == []
    assert not (echo.folder / "runs").exists()


def test_a_request_that_is_no_text_is_one_line(echo: Shell) -> None:
    assert "not UTF-8 text" in refused(echo("run", "-f", "-", stdin=b"\xff\xfe"))


@pytest.mark.parametrize("options", [[], ["--from", AGENTS[0], "--only", AGENTS[1]]])
def test_a_rerun_wants_to_know_of_whom(echo: Shell, options: list[str]) -> None:
    echo("run", "Build it", "--only", AGENTS[0])
    assert "which agents? --from AGENT" in refused(echo("rerun", *options))


def test_a_rerun_of_an_unknown_agent_is_one_line(echo: Shell) -> None:
    echo("run", "Build it", "--only", AGENTS[0])
    assert "no agent is called 'riter'" in refused(echo("rerun", "--from", "riter"))


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("[tool.rolecall]\nintervall = 1", "tool.rolecall.intervall: no such setting; did you"),
        ("[tool.rolecall]\ninterval = 'x'", "tool.rolecall.interval: must be a number, not 'x'"),
        ("[tool.rolecall.agents]\nriter = 'echo'", "no agent is called 'riter'"),
        ("[tool.rolecall.agents]\ncode-implementer = 'ecco'", "no provider 'ecco'"),
        ("[tool.rolecall.agents]\ncode-implementer = 'e c'", "'e c' is not a route"),
        ("[tool.rolecall.providers.ecco]\n", "tool.rolecall.providers.ecco: no such provider"),
        ("[tool.rolecall.on]\nrefusal = 'x'", "tool.rolecall.on.refusal: 'x' is no action"),
        ("[tool.rolecall]\nblock = ['reprot']", "no plugin is called 'reprot'"),
        ("[tool.rolecall", "cannot be read: "),
    ],
)
def test_wrong_settings_are_one_line_that_names_the_culprit(
    echo: Shell, text: str, culprit: str
) -> None:
    echo.configure(text)
    assert culprit in refused(echo("run", "Build it"))


def test_help_is_given_although_the_settings_are_wrong(echo: Shell) -> None:
    echo.configure("[tool.rolecall")
    ended = echo("run", "--help")
    assert ended.code == 0
    assert "pyproject.toml: cannot be read: " in ended.err
    assert ended.out.startswith("Usage: rolecall run")


def test_a_plugin_that_does_not_load_is_one_line_and_still_listed(echo: Shell) -> None:
    echo.install("bad", "import no_such_sdk\n")
    message = refused(echo("run", "Build it"))
    assert message == (
        "the plugin 'bad' (tested_bad) does not load: ModuleNotFoundError: "
        "No module named 'no_such_sdk'; skip it with -p no:bad"
    )
    ended = echo("plugins", "--json")
    assert ended.code == 2
    assert {each["plugin"]: each["state"] for each in ended.json}["bad"] == "failed"
    assert echo("run", "Build it", "--only", AGENTS[0], "-p", "no:bad").code == 0


def test_help_is_given_although_a_plugin_does_not_load(echo: Shell) -> None:
    echo.install("bad", "import no_such_sdk\n")
    assert echo("--help").code == 0


# Keys.


def test_without_any_key_it_is_said_what_to_set(shell: Shell) -> None:
    message = refused(shell("run", "Build it"))
    assert "no agent has a route: " in message
    assert "ANTHROPIC_API_KEY is not set" in message
    assert "GEMINI_API_KEY or GOOGLE_API_KEY is not set" in message
    assert "add --offline" in message
    assert not (shell.folder / "runs").exists()


def test_a_key_in_a_dotenv_is_found_and_not_shown(shell: Shell) -> None:
    (shell.folder / ".env").write_text("GEMINI_API_KEY=planted-in-a-file\n", "utf-8")
    ended = shell("providers", "--json")
    assert {each["provider"]: each["missing"] for each in ended.json} == {
        "claude": "ANTHROPIC_API_KEY is not set",
        "gemini": None,
    }
    assert "planted" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("key", "provider", "said"),
    [
        (
            "ANTHROPIC_API_KEY",
            "claude",
            [
                "gemini: GEMINI_API_KEY or GOOGLE_API_KEY is not set",
                "8 of 13 agents fall back to claude: operator-intent-interpreter, research-analyst",
            ],
        ),
        (
            "GOOGLE_API_KEY",
            "gemini",
            [
                "claude: ANTHROPIC_API_KEY is not set",
                "5 of 13 agents have no route and will not run: project-orchestrator, solution",
                "5 of 13 agents need what will not be there and will not run either: security",
            ],
        ),
    ],
)
def test_with_one_vendors_key_it_is_said_before_the_first_call_what_comes_of_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, key: str, provider: str, said: list[str]
) -> None:
    monkeypatch.setenv(key, "planted-0123456789")
    with serve_in_thread(Scenario()) as simulator:
        monkeypatch.setenv("ANTHROPIC_API_BASE", simulator.anthropic_base)
        monkeypatch.setenv("GEMINI_API_BASE", simulator.gemini_base)
        ended = shell("run", "Build it")
    assert {arrival.provider for arrival in simulator.arrivals} == {provider}
    first_call = ended.err.index("agents at work in")
    for line in said:
        assert 0 <= ended.err.index(f"rolecall: {line}") < first_call
    assert ended.code == (0 if provider == "claude" else 4)


# What is there.


def test_agents_do_without_a_provider_that_the_user_took_away(shell: Shell) -> None:
    told = {
        each["agent"]: each["routes"] for each in shell("agents", "--json", "-p", "no:gemini").json
    }
    assert set(map(tuple, told.values())) == {("claude",)}


def test_a_provider_that_was_taken_away_and_asked_for_is_an_error(shell: Shell) -> None:
    ended = shell("agents", "-p", "no:gemini", "--assign", "technical-writer=gemini")
    assert ended.code == 2
    assert "there is no provider 'gemini'" in ended.err


def test_the_agents_are_listed_with_where_they_run_and_who_decided_it(echo: Shell) -> None:
    echo.configure(FAST + "[tool.rolecall.agents]\ntechnical-writer = ['gemini', 'claude']\n")
    told = {each["agent"]: each for each in echo("agents", "--json").json}
    assert list(told) == AGENTS
    assert told["technical-writer"]["routes"] == ["gemini", "claude"]
    assert told["technical-writer"]["decided_by"].endswith("tool.rolecall.agents.technical-writer")
    assert told["code-implementer"]["decided_by"] == "plugin echo"
    assert "technical-writer" in echo("agents").out


def test_our_thirteen_agents_are_shared_out_between_the_two_vendors(shell: Shell) -> None:
    first = [each["routes"][0] for each in shell("agents", "--json").json]
    assert (first.count("claude"), first.count("gemini")) == (5, 8)


def test_the_plugins_are_listed_with_where_they_come_from(echo: Shell) -> None:
    told = {each["plugin"]: each for each in echo("plugins", "--json").json}
    assert told["echo"] == {
        "plugin": "echo",
        "distribution": "rolecall-echo",
        "version": "1.0",
        "module": "tested_echo",
        "hooks": ["rolecall_assign", "rolecall_providers"],
        "state": "loaded",
        "failure": None,
    }
    assert list(told)[-1] == "echo"
    assert "rolecall-echo 1.0" in echo("plugins").out


def commands() -> list[str]:
    host = Host()
    names = []
    for name, command in RootCommand(host, COMMANDS).commands.items():
        below = getattr(command, "commands", {})
        names += [name, *(f"{name} {each}" for each in below)]
    return names


@pytest.mark.parametrize("command", ["", *commands()])
def test_every_command_has_help(shell: Shell, command: str) -> None:
    ended = shell(*command.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: rolecall {command}".rstrip())
    is_ours = command.partition(" ")[0] in {each.name for each in COMMANDS}
    assert ("-p no:PLUGIN" in ended.out) == (not command or (is_ours))


def test_the_version_is_that_of_the_distribution(shell: Shell) -> None:
    from importlib.metadata import version

    assert shell("--version").out == f"rolecall, version {version('rolecall')}\n"


def test_a_plugins_command_is_there(shell: Shell) -> None:
    shell.install(
        "hello",
        """
import click
from rolecall import hookimpl

@hookimpl
def rolecall_commands(cli):
    @cli.command()
    def hello():
        '''Greet.'''
        click.echo("hello")
""",
    )
    assert shell("hello").out == "hello\n"
    assert re.search(r"hello +Greet\.", shell("--help").out)


def test_a_journal_is_json_line_by_line(echo: Shell) -> None:
    echo("run", "Build it", "--only", AGENTS[0])
    records = [json.loads(line) for line in echo.read("journal.jsonl").splitlines()]
    assert {record["type"] for record in records} >= {"call_started", "call_ended"}


def test_an_edit_is_said_before_those_who_need_it_are_asked_again(echo: Shell) -> None:
    echo("run", "Build a URL shortener")
    path = echo.folder / "runs/latest/deliverables/11-quality-assurance.md"
    path.write_text("My own review.", "utf-8")
    told = "edited, and kept as it is: quality-assurance; asked again: plan-update-coordinator"
    assert told in echo("resume").err
    assert "edited, and kept" not in echo("resume").err


def test_a_run_with_keys_is_not_finished_with_simulated_text(echo: Shell) -> None:
    echo("run", "Build a URL shortener")
    ended = echo("resume", "--offline")
    assert ended.code == 2
    assert "was not started offline" in ended.err


def test_offline_calls_nobody_but_the_simulator(echo: Shell) -> None:
    name = AGENTS[0]
    ended = echo("run", "Build it", "--offline", "--only", name, "--assign", f"{name}=echo,claude")
    assert ended.code == 0
    assert "echo: nothing simulates it, and --offline calls nobody else" in ended.err
    assert f"1 of 1 agents fall back to claude: {name}" in ended.err
    alone = echo("run", "Build it", "--offline", "--only", name, "--assign", f"{name}=echo")
    assert alone.code == 2
    assert "no agent has a route: echo: nothing simulates it" in alone.err


def test_what_costs_nothing_is_not_said_to_cost_something(shell: Shell) -> None:
    ended = shell("run", "Build it", "--offline", "--only", AGENTS[0])
    assert ended.code == 0
    assert "a first guess" not in ended.err


def test_quiet_means_results_and_errors_alone(shell: Shell) -> None:
    arguments = ("run", "Build it", "--offline", "--skip", AGENTS[0], "--record", "one.yaml")
    ended = shell(*arguments, "--quiet")
    assert (ended.code, ended.err) == (0, "")
