"""Scenario files: that they say the same as the classes, and what a mistake in one is told."""

from pathlib import Path

import pytest

from rolecall_plugins.simulator.scenario import (
    Fault,
    Latency,
    Limits,
    Scenario,
    ScenarioError,
    load_scenario,
)

WHOLE = """
seed = 7
latency = "lognormal:0.8,0.4"
tokens_per_second = 80
faults = ["gemini:thinking_only:2", "claude:rate_limited:1@retry_after=3"]

[limits.claude]
requests_per_minute = 50
concurrency = 4

[limits.gemini]
requests_per_day = 250
"""


def test_a_file_says_everything_a_scenario_can(tmp_path: Path) -> None:
    path = tmp_path / "busy.toml"
    path.write_text(WHOLE, encoding="utf-8")
    assert load_scenario(path) == Scenario(
        seed=7,
        latency=Latency("lognormal", (0.8, 0.4)),
        tokens_per_second=80,
        faults=(
            Fault.parse("gemini:thinking_only:2"),
            Fault.parse("claude:rate_limited:1@retry_after=3"),
        ),
        limits={
            "claude": Limits(requests_per_minute=50, concurrency=4),
            "gemini": Limits(requests_per_day=250),
        },
    )


def test_an_empty_file_is_a_scenario_in_which_all_goes_well(tmp_path: Path) -> None:
    path = tmp_path / "well.toml"
    path.write_text("", encoding="utf-8")
    assert load_scenario(path) == Scenario()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sead = 1", "unknown setting 'sead'; did you mean 'seed'? valid: batches, faults"),
        ("seed = 1.5", "seed: it must be a whole number, not 1.5"),
        ("seed = true", "seed: it must be a whole number, not True"),
        ("latency = 0.2", "latency: it must be a text such as '0.1-0.5', not 0.2"),
        ("latency = 'soon'", "latency: latency 'soon': 'soon' is not a number"),
        ("tokens_per_second = 0", "tokens_per_second must be above 0"),
        ("tokens_per_second = 'x'", "tokens_per_second: it must be a number, not 'x'"),
        ("faults = 'gemini:empty'", "faults: it must be a list of texts"),
        ("faults = [1]", "faults: it must be a list of texts, not 1"),
        ("faults = ['gemini:emty']", "faults: fault 'gemini:emty': unknown cause 'emty'; did you"),
        ("limits = 5", "limits: it must be a table for each provider, not 5"),
        (
            "limits.claud.concurrency = 1",
            "unknown provider in limits 'claud'; did you mean 'claude'?",
        ),
        ("limits.claude = 5", "limits: claude: it must be a table of limits, not 5"),
        ("limits.claude.requests_per_minut = 1", "did you mean 'requests_per_minute'? valid: conc"),
        (
            "limits.claude.concurrency = 0",
            "claude: concurrency must be a whole number above 0, not 0",
        ),
        ("limits.claude.concurrency = true", "above 0, not True"),
        ("seed 1", "it cannot be read: "),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as error:
        load_scenario(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)


def test_a_folder_of_replies_says_what_agents_answer(tmp_path: Path) -> None:
    (tmp_path / "05-solution-architect.md").write_text("# Design", "utf-8")
    (tmp_path / "writer.md").write_text("# Words", "utf-8")
    replies = Scenario.parse({"replies": str(tmp_path)}).replies
    assert replies == {"solution-architect": "# Design", "writer": "# Words"}


def test_a_folder_without_replies_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="holds no text"):
        Scenario.parse({"replies": str(tmp_path / "nowhere")})


def test_a_missing_file_and_one_of_bytes_are_the_same_error(tmp_path: Path) -> None:
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe")
    for wrong in (path, tmp_path / "none.toml"):
        with pytest.raises(ScenarioError, match="it cannot be read"):
            load_scenario(wrong)


def test_a_scenario_built_in_python_is_checked_as_well() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'gemini'"):
        Scenario(limits={"gemni": Limits()})
    with pytest.raises(ScenarioError, match="above 0"):
        Scenario(tokens_per_second=-1.0)
    with pytest.raises(ScenarioError, match="above 0"):
        Limits(requests_per_minute=-5)
