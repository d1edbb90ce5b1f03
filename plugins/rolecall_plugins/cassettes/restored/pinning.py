"""Pin a cassette: keep in it what its team was told, so that it replays when that has changed."""

from collections.abc import Callable, Mapping

from attrs import evolve

from rolecall import Agent

from ..errors import CassetteError
from ..interactions import CassetteMetadata, RecordedAgent
from ..staleness import digest


def pinned(metadata: CassetteMetadata, agents: Mapping[str, Agent]) -> CassetteMetadata:
    """Return a cassette's metadata with the prompts of its team.

    Raises CassetteError where the team is not what it was when the cassette was recorded.
    """
    if not metadata.team:
        raise CassetteError("it holds no team whose prompts could be kept")
    for name, recorded in metadata.team.items():
        if name not in agents or digest(agents[name]) != recorded.prompt:
            raise CassetteError(f"{name} is not told any more what it was; record it again")
    shared = {agents[name].shared for name in metadata.team}
    if len(shared) > 1:
        raise CassetteError("its agents are not all told the same beside their own prompts")
    team = {
        name: evolve(recorded, text=agents[name].prompt) for name, recorded in metadata.team.items()
    }
    return evolve(metadata, team=team, shared=shared.pop())


def as_recorded(metadata: CassetteMetadata) -> Callable[[Agent], Agent]:
    """Return what makes an agent what it was in a pinned cassette; one that is not pinned stays."""

    def restore(agent: Agent) -> Agent:
        recorded = metadata.team.get(agent.name, RecordedAgent())
        if not recorded.text:
            return agent
        return evolve(agent, prompt=recorded.text, shared=metadata.shared)

    return restore
