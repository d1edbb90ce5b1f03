"""Compare cassettes with the team: what of an agent decides what it asks, then and now."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from rolecall import Agent, Host, Route, Settings, current_team

from .files.reader import load
from .interactions import CassetteMetadata, Interaction, RecordedAgent

KNOWN = ("anthropic", "gemini")


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


def find_stale(paths: Sequence[Path], host: Host, settings: Settings) -> list[dict[str, Any]]:
    """List file, date and reasons of each cassette that does not match, the oldest first."""
    today = {
        agent.name: RecordedAgent(digest(agent), [str(route) for route in agent.routes])
        for agent in current_team(host, settings)
    }
    models = {Route.parse(route).model for agent in today.values() for route in agent.routes}
    for provider, _ in host.providers(settings).values():
        models.add(getattr(provider, "model", ""))
    stale = []
    for path in paths:
        metadata, interactions = load(path)
        reasons = [*_changed(metadata, today), *_gone(interactions, today, models)]
        if reasons:
            stale.append({"file": str(path), "recorded": metadata.recorded, "reasons": reasons})
    return sorted(stale, key=lambda entry: (entry["recorded"], entry["file"]))


def _changed(metadata: CassetteMetadata, today: Mapping[str, RecordedAgent]) -> Iterator[str]:
    for name, then in metadata.team.items():
        now = today.get(name)
        if now is None:
            continue
        if then.prompt and then.prompt != now.prompt:
            yield f"{name}: its prompt or its needs have changed"
        if not then.assigned and list(then.routes) != list(now.routes):
            yield f"{name}: it runs on {', '.join(now.routes)} now"
    if metadata.team and not metadata.only and not metadata.skip:
        yield from (f"{name}: it is new in the team" for name in today if name not in metadata.team)


def _gone(
    interactions: Sequence[Interaction], today: Mapping[str, RecordedAgent], models: set[str]
) -> Iterator[str]:
    agents = dict.fromkeys(interaction.agent for interaction in interactions if interaction.agent)
    yield from (f"{name}: it is no agent any more" for name in agents if name not in today)
    models_used = {
        interaction.canonical.model
        for interaction in interactions
        if not interaction.agent and interaction.canonical.wire in KNOWN
    }
    yield from (f"{model}: no route means it any more" for model in sorted(models_used - models))
