"""The team as a cassette knows it: what of it makes an answer another one."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from rolecall import Agent, Host, Route, Settings, current_team

from .takes import Head


def digest(agent: Agent) -> str:
    """Hash what an agent is told of its role, and whose deliverables it gets."""
    told = [agent.title, agent.shared, agent.prompt, list(agent.needs)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def describe(head: Head, host: Host, settings: Settings) -> Head:
    """Complete what a run told of its team by prompts, and by the models that routes mean."""
    models = {
        name: getattr(provider, "model", "")
        for name, (provider, _) in host.providers(settings).items()
    }
    agents = {name: agent for name, (agent, _) in host.agents().items()}
    team: dict[str, Mapping[str, Any]] = {}
    for name, told in head.team.items():
        routes = [Route.parse(route) for route in told.get("routes", ())]
        full = [Route(each.provider, each.model or models[each.provider]) for each in routes]
        team[name] = {"prompt": digest(agents[name]), "routes": [str(each) for each in full]}
        if told.get("assigned"):
            team[name] = {**team[name], "assigned": True}
    return evolve(head, team=team)


def now(host: Host, settings: Settings) -> dict[str, Mapping[str, Any]]:
    """Describe the team as it would run today."""
    return {
        agent.name: {"prompt": digest(agent), "routes": [str(route) for route in agent.routes]}
        for agent in current_team(host, settings)
    }
