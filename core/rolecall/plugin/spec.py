"""The hooks. A plugin is a module with functions of these names, marked `@hookimpl`.

It is found through an entry point of the group `rolecall`. Hooks are plain functions that
return values; an `async def` is refused. A hook may leave out arguments it does not use.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ..config.settings import Settings
    from ..types.agents import Agent, Route
    from ..types.events import Observer
    from ..types.limits import Limiter
    from ..types.messages import KnownModel, Provider
    from ..types.tools import Sandbox, Tool

hookspec = pluggy.HookspecMarker("rolecall")
hookimpl = pluggy.HookimplMarker("rolecall")


@hookspec
def rolecall_providers(settings: "Settings") -> "Iterable[Provider]":  # type: ignore[empty-body]
    """Supply providers.

    settings: what applies to this run; `settings.provider(NAME)` is a provider's own table,
    `settings.variable(NAME)` an environment variable. Every plugin is asked; two providers of
    one name are an error that names both plugins.
    """


@hookspec
def rolecall_known_models() -> "Iterable[KnownModel]":  # type: ignore[empty-body]
    """List vendors' models that settings can make providers of, for `rolecall providers --known`.

    Every plugin is asked, and only by that command; it may take its time.
    """


@hookspec
def rolecall_agents() -> "Iterable[Agent]":  # type: ignore[empty-body]
    """Supply agents; they join the team in the order given.

    Every plugin is asked; two agents of one name are an error that names both plugins.
    """


@hookspec
def rolecall_team(agents: "Sequence[Agent]") -> "Iterable[Agent] | None":
    """Change the team: replace, remove or add agents; None leaves it as it is.

    agents: all that `rolecall_agents` supplied, as the plugins asked before have changed them.
    Plugins are asked in the order in which they are loaded, ours first. Two agents of one name in
    the answer are an error that names the plugin.
    """


@hookspec(firstresult=True)
def rolecall_assign(agent: "Agent") -> "str | Route | Sequence[str | Route] | None":
    """Decide where an agent runs: a route, routes in order of preference, or None for no opinion.

    Stops at the first answer; the plugin installed last is asked first. The user's settings and
    command line win over every answer.
    """


@hookspec
def rolecall_limiters(settings: "Settings") -> "Iterable[Limiter]":  # type: ignore[empty-body]
    """Supply limiters; every call asks all of them, in the order of the plugins."""


@hookspec
def rolecall_observers(settings: "Settings") -> "Iterable[Observer]":  # type: ignore[empty-body]
    """Supply observers; each hears every event of a run. One that raises is dropped."""


@hookspec
def rolecall_tools(settings: "Settings") -> "Iterable[Tool]":  # type: ignore[empty-body]
    """Supply tools; an agent may use those that its `tools` or the settings name.

    A tool is offered to models under its name. Every plugin is asked; two tools of one name are an
    error that names both plugins.
    """


@hookspec
def rolecall_sandboxes(settings: "Settings") -> "Iterable[Sandbox]":  # type: ignore[empty-body]
    """Supply sandboxes, in which commands run; the setting `sandbox` chooses one by its name.

    Without that setting, the first one works that misses nothing on this machine. Two sandboxes of
    one name are an error that names both plugins.
    """


@hookspec
def rolecall_commands(cli: object) -> None:
    """Add commands, and options for those that put a team to work.

    cli: a `CommandLine`, which is the `click.Group` of `rolecall`; to name the type would close a
    circle of imports. What is there already is not replaced: a second command or option of a name
    is an error that names both.
    """
