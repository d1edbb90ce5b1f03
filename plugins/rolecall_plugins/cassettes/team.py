"""The team as a cassette holds it: whatever of it changes what is asked."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from rolecall import Agent, Host, Route, Settings, current_team

from .interactions import CassetteMetadata


def digest(agent: Agent) -> str:
    """Hash an agent's role, and whose deliverables it gets."""
    role = [agent.title, agent.shared, agent.prompt, list(agent.needs)]
    return hashlib.sha256(json.dumps(role).encode()).hexdigest()[:12]


def describe(metadata: CassetteMetadata, host: Host, settings: Settings) -> CassetteMetadata:
    """Add to the team of a recorded run its prompts, and the models that its routes mean."""
    models = {
        name: getattr(provider, "model", "")
        for name, (provider, _) in host.providers(settings).items()
    }
    agents = {name: agent for name, (agent, _) in host.agents().items()}
    team: dict[str, Mapping[str, Any]] = {}
    for name, recorded in metadata.team.items():
        routes = [Route.parse(route) for route in recorded.get("routes", ())]
        full = [Route(route.provider, route.model or models[route.provider]) for route in routes]
        team[name] = {"prompt": digest(agents[name]), "routes": [str(route) for route in full]}
        if recorded.get("assigned"):
            team[name] = {**team[name], "assigned": True}
    return evolve(metadata, team=team)


def now(host: Host, settings: Settings) -> dict[str, Mapping[str, Any]]:
    """Describe the team as it would run today."""
    return {
        agent.name: {"prompt": digest(agent), "routes": [str(route) for route in agent.routes]}
        for agent in current_team(host, settings)
    }
