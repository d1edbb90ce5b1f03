"""Compare cassettes with the team: what of an agent decides what it asks, then and now."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from rolecall import Agent, Host, Route, Settings, current_team

from .errors import CassetteError
from .files.reader import load
from .interactions import CassetteMetadata, RecordedAgent


def digest(agent: Agent) -> str:
    """Hash an agent's role, and whose deliverables it gets."""
    role = [agent.title, agent.shared, agent.prompt, list(agent.needs)]
    return hashlib.sha256(json.dumps(role).encode()).hexdigest()[:12]


def describe_team(metadata: CassetteMetadata, host: Host, settings: Settings) -> CassetteMetadata:
    """Add to the team of a recorded run its prompts, and the models that its routes mean."""
    models = {
        name: getattr(provider, "model", "")
        for name, (provider, _) in host.providers(settings).items()
    }
    agents = {name: agent for name, (agent, _) in host.agents().items()}

    def described(name: str, recorded: RecordedAgent) -> RecordedAgent:
        routes = [Route.parse(route) for route in recorded.routes]
        full = [Route(route.provider, route.model or models[route.provider]) for route in routes]
        return evolve(recorded, prompt=digest(agents[name]), routes=[str(route) for route in full])

    team = {name: described(name, recorded) for name, recorded in metadata.team.items()}
    return evolve(metadata, team=team)


@frozen
class StaleCassette:
    """A cassette that does not match the team as it was recorded; `recorded` is its date."""

    file: str
    recorded: str
    reasons: Sequence[str]


def find_stale(
    paths: Sequence[Path], host: Host, settings: Settings
) -> tuple[list[StaleCassette], int]:
    """List the cassettes that do not match, the oldest first, and count those of a recorded team.

    Only agents are compared of which the cassette holds what they were: what a test recorded by
    itself, or for a team of its own, says nothing about this one.
    """
    today = {
        agent.name: RecordedAgent(digest(agent), [str(route) for route in agent.routes])
        for agent in current_team(host, settings)
    }
    stale = []
    compared = 0
    for path in paths:
        try:
            metadata, _ = load(path)
        except CassetteError as error:  # one wrong file does not hide the others
            stale.append(StaleCassette(str(path), "", [str(error)]))
            continue
        recorded = {name: agent for name, agent in metadata.team.items() if agent.prompt}
        compared += bool(recorded)
        if reasons := list(_reasons(metadata, recorded, today)):
            stale.append(StaleCassette(str(path), metadata.recorded, reasons))
    return sorted(stale, key=lambda entry: (entry.recorded, entry.file)), compared


def _reasons(
    metadata: CassetteMetadata,
    recorded: Mapping[str, RecordedAgent],
    today: Mapping[str, RecordedAgent],
) -> Iterator[str]:
    for name, then in recorded.items():
        now = today.get(name)
        if now is None:
            yield f"{name}: it is no agent any more"
            continue
        if then.prompt != now.prompt and not then.text:
            yield f"{name}: its prompt or its needs have changed"
        if not then.assigned and list(then.routes) != list(now.routes):
            yield f"{name}: it runs on {', '.join(now.routes)} now"
    if recorded and not metadata.only and not metadata.skip:
        yield from (f"{name}: it is new in the team" for name in today if name not in recorded)
