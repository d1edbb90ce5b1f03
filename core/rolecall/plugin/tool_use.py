"""Which agents act: tools may be switched off, and not every provider can offer them."""

from collections.abc import Mapping

from attrs import evolve

from ..config.settings import Settings
from ..types.agents import Agent, TeamGraph
from ..types.messages import KnowsTools, Provider
from ..types.tools import Tool


def fit_tools(
    team: TeamGraph,
    providers: Mapping[str, Provider],
    settings: Settings,
    tools: Mapping[str, Tool],
) -> tuple[TeamGraph, list[str]]:
    """Take tools from agents that could not use them; return the team and what is to be said.

    An agent that acts keeps to the routes that take tools, and goes without where none does.
    """
    refusing = {name for name, provider in providers.items() if not _takes_tools(provider)}
    fitted: list[Agent] = []
    lines: list[str] = []
    if settings.tools and not tools and any(agent.tools for agent in team):
        lines.append("no plugin supplies a tool, so agents go without")
    for agent in team:
        routes = tuple(route for route in agent.routes if route.provider not in refusing)
        if not (agent.tools and tools and settings.tools):
            fitted.append(evolve(agent, tools=()))
        elif routes or not agent.routes:
            fitted.append(evolve(agent, routes=routes))
        else:
            fitted.append(evolve(agent, tools=()))
            names = ", ".join(sorted({route.provider for route in agent.routes}))
            lines.append(f"{agent.name} goes without tools: {names} takes none")
    return TeamGraph(fitted), lines


def _takes_tools(provider: Provider) -> bool:
    return provider.takes_tools if isinstance(provider, KnowsTools) else True
