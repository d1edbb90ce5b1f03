"""The team of 13: the table, its graph, and the prompts."""

import re

import pytest

from rolecall import Agent, Team
from rolecall_plugins.team.roles import COORDINATOR, TABLE, rolecall_agents

AGENTS = list(rolecall_agents())


def test_there_are_13_agents_5_on_claude_and_8_on_gemini_with_claude_behind() -> None:
    routes = [tuple(map(str, agent.routes)) for agent in AGENTS]
    assert routes.count(("claude",)) == 5
    assert routes.count(("gemini", "claude")) == 8


def test_the_coordinator_hears_everyone_and_writes_the_plan() -> None:
    team = Team(AGENTS)
    assert set(team.needs(COORDINATOR)) == set(team.agents) - {COORDINATOR}
    assert [agent.name for agent in AGENTS if agent.plan] == [COORDINATOR]


def test_the_longest_path_has_seven_agents() -> None:
    team = Team(AGENTS)
    assert max(team.paths(dict.fromkeys(team.agents, 1.0)).values()) == 7


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_a_prompt_says_who_what_and_in_which_sections(agent: Agent) -> None:
    assert agent.prompt.startswith(f"You are the {agent.title} of a team")
    sections = re.findall(r"^- `## (.+?)`:", agent.prompt, re.MULTILINE)
    assert 6 <= len(sections) <= 10
    assert len(sections) == len(set(sections))
    for heading in ("Task", "What you receive", "Your deliverable", "Leave to others"):
        assert f"## {heading}\n" in agent.prompt


def test_all_are_told_the_same_conventions() -> None:
    (shared,) = {agent.shared for agent in AGENTS}
    assert shared.startswith("# Conventions of the team")


@pytest.mark.parametrize(("name", "needs"), [(row[0], row[2]) for row in TABLE])
def test_a_prompt_names_every_deliverable_that_its_agent_gets(
    name: str, needs: tuple[str, ...]
) -> None:
    agent = next(agent for agent in AGENTS if agent.name == name)
    for need in needs:
        if need != "*":
            assert need in agent.prompt
