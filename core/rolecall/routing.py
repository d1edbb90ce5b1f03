"""Who runs where: the agents of a run, their routes, and who decided them."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import evolve, frozen

from .agents import Agent, Route, Team
from .config import Settings
from .errors import SettingsError, TeamError, UsageError, nearest
from .host import Host
from .messages import Provider, default_model, lacking


@frozen
class Assigned:
    """An agent with the routes it really has, who supplied it and who decided its routes."""

    agent: Agent
    plugin: str
    decided_by: str


def assign(
    host: Host,
    settings: Settings,
    providers: Collection[str],
    overrides: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Assigned]:
    """Collect the agents and decide where each runs.

    overrides (the command line) win over the settings, the settings over plugins, plugins over
    the agent's own default. Unknown agents and providers are errors that name the nearest.
    """
    found = host.agents()
    blocked = {plugin.name for plugin in host.plugins if plugin.blocked} - set(providers)
    chosen = overrides or {}
    table = f"{settings.source}: tool.rolecall.agents"
    _check(chosen, found, "--assign", UsageError)
    _check(settings.agents, found, table, SettingsError)
    assigned = {}
    answer: object
    for name, (agent, plugin) in found.items():
        if name in chosen:
            source, answer = "--assign", chosen[name]
        elif name in settings.agents:
            source, answer = f"{table}.{name}", settings.agents[name]
        elif (decided := host.assignment(agent)) is not None:
            source, answer = f"plugin {decided[0]}", decided[1]
        else:
            source, answer = f"plugin {plugin} (default)", agent.routes
        routes = read_routes(answer, source)
        if name not in chosen and name not in settings.agents:
            # The user took a provider away, and did not ask for it here.
            routes = tuple(each for each in routes if each.provider not in blocked) or routes
        for route in routes:
            if route.provider not in providers:
                raise UsageError(
                    f"{name} runs on {str(route)!r} (decided by {source}), and there is no "
                    f"provider {route.provider!r}{nearest(route.provider, providers)}; "
                    f"run it elsewhere: --assign {name}=ROUTE"
                )
        assigned[name] = Assigned(evolve(agent, routes=routes), plugin, source)
    return assigned


def assemble(
    agents: Iterable[Agent], only: Collection[str] = (), skip: Collection[str] = ()
) -> tuple[Team, dict[str, tuple[str, ...]]]:
    """Build the team of a run, and tell which needs of whom are left out of it."""
    whole = Team(agents)
    _check(only, whole.agents, "--only", TeamError)
    _check(skip, whole.agents, "--skip", TeamError)
    kept = [name for name in whole.agents if (not only or name in only) and name not in skip]
    left_out = {
        name: tuple(need for need in whole.needs(name) if need not in kept) for name in kept
    }
    return whole.keep(kept), {name: needs for name, needs in left_out.items() if needs}


def current_team(host: Host, settings: Settings) -> Team:
    """Give the team as it would run now, each agent with its routes and their models."""
    providers = {name: provider for name, (provider, _) in host.providers(settings).items()}
    return Team(
        evolve(
            each.agent,
            routes=tuple(
                Route(route.provider, model_of(route, providers[route.provider]))
                for route in each.agent.routes
            ),
        )
        for each in assign(host, settings, providers).values()
    )


def unusable(team: Team, providers: Mapping[str, Provider]) -> dict[str, str]:
    """Map the providers of the team's routes that cannot be called to what they miss."""
    used = {route.provider: providers[route.provider] for agent in team for route in agent.routes}
    return {name: missing for name, each in used.items() if (missing := lacking(each))}


def forecast(team: Team, missing: Mapping[str, str]) -> list[str]:
    """Say, before the first call, which agents will fall back and which have no route."""
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
    waiting = {name for each in stranded for name in team.downstream(each)} - stranded
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


def model_of(route: Route, provider: Provider) -> str:
    """Name the model that a route means."""
    return route.model or default_model(provider)


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
    names: Iterable[str], known: Collection[str], where: str, error: type[UsageError]
) -> None:
    for name in names:
        if name not in known:
            raise error(f"{where}: no agent is called {name!r}{nearest(name, known)}")
