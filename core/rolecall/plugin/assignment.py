"""Who runs where: the agents of a run, their routes, and who decided them."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from attrs import evolve, frozen

from ..config.layers import path
from ..config.settings import AGENT_VARIABLE, AgentSettings, Settings
from ..errors import SettingsError, TeamError, UsageError, nearest
from ..json_schema import schema_fault
from ..types.agents import Agent, Route, TeamGraph
from ..types.messages import Provider, lacking, resolve
from .manager import Host, supplied


@frozen
class Assigned:
    """An agent with the routes it really has, who supplied it and who decided its routes.

    off: the user's settings leave it out.
    """

    agent: Agent
    plugin: str
    decided_by: str
    off: bool = False


def assign(
    host: Host,
    settings: Settings,
    providers: Collection[str],
    overrides: Mapping[str, Sequence[str]] | None = None,
    option: str = "--assign",
) -> dict[str, Assigned]:
    """Collect the agents and decide where each runs.

    overrides (the command line, where `option` is written) win over the environment, that over the
    settings, the settings over plugins, plugins over the agent's own default; a name wins over
    patterns, and of these the longest. Unknown agents and providers are errors that name the
    nearest.
    """
    table = f"{settings.source}: tool.rolecall.agents"
    agents = _members(host, settings, table)
    blocked = {plugin.name for plugin in host.plugins if plugin.blocked} - set(providers)
    _check(overrides or {}, agents, option, UsageError)
    set_routes = {name: own.routes for name, own in settings.agents.items() if own.routes}
    variables = _variables(settings, agents)
    assigned = {}
    answer: object
    for name, (agent, plugin) in agents.items():
        is_chosen = True
        if (key := _matching(name, overrides or {})) is not None:
            source, answer = _named(option, key, name), (overrides or {})[key]
        elif name in variables:
            source, answer = variables[name]
        elif (key := _matching(name, set_routes)) is not None:
            source, answer = _place(settings, table, key), set_routes[key]
        else:
            is_chosen = False
            decided = host.assignment(agent)
            source, answer = f"plugin {plugin} (default)", agent.routes
            if decided is not None:
                source, answer = f"plugin {decided[0]}", decided[1]
        routes = read_routes(answer, source)
        if not is_chosen:
            # The user took a provider away, and did not ask for it here.
            routes = tuple(route for route in routes if route.provider not in blocked) or routes
        check_routes(name, routes, providers, f" (decided by {source})", option)
        off = (key := _matching(name, settings.agents)) is not None and settings.agents[key].off
        source = _place(settings, table, key) if off and key is not None else source
        tools = agent.tools if settings.tools else ()
        assigned[name] = Assigned(evolve(agent, routes=routes, tools=tools), plugin, source, off)
    return assigned


def _place(settings: Settings, table: str, key: str) -> str:
    """Describe where the settings of an agent came from: a key of a file, or an option."""
    known = settings.sources.get(path("agents", key))
    return f"{table}.{key}" if known is None else str(known)


def check_routes(
    name: str,
    routes: Iterable[Route],
    providers: Collection[str],
    decided: str = "",
    option: str = "--assign",
) -> None:
    """Raise UsageError where an agent's route leads to no provider."""
    for route in routes:
        if route.provider not in providers:
            raise UsageError(
                f"{name} runs on {str(route)!r}{decided}, and there is no "
                f"provider {route.provider!r}{nearest(route.provider, providers)}; "
                f"run it elsewhere: {option} {name}=ROUTE"
            )


def switched_off(assigned: Mapping[str, Assigned], only: Collection[str] = ()) -> list[str]:
    """List the agents that the settings leave out, unless they are asked for by name."""
    return [name for name, agent in assigned.items() if agent.off and name not in only]


def _members(host: Host, settings: Settings, table: str) -> dict[str, tuple[Agent, str]]:
    """Collect the agents of the plugins, altered and added to as the settings say."""
    members = host.agents()
    added = {name for name, own in settings.agents.items() if own.prompt and not _is_pattern(name)}
    _check(
        [name for name in settings.agents if name not in added],
        members,
        table,
        SettingsError,
        "; to add an agent, give it a prompt",
    )
    for name, own in settings.agents.items():
        if _is_pattern(name) and own != AgentSettings(routes=own.routes, off=own.off):
            raise SettingsError(f"{table}.{name}: a pattern sets routes, or switches agents off")
        if name in members:
            agent, plugin = members[name]
            members[name] = _altered(agent, own), plugin
        elif name in added:
            title = own.title or name.replace("-", " ").replace("_", " ").title()
            try:
                agent = Agent(name, title, own.goal or title, own.prompt, ())
            except ValueError as error:
                raise SettingsError(f"{table}.{name}: {error}") from error
            members[name] = _altered(agent, own), settings.source
    return members


def _altered(agent: Agent, own: AgentSettings) -> Agent:
    return evolve(
        agent,
        title=own.title or agent.title,
        goal=own.goal or agent.goal,
        prompt=own.prompt or agent.prompt,
        needs=agent.needs if own.needs is None else own.needs,
        tools=agent.tools if own.tools is None else own.tools,
        schema=_schema(agent.name, own.schema) if own.schema else agent.schema,
        schema_is_part=agent.schema_is_part if own.schema_is_part is None else own.schema_is_part,
        balance=agent.balance if own.balance is None else own.balance,
        tier=agent.tier if own.tier is None else own.tier,
        plan=agent.plan if own.plan is None else own.plan,
    )


def _schema(agent: str, text: str) -> Mapping[str, Any]:
    """Parse the schema that the settings give an agent; raise SettingsError where it is none."""
    try:
        schema = json.loads(text)
        fault = schema_fault(schema, is_of_tool=False)
    except (ValueError, RecursionError) as error:
        fault = f"it is no JSON: {error}"
    if fault:
        raise SettingsError(f"tool.rolecall.agents.{agent}.schema: {fault}")
    parsed: Mapping[str, Any] = schema
    return parsed


def _variables(
    settings: Settings, agents: Collection[str]
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Read the routes that the environment sets: agent to the variable and its routes."""
    names = {AGENT_VARIABLE + re.sub(r"\W", "_", name).upper(): name for name in agents}
    routes = {}
    for variable, value in settings.environment.items():
        if variable.startswith(AGENT_VARIABLE) and value.strip():
            if variable not in names:
                words = [name.removeprefix(AGENT_VARIABLE) for name in names]
                hint = nearest(variable.removeprefix(AGENT_VARIABLE), words)
                raise SettingsError(f"{variable}: there is no such agent{hint}")
            routes[names[variable]] = (variable, tuple(map(str.strip, value.split(","))))
    return routes


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _matching(name: str, keys: Collection[str]) -> str | None:
    """Return the key that means an agent: its name, else the longest pattern."""
    if name in keys:
        return name
    patterns = [key for key in keys if _is_pattern(key) and fnmatchcase(name, key)]
    return max(patterns, key=len, default=None)


def _named(source: str, key: str, name: str) -> str:
    return source if key == name else f"{source} {key}"


def assemble(
    agents: Iterable[Agent],
    only: Collection[str] = (),
    skip: Collection[str] = (),
    prefix: str = "--",
) -> tuple[TeamGraph, dict[str, tuple[str, ...]]]:
    """Build the team of a run, and map its agents to those of their needs that are left out.

    only, skip: names or patterns. prefix: as in `RunOptions`.
    """
    whole = TeamGraph(agents)
    chosen = meant(only, whole, f"{prefix}only") if only else whole.agents
    skipped = meant(skip, whole, f"{prefix}skip")
    kept = {name: None for name in whole.agents if name in chosen and name not in skipped}
    left_out = {
        name: tuple(need for need in whole.needs(name) if need not in kept) for name in kept
    }
    return whole.keep(kept), {name: needs for name, needs in left_out.items() if needs}


def meant(names: Collection[str], team: TeamGraph, where: str) -> tuple[str, ...]:
    """List the agents that names and patterns mean, in the team's order.

    Raises TeamError, which says where it was written, for one that means nobody.
    """
    _check(names, team.agents, where, TeamError)
    return tuple(name for name in team.agents if _matching(name, names) is not None)


def current_team(host: Host, settings: Settings) -> TeamGraph:
    """Return the team as it would run now, each agent with its routes and their models."""
    providers = supplied(host.providers(settings))
    assigned = assign(host, settings, providers)
    team, _ = assemble((member.agent for member in assigned.values()), skip=switched_off(assigned))
    return TeamGraph(
        evolve(
            agent,
            routes=tuple(resolve(route, providers[route.provider]) for route in agent.routes),
        )
        for agent in team
    )


def unusable(team: TeamGraph, providers: Mapping[str, Provider]) -> dict[str, str]:
    """Map the providers of the team's routes that cannot be called to what they miss."""
    used = {route.provider: providers[route.provider] for agent in team for route in agent.routes}
    return {name: why for name, provider in used.items() if (why := lacking(provider))}


def forecast(team: TeamGraph, missing: Mapping[str, str]) -> list[str]:
    """List, before the first call, which agents will fall back and which have no route."""
    usable = {
        agent.name: [route for route in agent.routes if route.provider not in missing]
        for agent in team
    }
    lines = [f"{provider}: {why}" for provider, why in missing.items()]
    moved: dict[str, list[str]] = {}
    for agent in team:
        routes = usable[agent.name]
        if routes and routes[0] != agent.routes[0]:
            moved.setdefault(f"fall back to {routes[0]}", []).append(agent.name)
        elif not routes:
            moved.setdefault("have no route and will not run", []).append(agent.name)
    stranded = {name for name, routes in usable.items() if not routes}
    waiting = {name for other in stranded for name in team.downstream(other)} - stranded
    if waiting:
        in_order = [name for name in team.agents if name in waiting]
        moved["need what will not be there and will not run either"] = in_order
    lines += [
        f"{len(names)} of {len(team)} agents {what}: {', '.join(names)}"
        for what, names in moved.items()
    ]
    if missing and not any(usable.values()):
        raise UsageError(
            f"no agent has a route: {'; '.join(lines[: len(missing)])}. "
            "Set a key in .env (see .env.example), or add --offline to run on the simulator"
        )
    return lines


def read_routes(value: object, source: str) -> tuple[Route, ...]:
    """Read a route or several; raise UsageError naming the source where it is none."""
    items: Iterable[object] = [value] if not isinstance(value, Iterable) else value
    if isinstance(value, str):
        items = [value]
    try:
        routes = tuple(r if isinstance(r, Route) else Route.parse(_text(r)) for r in items)
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from error
    if not routes:
        raise UsageError(f"{source}: it names no route; write PROVIDER or PROVIDER/MODEL")
    return routes


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a route; write PROVIDER or PROVIDER/MODEL")
    return value


def _check(
    names: Iterable[str],
    agents: Collection[str],
    where: str,
    error: type[UsageError],
    more: str = "",
) -> None:
    for name in names:
        if not any(_matching(agent, [name]) for agent in agents):
            what = "no agent matches" if _is_pattern(name) else "no agent is called"
            raise error(f"{where}: {what} {name!r}{nearest(name, agents)}{more}")
