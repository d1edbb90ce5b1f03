"""The team as rolecall puts it together with this plugin installed; run with `pytest`."""

import pytest

from rolecall import Agent, Host, Settings, Team

REPLACED = {"frontend-architecture-specialist", "technical-writer"}


@pytest.fixture(scope="module")
def team() -> Team:
    return Team.load(settings=Settings())


@pytest.fixture(scope="module")
def before() -> Team:
    return Team.load(settings=Settings(), host=Host(block=["webteam"]))


def changed(agent: Agent) -> tuple[str, str, str]:
    return agent.title, agent.goal, agent.prompt


def test_one_agent_is_removed_and_one_is_added_before_the_code(team: Team, before: Team) -> None:
    names = [name for name in before.agents if name != "infrastructure-specialist"]
    names.insert(names.index("code-implementer"), "accessibility-reviewer")
    assert list(team.agents) == names


def test_two_agents_are_replaced_and_the_others_are_as_they_were(team: Team, before: Team) -> None:
    both = team.agents.keys() & before.agents.keys()
    assert {
        name for name in both if changed(team.agents[name]) != changed(before.agents[name])
    } == REPLACED


def test_the_replaced_stand_where_they_stood(team: Team, before: Team) -> None:
    for name in REPLACED:
        assert team.needs(name) == before.needs(name)
        assert team.agents[name].routes == before.agents[name].routes


def test_the_code_is_written_by_what_the_reviewer_found(team: Team) -> None:
    assert team.needs("accessibility-reviewer") == (
        "feature-analyst",
        "frontend-architecture-specialist",
    )
    assert "accessibility-reviewer" in team.needs("code-implementer")


def test_what_is_changed_is_known_to_be_this_plugins() -> None:
    owners = {name: plugin for name, (_, plugin) in Host().agents().items()}
    own = {name for name, plugin in owners.items() if plugin == "webteam"}
    assert own == {*REPLACED, "accessibility-reviewer", "code-implementer"}
