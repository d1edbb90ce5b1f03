"""A team for websites: two roles replaced, one removed, one added."""

from collections.abc import Iterator, Sequence
from importlib.resources import files

from attrs import evolve

from rolecall import Agent, hookimpl

REPLACED = {  # the name stays, by which others need them: title, goal
    "frontend-architecture-specialist": ("Web Designer", "design the pages"),
    "technical-writer": ("Web Editor", "write what visitors read"),
}
REMOVED = "infrastructure-specialist"
ADDED = "accessibility-reviewer"
BUILDER = "code-implementer"


@hookimpl
def rolecall_team(agents: Sequence[Agent]) -> Iterator[Agent]:
    for agent in agents:
        needs = tuple(name for name in agent.needs if name != REMOVED)
        if agent.name in REPLACED:
            title, goal = REPLACED[agent.name]
            prompt = _prompt(agent.name)
            yield evolve(agent, title=title, goal=goal, prompt=prompt, needs=needs)
        elif agent.name == BUILDER:
            yield _reviewer(agent.shared)
            yield evolve(agent, needs=(*needs, ADDED))
        elif agent.name != REMOVED:
            yield evolve(agent, needs=needs)


def _reviewer(shared: str) -> Agent:
    return Agent(
        name=ADDED,
        title="Accessibility Reviewer",
        goal="find what shuts people out of the pages",
        prompt=_prompt(ADDED),
        shared=shared,  # begins as the others do, so that vendors' caches can hit
        routes=("gemini", "claude"),
        needs=("feature-analyst", "frontend-architecture-specialist"),
    )


def _prompt(name: str) -> str:
    return files(__package__).joinpath("prompts", f"{name}.md").read_text("utf-8")
