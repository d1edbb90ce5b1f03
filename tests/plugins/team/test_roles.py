"""The team of 13: the table, its graph, and the prompts."""

import re

import pytest

from rolecall import Agent, Team
from rolecall_plugins.team.roles import (
    ARCHITECT,
    COORDINATOR,
    DATABASE,
    IMPLEMENTER,
    INFRASTRUCTURE,
    QUALITY,
    SECURITY,
    TABLE,
    WRITER,
    rolecall_agents,
)

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
    assert 3 <= len(sections) <= 7
    assert len(sections) == len(set(sections))
    for heading in ("Task", "What you receive", "Your deliverable", "Leave to others"):
        assert f"## {heading}\n" in agent.prompt


def test_a_role_s_text_is_a_page_and_the_shared_one_two() -> None:
    assert max(len(agent.prompt.split()) for agent in AGENTS) <= 650
    assert len(AGENTS[0].shared.split()) <= 1200


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_a_prompt_counts_no_words_or_rows_of_its_own(agent: Agent) -> None:
    """The conventions have one table of lengths, and one rule where coverage needs more."""
    ranges = re.findall(r"\b\d[\d,]*(?:-| to )\d[\d,]* (?:rows|words|lines|tokens)", agent.prompt)
    assert ranges == []


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_a_prompt_leads_nobody_to_claim_what_the_machine_has_not_found(agent: Agent) -> None:
    for sentence in re.split(r"(?<=[.;:])\s", f"{agent.shared}\n{agent.prompt}"):
        if re.search(r"\b(tested|verified)\b", sentence, re.IGNORECASE):
            allowed = r"never|not|nothing|rolecall|only what|unverified|`<verification>`"
            assert re.search(allowed, sentence, re.IGNORECASE), sentence


def test_those_write_who_have_files_of_their_own_and_those_read_who_judge() -> None:
    tools = {agent.name: agent.tools for agent in AGENTS}
    assert [name for name, own in tools.items() if own == ("workspace",)] == [
        DATABASE,
        INFRASTRUCTURE,
        IMPLEMENTER,
        QUALITY,
        WRITER,
    ]
    for name in (ARCHITECT, SECURITY, COORDINATOR):
        assert tools[name] == ("workspace.list", "workspace.read", "workspace.search")
    assert [agent.name for agent in AGENTS if agent.verify] == [IMPLEMENTER]


def test_the_roles_owners_of_ids_are_named_once_and_the_ids_only_in_use() -> None:
    shared = AGENTS[0].shared
    for row in re.findall(r"^\| (`[A-Z].*?) \| ([\w-]+) \|$", shared, re.MULTILINE):
        ids, owner = row
        prompt = next(agent.prompt for agent in AGENTS if agent.name == owner)
        for id in re.findall(r"`([A-Z]+)-", ids):
            assert re.search(rf"\b{id}\b", prompt), f"{owner} coins no {id}"


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
