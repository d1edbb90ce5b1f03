"""Who runs where, who decided it, and what is said before the first call."""

from collections.abc import Sequence
from typing import Any

import pytest
from building import KeyedProvider, agent, plugin

from rolecall import (
    AgentSettings,
    Host,
    Route,
    Settings,
    SettingsError,
    Team,
    TeamError,
    UsageError,
)
from rolecall.config.layers import Layer, Level
from rolecall.plugin.assignment import (
    Assigned,
    assemble,
    assign,
    forecast,
    switched_off,
    unusable,
)
from rolecall.testing import FakeProvider

PROVIDERS = ("one", "two", "three")


def hosting(**hooks: Any) -> Host:
    host = Host([])
    host.register("team", plugin(agents=[agent("writer"), agent("tester", "writer")]))
    if hooks:
        host.register("opinion", plugin(**hooks))
    return host


def routes(assigned: dict[str, Assigned]) -> dict[str, list[str]]:
    return {name: [str(route) for route in each.agent.routes] for name, each in assigned.items()}


def test_an_agent_runs_where_it_says_itself_if_nobody_says_otherwise() -> None:
    assigned = assign(hosting(), Settings(), PROVIDERS)
    assert routes(assigned) == {"writer": ["one"], "tester": ["one"]}
    assert assigned["writer"].decided_by == "plugin team (default)"
    assert assigned["writer"].plugin == "team"


def test_a_plugin_wins_over_the_agents_own_word() -> None:
    assigned = assign(hosting(assign=lambda: ["two/m", "one"]), Settings(), PROVIDERS)
    assert routes(assigned)["writer"] == ["two/m", "one"]
    assert assigned["writer"].decided_by == "plugin opinion"


def test_the_users_settings_win_over_a_plugin() -> None:
    settings = Settings(agents={"writer": ("three",)}, source="here.toml")
    assigned = assign(hosting(assign=lambda: "two"), settings, PROVIDERS)
    assert routes(assigned) == {"writer": ["three"], "tester": ["two"]}
    assert assigned["writer"].decided_by == "here.toml: tool.rolecall.agents.writer"


def test_the_environment_wins_over_the_settings() -> None:
    settings = Settings(
        agents={"writer": ("three",)}, environment={"ROLECALL_AGENT_WRITER": "two/m, one"}
    )
    assigned = assign(hosting(), settings, PROVIDERS)
    assert routes(assigned)["writer"] == ["two/m", "one"]
    assert assigned["writer"].decided_by == "ROLECALL_AGENT_WRITER"


def test_a_variable_of_no_agent_is_named_with_the_nearest() -> None:
    settings = Settings(environment={"ROLECALL_AGENT_RITER": "two"})
    with pytest.raises(SettingsError, match="ROLECALL_AGENT_RITER: there is no such agent; did"):
        assign(hosting(), settings, PROVIDERS)


def test_a_name_wins_over_patterns_and_the_longest_pattern_over_others() -> None:
    settings = Settings(agents={"*": "one", "*er": "two", "tester": "three"}, source="here.toml")
    assigned = assign(hosting(), settings, PROVIDERS)
    assert routes(assigned) == {"writer": ["two"], "tester": ["three"]}
    assert assigned["writer"].decided_by == "here.toml: tool.rolecall.agents.*er"


def test_the_command_line_takes_patterns_too() -> None:
    assigned = assign(hosting(), Settings(), PROVIDERS, {"t*": ["two"]})
    assert routes(assigned) == {"writer": ["one"], "tester": ["two"]}
    assert assigned["tester"].decided_by == "--assign t*"


def test_a_pattern_that_nobody_matches_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"agents: no agent matches 'x\*'"):
        assign(hosting(), Settings(agents={"x*": "one"}), PROVIDERS)


def test_a_pattern_cannot_have_a_prompt() -> None:
    settings = Settings(agents={"*": AgentSettings(prompt="All alike.")})
    with pytest.raises(SettingsError, match=r"agents\.\*: a pattern sets routes, or switches"):
        assign(hosting(), settings, PROVIDERS)


def test_an_agent_can_be_added_by_the_settings_alone() -> None:
    own = AgentSettings(routes=("two",), prompt="You sing.", needs=("writer",))
    assigned = assign(hosting(), Settings(agents={"choir-singer": own}, source="s"), PROVIDERS)
    added = assigned["choir-singer"]
    assert added.plugin == "s"
    assert (added.agent.title, added.agent.prompt) == ("Choir Singer", "You sing.")
    assert added.agent.needs == ("writer",)
    assert list(assigned) == ["writer", "tester", "choir-singer"]


@pytest.mark.parametrize("name", ["Singer", "two words", "-x"])
def test_an_added_agent_needs_the_name_of_an_agent(name: str) -> None:
    own = AgentSettings(routes=("two",), prompt="You sing.")
    with pytest.raises(SettingsError, match="is not an agent's name"):
        assign(hosting(), Settings(agents={name: own}), PROVIDERS)


def test_an_added_agent_needs_a_prompt_and_a_route() -> None:
    with pytest.raises(SettingsError, match=r"'singer'.* to add an agent, give it a prompt"):
        assign(hosting(), Settings(agents={"singer": "two"}), PROVIDERS)
    with pytest.raises(UsageError, match="it names no route"):
        assign(hosting(), Settings(agents={"singer": AgentSettings(prompt="Sing.")}), PROVIDERS)


def test_the_settings_may_change_what_an_agent_is_told_and_needs() -> None:
    own = AgentSettings(prompt="Be brief.", title="Tester in Chief", needs=())
    agent = assign(hosting(), Settings(agents={"tester": own}), PROVIDERS)["tester"].agent
    assert (agent.prompt, agent.title, agent.needs) == ("Be brief.", "Tester in Chief", ())
    assert agent.goal == "test"


def test_an_agent_that_is_switched_off_stays_out_unless_it_is_asked_for() -> None:
    settings = Settings(agents={"t*": AgentSettings(off=True)})
    assigned = assign(hosting(), settings, PROVIDERS)
    assert switched_off(assigned) == ["tester"]
    assert switched_off(assigned, only=["tester"]) == []


def test_the_command_line_wins_over_all() -> None:
    settings = Settings(agents={"writer": ("three",)})
    assigned = assign(hosting(assign=lambda: "two"), settings, PROVIDERS, {"writer": ["one/m"]})
    assert routes(assigned) == {"writer": ["one/m"], "tester": ["two"]}
    assert assigned["writer"].decided_by == "--assign"


@pytest.mark.parametrize("answer", ["two", Route("two"), ["two"], (Route("two"),), iter(["two"])])
def test_a_plugin_may_answer_with_a_route_or_with_several(answer: Any) -> None:
    host = hosting(assign=lambda agent: answer if agent.name == "writer" else None)
    assert routes(assign(host, Settings(), PROVIDERS))["writer"] == ["two"]


@pytest.mark.parametrize("answer", ["Two!", "", 3, [3], ["two", None], [], ["two/"]])
def test_an_answer_that_is_no_route_names_who_gave_it(answer: Any) -> None:
    with pytest.raises(UsageError, match=r"^plugin opinion: .*PROVIDER or PROVIDER/MODEL$"):
        assign(hosting(assign=lambda: answer), Settings(), PROVIDERS)


def test_an_unknown_agent_on_the_command_line_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^--assign: no agent is called 'riter'.*'writer'"):
        assign(hosting(), Settings(), PROVIDERS, {"riter": ["one"]})


def test_an_unknown_agent_in_the_settings_names_file_and_key() -> None:
    settings = Settings(agents={"riter": ("one",)}, source="here.toml")
    with pytest.raises(
        SettingsError, match=r"^here.toml: tool.rolecall.agents: no agent is called 'riter'"
    ):
        assign(hosting(), settings, PROVIDERS)


def test_an_unknown_provider_names_who_decided_it_and_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        assign(hosting(assign=lambda: "towo/m"), Settings(), PROVIDERS)
    assert str(caught.value) == (
        "writer runs on 'towo/m' (decided by plugin opinion), and there is no provider 'towo'; "
        "did you mean 'two'?; run it elsewhere: --assign writer=ROUTE"
    )


CHAIN = [agent("a"), agent("b", "a"), agent("c", "a", "b"), agent("all", "*")]


@pytest.mark.parametrize(
    ("only", "skip", "kept", "left_out"),
    [
        ((), (), ["a", "b", "c", "all"], {}),
        (("b",), (), ["b"], {"b": ("a",)}),
        (("c", "a"), (), ["a", "c"], {"c": ("b",)}),
        ((), ("b",), ["a", "c", "all"], {"c": ("b",), "all": ("b",)}),
        (("a", "b"), ("a",), ["b"], {"b": ("a",)}),
        (("[ab]", "c"), (), ["a", "b", "c"], {}),
        ((), ("[bc]", "all"), ["a"], {}),
        (("*",), ("a*",), ["b", "c"], {"b": ("a",), "c": ("a",)}),
    ],
)
def test_a_part_of_the_team_knows_what_it_goes_without(
    only: Sequence[str], skip: Sequence[str], kept: list[str], left_out: dict[str, Any]
) -> None:
    team, without = assemble(CHAIN, only, skip)
    assert ([each.name for each in team], without) == (kept, left_out)


@pytest.mark.parametrize("option", ["only", "skip"])
def test_an_unknown_agent_to_keep_or_leave_out_names_the_option(option: str) -> None:
    with pytest.raises(TeamError, match=rf"^--{option}: no agent is called 'alll'.*'all'"):
        assemble(CHAIN, **{option: ["alll"]})


@pytest.mark.parametrize("option", ["only", "skip"])
def test_a_pattern_that_means_nobody_names_the_option(option: str) -> None:
    with pytest.raises(TeamError, match=rf"^--{option}: no agent matches 'x\*'"):
        assemble(CHAIN, **{option: ["x*"]})


def test_leaving_out_everyone_is_an_error() -> None:
    with pytest.raises(TeamError, match="the team is empty"):
        assemble(CHAIN, skip=["a", "b", "c", "all"])


def test_a_wrong_graph_is_found_even_in_what_is_left_out() -> None:
    with pytest.raises(TeamError, match="in a circle"):
        assemble([agent("a"), agent("b", "c"), agent("c", "b")], only=["a"])


def test_only_providers_that_the_team_uses_are_missed() -> None:
    providers = {
        "one": KeyedProvider("one", "ONE_API_KEY is not set"),
        "two": KeyedProvider("two", "TWO_API_KEY is not set"),
        "three": FakeProvider("three"),
    }
    team = Team([agent("a", routes=["three", "one"])])
    assert unusable(team, providers) == {"one": "ONE_API_KEY is not set"}


def test_nothing_is_said_where_nothing_is_missing() -> None:
    assert forecast(Team(CHAIN), {}) == []


def test_it_is_said_first_who_falls_back_and_who_will_not_run() -> None:
    team = Team(
        [
            agent("a", routes=["one", "two"]),
            agent("b", routes=["one", "two/m"]),
            agent("c", routes=["one", "two"]),
            agent("d", routes=["two", "one"]),
            agent("e", routes=["one"]),
        ]
    )
    lines = forecast(team, {"one": "ONE_API_KEY is not set"})
    assert lines[0] == "one: ONE_API_KEY is not set"
    assert "fall back to two: a, c" in lines[1]
    assert "fall back to two/m: b" in lines[2]
    assert "have no route and will not run: e" in lines[3]
    assert len(lines) == 4


def test_a_team_without_any_route_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        forecast(Team(CHAIN), {"one": "ONE_API_KEY is not set"})
    assert str(caught.value) == (
        "no agent has a route: one: ONE_API_KEY is not set. "
        "Set a key in .env (see .env.example), or add --offline to run on the simulator"
    )


def test_routes_that_an_option_set_are_not_laid_to_the_projects_file() -> None:
    host = Host([])
    host.register("team", plugin(agents=CHAIN))
    project = Layer(Level.PROJECT, "here.toml", {"agents": {"a": AgentSettings(("one",))}}, "tool.")
    option = Layer(Level.COMMAND_LINE, "--replay", {"agents": {"b": AgentSettings(("one",))}})
    settings = Settings(source="here.toml").with_layer(project).with_layer(option)
    assigned = assign(host, settings, ["one"])
    assert assigned["a"].decided_by == "here.toml: tool.agents.a"
    assert assigned["b"].decided_by == "--replay"


def test_the_plan_may_be_handed_to_another_agent() -> None:
    own = {
        "editor": AgentSettings(routes=("two",), prompt="You edit.", plan=True),
        "writer": AgentSettings(plan=False),
    }
    assigned = assign(hosting(), Settings(agents=own), PROVIDERS)
    assert [name for name, each in assigned.items() if each.agent.plan] == ["editor"]
