"""Whose word counts for a setting, and where its value came from."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import AgentSettings, Settings, SettingsError, load_settings
from rolecall.config.layers import DEFAULT, Layer, Level, Source, path

LEVELS = [level for level in Level if level is not Level.DEFAULT]
LAYERS = st.lists(
    st.builds(
        lambda level, attempts, agent, folder: Layer(
            level,
            f"{level.name} {attempts}",
            {"attempts": attempts, "agents": {agent: AgentSettings((folder,))}, "reuse": (folder,)},
        ),
        st.sampled_from(LEVELS),
        st.integers(1, 9),
        st.sampled_from("ab"),
        st.sampled_from(["one", "two"]),
    ),
    min_size=1,
)


def layer(level: Level, place: str = "", **values: Any) -> Layer:
    return Layer(level, place or level.name, values)


def laid(*layers: Layer) -> Settings:
    settings = Settings()
    for each in layers:
        settings = settings.with_layer(each)
    return settings


def test_the_levels_are_in_the_order_in_which_they_win() -> None:
    assert sorted(Level) == [
        Level.DEFAULT,
        Level.PROJECT,
        Level.ENVIRONMENT,
        Level.RUN,
        Level.COMMAND_LINE,
        Level.CODE,
    ]


@given(LAYERS)
def test_the_last_value_of_the_highest_level_counts_whenever_it_was_set(
    layers: list[Layer],
) -> None:
    settings = laid(*layers)
    winner = sorted(layers, key=lambda each: each.level)[-1]  # stable: the last of its level
    assert settings.attempts == winner.values["attempts"]
    assert settings.source_of("attempts") == Source(winner.level, winner.place)


@given(LAYERS)
def test_each_entry_of_a_table_has_a_winner_of_its_own(layers: list[Layer]) -> None:
    settings = laid(*layers)
    for name in {key for each in layers for key in each.values["agents"]}:
        own = [each for each in layers if name in each.values["agents"]]
        winner = sorted(own, key=lambda each: each.level)[-1]
        assert settings.agents[name] == winner.values["agents"][name]
        assert settings.source_of("agents", name) == Source(winner.level, winner.place)


@given(LAYERS)
def test_the_items_of_lists_are_joined_with_all_their_sources(layers: list[Layer]) -> None:
    settings = laid(*layers)
    assert settings.reuse == tuple(each.values["reuse"][0] for each in layers)
    assert str(settings.source_of("reuse")) == ", ".join(each.place for each in layers)


def test_a_value_that_nobody_set_is_the_default() -> None:
    assert Settings().source_of("attempts") is DEFAULT
    assert str(DEFAULT) == "default"


def test_a_value_that_a_program_chose_without_a_layer_is_the_programs() -> None:
    source = Settings(attempts=9).source_of("attempts")
    assert (source.level, source.place) == (Level.CODE, "the program")


def test_laying_leaves_the_settings_beneath_as_they_are() -> None:
    beneath = Settings()
    above = beneath.with_layer(layer(Level.CODE, attempts=9, on={"empty": "stop"}))
    assert (beneath.attempts, dict(beneath.on), dict(beneath.sources)) == (3, {}, {})
    assert above.attempts == 9


def test_a_wrong_value_names_its_place() -> None:
    with pytest.raises(SettingsError, match=r"^run\.toml: budget must be at least 0, not -1$"):
        laid(layer(Level.RUN, "run.toml", budget=-1))


def test_a_path_is_written_as_toml_writes_it() -> None:
    assert path("on", "refusal") == "on.refusal"
    assert path("prices", "model-1.5") == 'prices."model-1.5"'


def test_each_key_of_a_project_is_named_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.rolecall]\nattempts = 2\nagents."a.b" = "one"\n', "utf-8")
    settings = load_settings(tmp_path, {})
    assert str(settings.source_of("attempts")) == f"{file}: tool.rolecall.attempts"
    assert str(settings.source_of("agents", "a.b")) == f'{file}: tool.rolecall.agents."a.b"'
    assert settings.source_of("interval") is DEFAULT


@pytest.mark.parametrize(("value", "debug"), [("1", True), ("0", False), ("", True)])
def test_a_variable_wins_over_the_project_if_it_is_set(
    tmp_path: Path, value: str, debug: bool
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.rolecall]\ndebug = true\n", "utf-8")
    assert load_settings(tmp_path, {"ROLECALL_DEBUG": value}).debug is debug


def test_a_variable_is_named_with_where_it_was_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ROLECALL_DEBUG=1\n", "utf-8")
    in_file = load_settings(tmp_path, {}).source_of("debug")
    in_process = load_settings(tmp_path, {"ROLECALL_DEBUG": "1"}).source_of("debug")
    assert str(in_file) == f"ROLECALL_DEBUG in {tmp_path / '.env'}"
    assert str(in_process) == "ROLECALL_DEBUG in the environment"
