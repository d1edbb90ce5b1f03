"""The team as it would run now, for the commands that show it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .app import App

if TYPE_CHECKING:
    from ..plugin.assignment import Assigned
    from ..types.agents import TeamGraph
    from ..types.messages import Provider


class AssignedTeam(NamedTuple):
    """All agents with who decided where they run, those at work as a team, and the providers."""

    agents: "Mapping[str, Assigned]"
    team: "TeamGraph"
    providers: "Mapping[str, tuple[Provider, str]]"


def assigned_team(app: App, overrides: Mapping[str, Sequence[str]]) -> AssignedTeam:
    """Assign every agent as a run would; overrides are the command line's."""
    from ..plugin.assignment import assemble, assign, switched_off

    app.host.check()
    providers = app.host.providers(app.settings)
    agents = assign(app.host, app.settings, providers, overrides)
    team, _ = assemble((assigned.agent for assigned in agents.values()), skip=switched_off(agents))
    return AssignedTeam(agents, team, providers)
