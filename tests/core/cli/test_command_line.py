"""What plugins may add to the command line, and that they replace nothing there."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from installing import ECHO, FAST, Shell

from rolecall import Host, RunError, RunOption, UsageError
from rolecall.cli.app import App
from rolecall.cli.options import without_blocked
from rolecall.cli.plugin_options import read_flags, spelled

IMPORTS = """
import click
from contextlib import contextmanager
from pathlib import Path
from rolecall import RunOption, RunSetup, UsageError, echo, hookimpl

heard = []


@contextmanager
def keep(value, setup):
    heard.append(value)
    yield setup
    heard.append("over")


@hookimpl
def rolecall_commands(cli):
"""


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.install("echo", ECHO)
    return shell


def adding(shell: Shell, body: str, name: str = "adder") -> None:
    shell.install(name, IMPORTS + "".join(f"    {line}\n" for line in body.splitlines()))


def heard() -> list[Any]:
    return list(sys.modules["tested_adder"].heard)


RUN = ("run", "Go", "--only", "feature-analyst")


# Commands.


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("cli.add_command(click.Command('run'))", "'run': that of rolecall itself and"),
        ("cli.command('doctor')(lambda: None)", "'doctor': that of rolecall itself and"),
        ("cli.add_command(click.Command('simulator'))", "'simulator': that of the plugin 'sim"),
        (
            "cli.add_command(click.Command('list'), group='runs')",
            "'runs list': that of rolecall itself and",
        ),
        (
            "cli.add_command(click.Command('new'), group='plugins')",
            "'plugins new': that of the plugin 'scaffold' and",
        ),
    ],
)
def test_a_command_that_is_there_is_not_replaced_and_both_are_named(
    shell: Shell, body: str, named: str
) -> None:
    adding(shell, body)
    ended = shell(*RUN)
    assert ended.code == 2
    assert f"two commands are called {named}" in ended.err
    assert "that of the plugin 'adder'; skip it with -p no:adder" in ended.err
    assert shell(*RUN, "-p", "no:adder").code == 0


@pytest.mark.parametrize(
    "body",
    [
        "cli.commands['run'] = click.Command('run')",
        "del cli.commands['run']",
        "cli.commands['run'].params.append(click.Option(['--mine']))",
    ],
)
def test_a_command_that_is_changed_in_place_stays_as_it_was_and_the_plugin_is_named(
    shell: Shell, body: str
) -> None:
    adding(shell, body)
    assert "--mine" not in shell("run", "--help").out
    ended = shell(*RUN)
    assert ended.code == 2
    assert "the plugin 'adder' changes the command 'run' in place" in ended.err
    assert "cli.add_run_option; skip it with -p no:adder" in ended.err


def test_a_command_added_to_a_group_is_there_in_this_command_line_alone(shell: Shell) -> None:
    adding(shell, "cli.add_command(click.Command('old', help='Age.'), group='plugins')")
    assert "Age." in shell("plugins", "--help").out
    assert "Age." not in shell("plugins", "--help", "-p", "no:adder").out


def test_what_is_no_group_takes_no_command(shell: Shell) -> None:
    adding(shell, "cli.add_command(click.Command('old'), group='plugin')")
    said = "adds a command to 'plugin', which is no group; did you mean 'plugins'?"
    assert said in shell(*RUN).err


# Options.


def test_an_option_is_shown_and_taken_by_the_commands_that_it_names(shell: Shell) -> None:
    adding(shell, "cli.add_run_option(RunOption('--loud', 'Be loud.', bool, keep))")
    for command in ("run", "resume", "rerun", "update"):
        assert "--loud" in shell(command, "--help").out
    assert "--loud" not in shell("doctor", "--help").out
    assert "No such option '--loud'" in shell("plan", "Go", "--loud").err


@pytest.mark.parametrize(
    ("kind", "arguments", "value"),
    [
        ("bool", ["--it"], True),
        ("str", ["--it", "a b"], "a b"),
        ("int", ["--it=7"], 7),
        ("float", ["--it", "0.5"], 0.5),
        ("tuple", ["--it", "a", "--it=b"], ("a", "b")),
    ],
)
def test_an_option_gives_its_value_and_hears_when_the_run_is_over(
    shell: Shell, kind: str, arguments: list[str], value: object
) -> None:
    adding(shell, f"cli.add_run_option(RunOption('--it', 'It.', {kind}, keep))")
    assert shell(*RUN, *arguments).code == 0
    assert heard() == [value, "over"]
    assert shell("resume").code == 0
    assert heard() == [value, "over"] * 2


def test_an_option_that_is_not_given_hears_nothing(shell: Shell) -> None:
    adding(shell, "cli.add_run_option(RunOption('--it', 'It.', str, keep))")
    assert shell(*RUN).code == 0
    assert heard() == []


def test_a_value_of_the_wrong_kind_is_one_line(shell: Shell) -> None:
    adding(shell, "cli.add_run_option(RunOption('--it', 'It.', int, keep))")
    ended = shell(*RUN, "--it", "many")
    assert (ended.code, ended.out) == (2, "")
    assert "Invalid value for '--it': 'many' is not a valid integer" in ended.err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("'--only', 'x', str", "two options are called 'run --only': that of rolecall itself"),
        ("'--offline', 'x', bool", "two options are called '--offline': that of the plugin 'sim"),
        (
            "'--it', 'x', bool, commands=('runn',)",
            "adds --it to 'runn', which puts no team to work; did you mean 'run'?",
        ),
        ("'--it', 'x', bool, commands=('agents',)", "adds --it to 'agents', which puts no team"),
    ],
)
def test_an_option_that_cannot_be_added_is_one_line(shell: Shell, option: str, said: str) -> None:
    adding(shell, f"cli.add_run_option(RunOption({option}))")
    ended = shell(*RUN)
    assert ended.code == 2
    assert said in ended.err
    assert "skip it with -p no:adder" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--much"], "--much only goes with --loud"),
        (["--loud", "--still"], "--loud and --still do not go together"),
    ],
)
def test_options_say_with_which_others_they_go(
    shell: Shell, arguments: list[str], said: str
) -> None:
    adding(
        shell,
        "cli.add_run_option(RunOption('--loud', 'x', bool, keep))\n"
        "cli.add_run_option(RunOption('--much', 'x', bool, needs='--loud'))\n"
        "cli.add_run_option(RunOption('--still', 'x', bool, excludes=['--loud']))\n",
    )
    ended = shell(*RUN, *arguments)
    assert (ended.code, ended.err) == (2, f"rolecall: {said}\n")
    assert heard() == []
    assert shell(*RUN, "--loud", "--much").code == 0


def test_an_option_that_breaks_is_one_line_that_names_its_plugin(shell: Shell) -> None:
    adding(
        shell,
        "@contextmanager\n"
        "def broken(value, setup):\n"
        "    yield 1 / 0\n"
        "cli.add_run_option(RunOption('--it', 'It.', bool, broken))\n",
    )
    ended = shell(*RUN, "--it")
    assert (ended.code, ended.out) == (2, "")
    said = "the plugin 'adder' broke at --it: ZeroDivisionError: division by zero"
    assert said in ended.err


def test_an_option_may_give_the_request_and_choose_the_agents_and_settings(shell: Shell) -> None:
    adding(
        shell,
        "from attrs import evolve\n"
        "from rolecall import RunOptions\n"
        "@contextmanager\n"
        "def chosen(value, setup):\n"
        "    setup = setup.with_settings('--it', runs=value)\n"
        "    options = RunOptions(only=['feature-analyst'])\n"
        "    yield evolve(setup, request='Do it.', options=options)\n"
        "cli.add_run_option(RunOption('--it', 'It.', str, chosen))\n",
    )
    assert shell("run", "--it", "elsewhere").code == 0
    assert shell.deliverables("elsewhere/latest") == ["04-feature-analyst.md"]
    assert shell.read("request.md", "elsewhere/latest") == "Do it.\n"


def test_a_run_is_not_gone_on_with_where_an_option_that_it_had_is_unknown(shell: Shell) -> None:
    adding(shell, "cli.add_run_option(RunOption('--it', 'It.', bool, keep))")
    shell(*RUN, "--it")
    ended = shell("resume", "-p", "no:adder")
    assert ended.code == 1
    assert "the run was started with --it, and no plugin has this option here" in ended.err


# What a run keeps of them.


@pytest.mark.parametrize(
    "given",
    [{}, {"--a": True}, {"--b": "x=y"}, {"--c": ("1", "2 3")}, {"--d": 0.5, "--a": True}],
)
def test_options_are_read_as_they_were_kept(given: dict[str, object]) -> None:
    kinds: dict[str, type] = {"--a": bool, "--b": str, "--c": tuple, "--d": float}
    options = {name: ("p", RunOption(name, "", kind)) for name, kind in kinds.items()}
    app = App(Host([]), options)
    assert read_flags(spelled(given), app, Path("run.toml")) == given


def test_a_kept_option_of_the_wrong_kind_is_named() -> None:
    app = App(Host([]), {"--d": ("p", RunOption("--d", "", float))})
    with pytest.raises(RunError, match=r"^run\.toml: --d=fast: could not convert"):
        read_flags(["--d=fast"], app, Path("run.toml"))


# Plugins that are left out.


@pytest.mark.parametrize(
    ("arguments", "kept", "names"),
    [
        (["run", "-p", "no:a", "x"], ["run", "x"], ["a"]),
        (["-pno:a", "run", "-p", "no:b"], ["run"], ["a", "b"]),
        (["run", "--", "-p", "no:a"], ["run", "--", "-p", "no:a"], []),
        (["run", "--plain"], ["run", "--plain"], []),
    ],
)
def test_plugins_to_leave_out_are_taken_from_anywhere_before_the_dashes(
    arguments: Sequence[str], kept: list[str], names: list[str]
) -> None:
    assert without_blocked(arguments) == (kept, names)


@pytest.mark.parametrize("arguments", [["-p"], ["-p", "a"], ["-pa"], ["-p", "no:"], ["-p", "run"]])
def test_what_names_no_plugin_to_leave_out_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="write -p no:PLUGIN"):
        without_blocked(arguments)


def test_doctor_shows_what_an_option_of_a_plugin_set(shell: Shell) -> None:
    shell.configure(FAST)
    settings = {
        row["setting"]: row for row in shell("doctor", "--offline", "--json").json["settings"]
    }
    assert settings["rehearsal"] == {"setting": "rehearsal", "value": True, "source": "--offline"}
    assert settings["state"]["source"] == "--offline"
