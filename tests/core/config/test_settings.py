"""Settings: what is read from where, and how what is wrong is named."""

import os
import re
from pathlib import Path

import pytest
from attrs import fields
from places import ROOT

from rolecall import (
    Action,
    AgentSettings,
    Cause,
    CommandLimits,
    Order,
    Price,
    ProviderSettings,
    Settings,
    SettingsError,
)
from rolecall.config.loading import load_settings
from rolecall.config.settings import UNSET

DOCUMENT = (ROOT / "docs" / "settings.md").read_text("utf-8")

WHOLE = """
[tool.rolecall]
interval = 1
order = "latency"
budget = 2.5
allow_unpriced = true
block = ["report"]
attempts = 2
max_wait = 10.5
breaker_failures = 4
breaker_cooldown = 5
continuations = 0
max_output_tokens = 100
temperature = 0.5
timeout = 30
first_byte_timeout = 20
idle_timeout = 3
stream = false
runs = "out"
reuse = "old"
state = "shared"
debug = true

[tool.rolecall.providers.claude]
model = "m"
api_base = "http://localhost"
requests_per_minute = 50
tokens_per_minute = 40000
input_tokens_per_minute = 30000
output_tokens_per_minute = 8000
requests_per_day = 1000
concurrency = 8
options = { region = "eu" }

[tool.rolecall.agents]
research-analyst = "claude"
technical-writer = ["gemini/g", "claude"]

[tool.rolecall.on]
refusal = "fallback"

[tool.rolecall.prices.m]
input = 3
output = 15
cache_read = 0.3
"""


def configured(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    (folder / "pyproject.toml").write_text(text, "utf-8")
    return load_settings(folder, environ or {})


def refused(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        configured(folder, text)
    path, _, message = str(caught.value).partition(": ")
    assert path == str(folder / "pyproject.toml")
    assert "\n" not in message
    return message


def test_every_setting_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configured_ = configured(tmp_path, WHOLE, {"HOME": "/home/me"})
    assert configured_ == Settings(
        interval=1.0,
        order=Order.LATENCY,
        block=("report",),
        providers={
            "claude": ProviderSettings(
                model="m",
                api_base="http://localhost",
                requests_per_minute=50,
                tokens_per_minute=40_000,
                input_tokens_per_minute=30_000,
                output_tokens_per_minute=8000,
                requests_per_day=1000,
                concurrency=8,
                options={"region": "eu"},
            ),
        },
        agents={"research-analyst": ("claude",), "technical-writer": ("gemini/g", "claude")},
        on={Cause.REFUSAL: Action.FALLBACK},
        prices={"m": Price(3.0, 15.0, cache_read=0.3)},
        budget=2.5,
        allow_unpriced=True,
        attempts=2,
        max_wait=10.5,
        breaker_failures=4,
        breaker_cooldown=5.0,
        continuations=0,
        max_output_tokens=100,
        temperature=0.5,
        timeout=30.0,
        first_byte_timeout=20.0,
        idle_timeout=3.0,
        stream=False,
        runs="out",
        reuse=("old",),
        state="shared",
        identity=configured_.identity,
        debug=True,
        environment={"HOME": "/home/me"},
        source=str(tmp_path / "pyproject.toml"),
    )


def test_a_project_does_not_choose_the_secret_that_signs_runs(tmp_path: Path) -> None:
    shared = configured(tmp_path, "[tool.rolecall]\nstate = 'shared'\n")
    assert shared.identity == load_settings(Path("/"), {}).identity != shared.state
    assert "identity: no such setting" in refused(tmp_path, "[tool.rolecall]\nidentity = 'mine'\n")


def test_without_a_file_the_defaults_apply(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert settings == Settings(state=settings.state, identity=settings.state)


def test_the_nearest_pyproject_upwards_is_the_one_that_counts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.rolecall]\ninterval = 1\n", "utf-8")
    (tmp_path / "near" / "below").mkdir(parents=True)
    (tmp_path / "near" / "pyproject.toml").write_text("[tool.rolecall]\ninterval = 2\n", "utf-8")
    assert load_settings(tmp_path / "near" / "below", {}).interval == 2.0
    assert load_settings(tmp_path, {}).interval == 1.0


def test_what_the_users_processes_share_lies_in_the_users_own_folder(tmp_path: Path) -> None:
    state = Path(load_settings(tmp_path, {}).state)
    assert state.name == "rolecall"
    assert Path(os.environ["HOME"]) in state.parents


def test_the_dotenv_beside_the_pyproject_is_read(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".env").write_text("GEMINI_API_KEY=from the file\n", "utf-8")
    assert load_settings(tmp_path / "below", {}).variable("GEMINI_API_KEY") == "from the file"


def test_without_a_pyproject_the_dotenv_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GEMINI_API_KEY=from the file\n", "utf-8")
    assert load_settings(tmp_path, {}).variable("GEMINI_API_KEY") == "from the file"


def test_the_environment_wins_over_the_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GEMINI_API_KEY=from the file\n", "utf-8")
    settings = load_settings(tmp_path, {"GEMINI_API_KEY": "from the environment"})
    assert settings.variable("GEMINI_API_KEY") == "from the environment"


def test_the_process_environment_is_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "of the process")
    assert load_settings(tmp_path).variable("GEMINI_API_KEY") == "of the process"


def test_reading_the_dotenv_leaves_the_process_environment_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GEMINI_API_KEY=from the file\n", "utf-8")
    load_settings(tmp_path)
    assert "GEMINI_API_KEY" not in os.environ


def test_a_dotenv_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"KEY=\xff\xfe\n")
    with pytest.raises(SettingsError, match=rf"{re.escape(str(tmp_path / '.env'))}: cannot be"):
        load_settings(tmp_path, {})


def test_relative_paths_start_at_the_projects_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "below"
    below.mkdir()
    text = '[tool.rolecall]\nstate = "shared"\nreuse = ["old", "/elsewhere"]\n'
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    for here, directory in ((below, Path()), (below, tmp_path), (tmp_path, below)):
        monkeypatch.chdir(here)
        settings = load_settings(directory, {})
        assert Path(settings.runs).absolute() == tmp_path / "runs"
        assert Path(settings.state).absolute() == tmp_path / "shared"
        assert [str(Path(each).absolute()) for each in settings.reuse] == [
            str(tmp_path / "old"),
            "/elsewhere",
        ]


def test_an_empty_state_shares_nothing(tmp_path: Path) -> None:
    assert configured(tmp_path, '[tool.rolecall]\nstate = ""\n').state == ""


def test_the_first_variable_that_is_set_is_given() -> None:
    settings = Settings(environment={"EMPTY": "", "SECOND": "2", "THIRD": "3"})
    assert settings.variable("MISSING", "EMPTY", "SECOND", "THIRD") == "2"
    assert settings.variable("MISSING") == ""


def test_variables_can_be_put_on_top() -> None:
    settings = Settings(environment={"A": "1", "B": "2"}).with_environment(B="3")
    assert settings.environment == {"A": "1", "B": "3"}


def test_the_environment_is_not_shown_in_messages() -> None:
    assert "sk-ant" not in repr(Settings(environment={"ANTHROPIC_API_KEY": "sk-ant-shown"}))


@pytest.mark.parametrize(
    ("value", "debug"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_debugging_is_asked_for_by_a_variable(tmp_path: Path, value: str, debug: bool) -> None:
    assert load_settings(tmp_path, {"ROLECALL_DEBUG": value}).debug is debug


def test_a_variable_that_is_neither_on_nor_off_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^ROLECALL_DEBUG: must be 1 or 0, not 'perhaps'$"):
        load_settings(tmp_path, {"ROLECALL_DEBUG": "perhaps"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "intervall = 1",
            "tool.rolecall.intervall: no such setting; did you mean 'interval'?",
        ),
        ('interval = "fast"', "tool.rolecall.interval: must be a number, not 'fast'"),
        ("interval = true", "tool.rolecall.interval: must be a number, not True"),
        ("interval = -1", "tool.rolecall: interval must be at least 0, not -1.0"),
        ("interval = nan", "tool.rolecall: interval must be at least 0, not nan"),
        ("interval = inf", "tool.rolecall: interval must be at least 0, not inf"),
        ("timeout = 0", "tool.rolecall: timeout must be above 0, not 0.0"),
        ("attempts = 0", "tool.rolecall: attempts must be at least 1, not 0"),
        ("attempts = 1.5", "tool.rolecall.attempts: must be a whole number, not 1.5"),
        ("stream = 1", "tool.rolecall.stream: must be true or false, not 1"),
        ("runs = 1", "tool.rolecall.runs: must be a text, not 1"),
        ("block = 1", "tool.rolecall.block: must be a text or a list of texts, not 1"),
        ("block = [1]", "tool.rolecall.block: must be a text or a list of texts, not [1]"),
        (
            "agents.writer = 1",
            "tool.rolecall.agents.writer: must be a route, a list of routes, a table,",
        ),
        ("agents = 1", "tool.rolecall.agents: must be a table"),
        ("providers.claude = 1", "tool.rolecall.providers.claude: must be a table"),
        (
            "providers.claude.modell = 'm'",
            "tool.rolecall.providers.claude.modell: no such setting; did you mean 'model'?",
        ),
        (
            "providers.claude.concurrency = 0",
            "tool.rolecall.providers.claude: concurrency must be at least 1, not 0",
        ),
        (
            "on.refusal = 'fallbak'",
            "tool.rolecall.on.refusal: 'fallbak' is no action; did you mean 'fallback'?",
        ),
        (
            "on.refussal = 'stop'",
            "tool.rolecall.on.refussal: 'refussal' is no cause; did you mean 'refusal'?",
        ),
        (
            "on.refusal = ['stop']",
            "tool.rolecall.on.refusal: ['stop'] is no action; did you mean 'stop'?",
        ),
        (
            "on.empty = 'continue'",
            "tool.rolecall: on.empty: only a truncated answer can continue",
        ),
        ("environment = {}", "tool.rolecall.environment: no such setting; known: "),
        ("source = 'x'", "tool.rolecall.source: no such setting; known: "),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(tmp_path: Path, line: str, message: str) -> None:
    assert refused(tmp_path, f"[tool.rolecall]\n{line}\n").startswith(message)


@pytest.mark.parametrize(
    ("key", "lowest", "below"),
    [
        ("interval", 0.0, -0.1),
        ("attempts", 1, 0),
        ("max_wait", 0.0, -0.1),
        ("breaker_failures", 1, 0),
        ("breaker_cooldown", 0.1, 0.0),
        ("continuations", 0, -1),
        ("max_output_tokens", 1, 0),
        ("temperature", 0.0, -0.1),
        ("timeout", 0.1, 0.0),
        ("first_byte_timeout", 0.1, 0.0),
        ("idle_timeout", 0.1, 0.0),
        ("providers.claude.requests_per_minute", 1, 0),
        ("providers.claude.concurrency", 1, 0),
    ],
)
def test_every_number_has_its_least_value(
    tmp_path: Path, key: str, lowest: float, below: float
) -> None:
    settings = configured(tmp_path, f"[tool.rolecall]\n{key} = {lowest}\n")
    name = key.rpartition(".")[2]
    holder = settings.provider("claude") if "." in key else settings
    assert getattr(holder, name) == lowest
    assert f"{name} must be " in refused(tmp_path, f"[tool.rolecall]\n{key} = {below}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.rolecall\n", "cannot be read: "),
        ("tool = 1\n", "tool: must be a table, not 1"),
        ("[tool]\nrolecall = 1\n", "tool.rolecall: must be a table, not 1"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_named(
    tmp_path: Path, text: str, message: str
) -> None:
    assert refused(tmp_path, text).startswith(message)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"pyproject\.toml: cannot be read"):
        load_settings(tmp_path, {})


def test_the_users_actions_win_over_the_default_ones() -> None:
    actions = Settings(on={Cause.REFUSAL: Action.FALLBACK}).actions
    assert actions[Cause.REFUSAL] is Action.FALLBACK
    assert actions[Cause.EMPTY] is Action.RETRY_ONCE
    assert set(actions) == set(Cause)


def test_a_provider_without_a_table_has_the_defaults() -> None:
    assert Settings().provider("claude") == ProviderSettings()


def test_every_step_starts_from_the_settings_limits() -> None:
    template = Settings(
        max_output_tokens=5, temperature=0.5, timeout=6, idle_timeout=7, stream=False
    ).template
    assert (template.max_output_tokens, template.temperature) == (5, 0.5)
    assert (template.timeout, template.idle_timeout, template.stream) == (6, 7, False)


def test_a_streamed_answer_may_begin_as_late_as_a_whole_one_may_end() -> None:
    assert Settings(timeout=6).template.first_byte_timeout == 6
    assert Settings(timeout=6, first_byte_timeout=2).template.first_byte_timeout == 2


def test_every_setting_is_in_the_documents_table_with_its_default() -> None:
    whole, commands, *_ = (
        dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \|$", part, re.MULTILINE))
        for part in DOCUMENT.split("## `[tool.rolecall.commands]`")
    )
    of_commands = {
        each.name: str(each.default).lower().removesuffix(".0") for each in fields(CommandLimits)
    }
    assert commands == of_commands
    said = {name: value.strip('"') for name, value in whole.items()}
    tables = ("providers", "agents", "on", "prices", "commands", "tiers", *UNSET)
    plain = [each for each in fields(Settings) if each.name not in tables]
    told_in_words = {
        "temperature": "not sent",
        "first_byte_timeout": "as `timeout`",
        "state": "the user's state folder",
        "block": "[]",
        "reuse": "[]",
        "budget": "none",
        "sandbox": "the first that works",
        "sandbox_image": "python:3-slim",
        "allow": "[]",
        "verify": "[]",
    }
    shown = {True: "true", False: "false"}
    assert said == {
        each.name: told_in_words.get(each.name)
        or (shown[each.default] if each.type is bool else f"{each.default:}".removesuffix(".0"))
        for each in plain
    }


@pytest.mark.parametrize("name", [each.name for each in fields(ProviderSettings)])
def test_every_setting_of_a_provider_is_in_the_document(name: str) -> None:
    assert f"\n| `{name}` | " in DOCUMENT


def test_an_agents_prompt_is_the_text_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "singer.md").write_text("You sing.", "utf-8")
    (tmp_path / "pyproject.toml").write_text(
        """
[tool.rolecall.agents]
writer = false
tester = ["one", "two/m"]
singer = { prompt = "prompts/singer.md", needs = ["tester"], routes = "one" }
""",
        "utf-8",
    )
    (tmp_path / "below").mkdir()
    assert load_settings(tmp_path / "below", {}).agents == {
        "writer": AgentSettings(off=True),
        "tester": AgentSettings(("one", "two/m")),
        "singer": AgentSettings(("one",), "You sing.", needs=("tester",)),
    }


def test_a_prompt_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    text = '[tool.rolecall.agents.singer]\nprompt = "nowhere.md"\n'
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"agents\.singer\.prompt: cannot be read: .*nowhere"):
        load_settings(tmp_path, {})


def test_a_prompt_without_a_word_is_named(tmp_path: Path) -> None:
    (tmp_path / "singer.md").write_text(" \n", "utf-8")
    text = '[tool.rolecall.agents.singer]\nprompt = "singer.md"\n'
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"agents\.singer\.prompt: .*singer\.md is empty"):
        load_settings(tmp_path, {})


def test_a_line_of_dotenv_that_cannot_be_read_is_said_with_its_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".env").write_text("ONE=1\nthis is not one\nTWO=2\n", "utf-8")
    environment = load_settings(tmp_path, {}).environment
    assert (environment["ONE"], environment["TWO"]) == ("1", "2")
    assert f"{tmp_path / '.env'}: " in caplog.text
    assert "line 2" in caplog.text
