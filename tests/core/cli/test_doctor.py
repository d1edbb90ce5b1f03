"""What is configured, what is missing, and how to mend it."""

from pathlib import Path
from typing import Any

import pytest
from installing import ECHO, FAST, Ended, Shell

from rolecall.config.settings import UNSET

KEY = "sk-ant-" + "planted0" * 4


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    for name in ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "ROLECALL_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Shell(tmp_path, monkeypatch, capsys)


def keys(shell: Shell, **values: str) -> None:
    lines = (f"{name}={value}\n" for name, value in values.items())
    (shell.folder / ".env").write_text("".join(lines), "utf-8")


def rows(ended: Ended, table: str, name: str) -> dict[Any, Any]:
    return {row[name]: row for row in ended.json[table]}


def test_without_keys_it_says_where_to_make_them(shell: Shell) -> None:
    ended = shell("doctor")
    assert ended.code == 1
    assert "2 problems:" in ended.out
    assert "ANTHROPIC_API_KEY is not set; make a key at https://console.anthropic" in ended.out


def test_with_all_in_order_it_finds_no_problem(shell: Shell) -> None:
    keys(shell, ANTHROPIC_API_KEY=KEY, GEMINI_API_KEY="AIza" + "x" * 35)
    ended = shell("doctor")
    assert ended.code == 0
    assert ended.out.endswith("No problem found.\n")


def test_a_key_is_never_shown(shell: Shell) -> None:
    keys(shell, ANTHROPIC_API_KEY=KEY, GEMINI_API_KEY="planted-key")
    for ended in (shell("doctor"), shell("doctor", "--json")):
        assert "planted" not in ended.out + ended.err
        assert "GEMINI_API_KEY or GOOGLE_API_KEY has not the form of a key" in ended.out


def test_a_setting_is_shown_with_its_source(shell: Shell) -> None:
    keys(shell, ROLECALL_DEBUG="1")
    settings = rows(shell("doctor", "--json"), "settings", "setting")
    file = shell.folder / "pyproject.toml"
    assert settings["interval"] == {
        "setting": "interval",
        "value": 0.0,
        "source": f"{file}: tool.rolecall.interval",
    }
    assert settings["attempts"] == {"setting": "attempts", "value": 3, "source": "default"}
    assert settings["debug"]["source"] == f"ROLECALL_DEBUG in {shell.folder / '.env'}"


def test_each_entry_of_a_table_is_shown_with_its_source(shell: Shell) -> None:
    (shell.folder / "writer.md").write_text("You write.", "utf-8")
    shell.configure(
        FAST
        + "[tool.rolecall.providers.claude]\nconcurrency = 2\n"
        + '[tool.rolecall.on]\nrefusal = "fallback"\n'
        + '[tool.rolecall.prices."model-1.5"]\ninput = 3\noutput = 15\n'
        + '[tool.rolecall.agents.technical-writer]\nprompt = "writer.md"\n'
    )
    settings = rows(shell("doctor", "--json"), "settings", "setting")
    values = {name: row["value"] for name, row in settings.items() if "." in name}
    assert values == {
        "providers.claude": {"concurrency": 2},
        "on.refusal": "fallback",
        'prices."model-1.5"': {"input": 3.0, "output": 15.0},
        "agents.technical-writer": {"prompt": "10 characters"},
    }
    assert all(
        row["source"].endswith(f"tool.rolecall.{name}")
        for name, row in settings.items()
        if "." in name
    )


def test_a_secret_in_a_providers_table_is_not_shown(shell: Shell) -> None:
    shell.configure(
        FAST
        + "[tool.rolecall.providers.claude]\n"
        + 'api_base = "https://alice:planted@proxy.example/v1"\n'
        + 'options = { api_key = "planted", region = "eu" }\n'
    )
    ended = shell("doctor", "--json")
    assert "planted" not in ended.out
    assert rows(ended, "settings", "setting")["providers.claude"]["value"] == {
        "api_base": "[secret]@proxy.example/v1",
        "options": {"api_key": "[secret]", "region": "eu"},
    }


def test_a_setting_of_the_command_line_is_shown_with_its_option(shell: Shell) -> None:
    keys(shell, ROLECALL_DEBUG="0")
    options = ["--budget", "0", "--debug", "-q", "--reuse", ".", "-p", "no:otel"]
    settings = rows(shell("doctor", "--json", *options), "settings", "setting")
    sources = {name: settings[name]["source"] for name in ("budget", "debug", "quiet", "reuse")}
    assert sources == {
        "budget": "--budget",
        "debug": "--debug",
        "quiet": "--quiet",
        "reuse": "--reuse",
    }
    assert settings["budget"]["value"] == 0.0
    file = shell.folder / "pyproject.toml"
    assert settings["block"]["value"] == ["report", "otel"]
    assert settings["block"]["source"] == f"{file}: tool.rolecall.block, -p no:otel"


def test_it_says_which_plugin_supplies_what(shell: Shell) -> None:
    plugins = rows(shell("doctor", "--json"), "plugins", "plugin")
    assert plugins["claude"]["supplies"] == ["provider claude"]
    assert plugins["roles"]["supplies"] == ["13 agents"]
    assert plugins["pacing"]["supplies"] == ["limiter pacing"]
    assert plugins["terminal"]["supplies"] == ["observers"]
    assert plugins["report"]["state"] == "blocked"


def test_it_says_what_falls_back_to_what(shell: Shell) -> None:
    out = shell("doctor").out
    assert "8 of 13 agents run on gemini/gemini-3.8-flash, falling back to claude/" in out
    assert "5 of 13 agents run on claude/claude-sonnet-5-5 alone: project-orchestrator" in out


def test_limits_are_shown(shell: Shell) -> None:
    shell.configure(FAST + "[tool.rolecall.providers.claude]\nrequests_per_minute = 50\n")
    assert "requests_per_minute 50" in shell("doctor").out


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("claude-mythos-preview", "claude-mythos-preview was switched off on 2026-06-09"),
        ("claude-misspelt", "litellm does not know 'claude-misspelt', so its price is unknown"),
    ],
)
def test_a_model_that_is_past_due_or_unknown_is_a_problem(
    shell: Shell, model: str, said: str
) -> None:
    shell.configure(FAST + f'[tool.rolecall.agents]\nquality-assurance = "claude/{model}"\n')
    assert f"claude: {said}" in shell("doctor").out


def test_an_address_that_is_none_is_a_problem(shell: Shell) -> None:
    keys(shell, ANTHROPIC_API_KEY=KEY, ANTHROPIC_API_BASE="localhost:1")
    said = "ANTHROPIC_API_BASE is no address: it must begin with https:// or http://"
    assert said in shell("doctor").out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANTHROPIC_API_BASE", "alice:planted@proxy.example"),
        ("ANTHROPIC_API_BASE", "http:/alice:planted@proxy.example"),
        ("ANTHROPIC_API_BASE", "https://alice:planted@proxy.example:port/"),
        ("HTTPS_PROXY", "http://alice:planted@"),
    ],
)
def test_a_wrong_address_is_found_before_the_first_call_and_its_password_shown_nowhere(
    shell: Shell, name: str, value: str
) -> None:
    keys(shell, ANTHROPIC_API_KEY=KEY, **{name: value})
    team = ["--only", "project-orchestrator"]
    for ended in (shell("doctor"), shell("providers"), shell("run", "Build it", *team)):
        assert f"{name} is no address" in ended.out + ended.err
        assert "planted" not in ended.out + ended.err
    assert not (shell.folder / "runs").exists()


def test_a_plugin_that_does_not_load_is_a_problem_and_the_rest_is_shown(shell: Shell) -> None:
    shell.install("broken", "import no_such_module\n")
    ended = shell("doctor")
    assert "the plugin 'broken' (tested_broken) does not load" in ended.out
    assert "provider claude" in ended.out


def test_a_team_that_cannot_run_is_a_problem(shell: Shell) -> None:
    shell.configure(FAST + '[tool.rolecall.agents]\nquality-assurance = "nobody"\n')
    assert "quality-assurance runs on 'nobody'" in shell("doctor").out


def test_a_folder_that_cannot_be_written_is_a_problem(shell: Shell) -> None:
    (shell.folder / "runs").write_text("a file", "utf-8")
    assert f"{shell.folder / 'runs'} cannot be written" in shell("doctor").out


LIVE = ECHO.replace('(title,) = re.findall(r"deliverable of (.+) now", text)', 'title = "Doctor"')


def test_live_makes_one_call_per_provider_that_is_ready(shell: Shell) -> None:
    shell.install("echo", LIVE.replace("cost=0.01", "cost=0.01, headers={'limit': '50'}"))
    ended = shell("doctor", "--live", "--json")
    providers = rows(ended, "providers", "provider")
    assert providers["echo"]["live"] == "answers"
    assert providers["echo"]["headers"] == {"limit": "50"}
    assert "live" not in providers["claude"]
    assert shell.asked == ["doctor"]


def test_live_says_why_a_provider_does_not_answer(shell: Shell) -> None:
    failing = LIVE.replace('return Response(f"#', 'raise ProviderError("auth", "bad key")  # (f"#')
    shell.install("echo", failing)
    ended = shell("doctor", "--live")
    assert ended.code == 1
    assert "echo does not answer: auth: bad key" in ended.out


def test_live_says_where_nobody_can_be_called(shell: Shell) -> None:
    ended = shell("doctor", "--live")
    assert "no provider can be called, so no call was made" in ended.err


def test_what_no_table_sets_is_no_setting(shell: Shell) -> None:
    settings = shell("doctor", "--json").json["settings"]
    assert not UNSET & {row["setting"] for row in settings}
