"""Finds plugins and asks their hooks; the only file that talks to pluggy's manager."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from copy import copy
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import pluggy

from ..errors import PluginError, RolecallError, SettingsError, nearest
from . import spec as hookspecs
from .contracts import (
    OWN,
    broken_contract,
    check_agent,
    check_hooks,
    check_item,
    check_list,
    check_tool,
    check_version,
    describe,
    how_to_skip,
    in_one_line,
)
from .entry_points import GROUP, Point, installed

if TYPE_CHECKING:
    from ..config.settings import Settings
    from ..types.agents import Agent
    from ..types.events import Observer
    from ..types.limits import Limiter
    from ..types.messages import KnownModel, Provider
    from ..types.tools import Sandbox, Tool, ToolPlayer
    from .rehearsal import Rehearsal

T = TypeVar("T")


class Plugin(NamedTuple):
    """One plugin: its entry point, and why it is not at work if it is not.

    seconds: what its import took.
    """

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    blocked: bool = False
    failure: str = ""
    hooks: tuple[str, ...] = ()
    seconds: float = 0.0


class Adding(Protocol):
    """A command line that wants to know which plugin adds to it."""

    def adding(self, plugin: str) -> AbstractContextManager[None]: ...


class Host:
    """The plugins that are at work.

    A plugin that fails to load is remembered, not raised, so that the others can still be
    listed; `check` raises the first failure.
    """

    def __init__(self, points: Iterable[Point] | None = None, block: Collection[str] = ()) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        self._failures: list[PluginError] = []
        self._rehearsal: Rehearsal | None = None
        for point in sorted(installed() if points is None else points, key=_order):
            self._load(point, block)
        unknown = set(block) - {plugin.name for plugin in self.plugins}
        if unknown:
            name = min(unknown)
            hint = nearest(name, [plugin.name for plugin in self.plugins])
            self._failures.append(PluginError(f"no plugin is called {name!r}{hint}"))

    def check(self) -> None:
        """Raise the first plugin's failure, if any failed."""
        if self._failures:
            raise self._failures[0]

    def register(self, name: str, module: object) -> None:
        """Add a plugin by hand, as tests and scripts do; raise PluginError if it is unsound."""
        check_hooks(name, module)
        try:
            self._manager.register(module, name)
            self._manager.check_pending()
        except (ValueError, pluggy.PluginValidationError) as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            why = in_one_line(error)
            raise PluginError(
                f"the plugin {name!r} is unsound: {why}{how_to_skip(name)}"
            ) from error

    def _load(self, point: Point, block: Collection[str]) -> None:
        origin = point.distribution
        plugin = Plugin(point.name, point.value, origin.name, origin.version)
        twin = next((other for other in self.plugins if other.name == point.name), None)
        if point.name in block:
            self.plugins.append(plugin._replace(blocked=True))
            return
        try:
            if twin is not None:
                raise PluginError(
                    f"two plugins are called {point.name!r}: {_owner(twin)} and {_owner(plugin)}; "
                    f"uninstall one, or skip both with -p no:{point.name}"
                )
            check_version(point)
            began = perf_counter()
            module = _import(point)
            plugin = plugin._replace(seconds=perf_counter() - began)
            self.register(point.name, module)
        except PluginError as error:
            self._failures.append(error)
            self.plugins.append(plugin._replace(failure=str(error)))
        else:
            self.plugins.append(plugin._replace(hooks=self._hooks(point.name)))

    def _hooks(self, name: str) -> tuple[str, ...]:
        callers = self._manager.get_hookcallers(self._manager.get_plugin(name)) or []
        return tuple(sorted(caller.name for caller in callers))

    def providers(self, settings: "Settings") -> "dict[str, tuple[Provider, str]]":
        """Collect the providers: name to the provider and the plugin that supplied it."""
        from ..types.agents import NAME

        providers: dict[str, tuple[Provider, str]] = {}
        if self._rehearsal is not None:
            from attrs import evolve

            settings = evolve(settings, hides_secrets=True)
        for plugin, item in self._collect("rolecall_providers", settings=settings):
            check_item(plugin, item, "a provider", "complete", is_async=True)
            if not NAME.fullmatch(item.name):
                raise broken_contract(plugin, f"{item.name!r} is no name that a route could have")
            _enlist(providers, "providers", item.name, item, plugin)
        for name in settings.providers:
            if name not in providers:
                raise SettingsError(
                    f"{settings.source}: tool.rolecall.providers.{name}: "
                    f"no such provider{nearest(name, providers)}; to make one of a vendor, "
                    "say litellm or wire in it"
                )
        if self._rehearsal is not None:
            stand_in = self._rehearsal.provider
            return {name: (stand_in(item), plugin) for name, (item, plugin) in providers.items()}
        return providers

    def known_models(self) -> "list[KnownModel]":
        """Collect the models that settings can make providers of, in the order of the plugins."""
        from ..types.messages import KnownModel

        models = []
        for plugin, item in self._collect("rolecall_known_models"):
            if not isinstance(item, KnownModel):
                raise broken_contract(
                    plugin, f"rolecall_known_models gave {item!r}, not a KnownModel"
                )
            models.append(item)
        return models

    def limiters(self, settings: "Settings") -> "dict[str, tuple[Limiter, str]]":
        """Collect the limiters: name to the limiter and the plugin that supplied it."""
        if self._rehearsal is not None and self._rehearsal.limiters is not None:
            return {own.name: (own, "a rehearsal") for own in self._rehearsal.limiters}
        limiters: dict[str, tuple[Limiter, str]] = {}
        for plugin, item in self._collect("rolecall_limiters", settings=settings):
            check_item(plugin, item, "a limiter", "acquire", is_async=True)
            check_item(plugin, item, "a limiter", "ended")
            _enlist(limiters, "limiters", item.name, item, plugin)
        return limiters

    def tools(self, settings: "Settings") -> "dict[str, tuple[Tool, str]]":
        """Collect the tools: name to the tool and the plugin that supplied it."""
        if self.tool_player is not None:
            return {tool.name: (tool, "a rehearsal") for tool in self.tool_player.tools}
        tools: dict[str, tuple[Tool, str]] = {}
        for plugin, item in self._collect("rolecall_tools", settings=settings):
            tool = check_tool(plugin, item)
            _enlist(tools, "tools", tool.name, tool, plugin)
        return tools

    def sandboxes(self, settings: "Settings") -> "dict[str, tuple[Sandbox, str]]":
        """Collect the sandboxes: name to the sandbox and the plugin that supplied it."""
        sandboxes: dict[str, tuple[Sandbox, str]] = {}
        for plugin, item in self._collect("rolecall_sandboxes", settings=settings):
            check_item(plugin, item, "a sandbox", "run", is_async=True)
            check_item(plugin, item, "a sandbox", "missing")
            _enlist(sandboxes, "sandboxes", item.name, item, plugin)
        return sandboxes

    def observers(self, settings: "Settings") -> "list[Observer]":
        """Collect the observers, in the order of the plugins."""
        observers = []
        for plugin, item in self._collect("rolecall_observers", settings=settings):
            check_item(plugin, item, "an observer", "notify", named=False)
            observers.append(item)
        return observers

    @property
    def tool_player(self) -> "ToolPlayer | None":
        """Return what answers in place of tools in a replay."""
        return None if self._rehearsal is None else self._rehearsal.tools

    def rehearsing(self, rehearsal: "Rehearsal") -> "Host":
        """Return these plugins as a run finds them whose calls are simulated or replayed."""
        host = copy(self)
        host._rehearsal = rehearsal
        return host

    def commands(self, cli: "Adding") -> None:
        """Ask the plugins to add to the command line; remember those that fail."""
        for plugin in self._in_order("rolecall_commands"):
            try:
                with cli.adding(plugin):
                    self._ask(plugin, "rolecall_commands", cli=cli)
            except PluginError as error:
                self._failures.append(error)

    def agents(self) -> "dict[str, tuple[Agent, str]]":
        """Collect the agents: name to the agent and the plugin that supplied or changed it."""
        agents: dict[str, tuple[Agent, str]] = {}
        for plugin, item in self._collect("rolecall_agents"):
            _enlist(
                agents, "agents", check_agent(plugin, "rolecall_agents", item).name, item, plugin
            )
        for plugin in self._in_order("rolecall_team"):
            agents = self._changed(plugin, agents)
        if self._rehearsal is not None:
            as_it_was = self._rehearsal.agent
            agents = {name: (as_it_was(agent), plugin) for name, (agent, plugin) in agents.items()}
        return agents

    def _changed(
        self, plugin: str, before: "Mapping[str, tuple[Agent, str]]"
    ) -> "dict[str, tuple[Agent, str]]":
        """Ask a plugin to change the team; what it leaves alone stays its former owner's."""
        agents = tuple(agent for agent, _ in before.values())
        answer = self._ask(plugin, "rolecall_team", agents=agents)
        changed: dict[str, tuple[Agent, str]] = {}
        for item in agents if answer is None else check_list(plugin, "rolecall_team", answer):
            name = check_agent(plugin, "rolecall_team", item).name
            if name in changed:
                raise broken_contract(plugin, f"rolecall_team gave two agents called {name!r}")
            is_same = name in before and before[name][0] == item
            changed[name] = (item, before[name][1] if is_same else plugin)
        return changed

    def assignment(self, agent: "Agent") -> tuple[str, object] | None:
        """Ask the plugins where an agent runs: the first that answers, and its answer."""
        for plugin in self._askable("rolecall_assign"):
            answer = self._ask(plugin, "rolecall_assign", agent=agent)
            if answer is not None:
                return plugin, answer
        return None

    def _collect(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Ask every plugin, in the order they were loaded, and yield what each supplied."""
        for plugin in self._in_order(hook):
            answer = self._ask(plugin, hook, **arguments)
            for item in () if answer is None else check_list(plugin, hook, answer):
                yield plugin, item

    def _in_order(self, hook: str) -> list[str]:
        """List the plugins that implement a hook, in the order they were loaded."""
        askable = set(self._askable(hook))
        return [name for name, _ in self._manager.list_name_plugin() if name in askable]

    def _askable(self, hook: str) -> list[str]:
        """List the plugins that implement a hook, in pluggy's order: the last loaded first."""
        caller = getattr(self._manager.hook, hook)
        return [implementation.plugin_name for implementation in reversed(caller.get_hookimpls())]

    def _ask(self, plugin: str, hook: str, **arguments: Any) -> Any:
        # Each plugin is asked by itself, not all by one call as pluggy would, so that an exception
        # or a wrong answer can be laid at the door of the one that it came from.
        others = [other for name, other in self._manager.list_name_plugin() if name != plugin]
        caller = self._manager.subset_hook_caller(hook, others)
        firstresult = caller.spec is not None and caller.spec.opts.get("firstresult")
        try:
            answer = caller(**arguments)
            answer = answer if firstresult else (answer[0] if answer else None)
            return list(answer) if isinstance(answer, Iterator) else answer
        except RolecallError:
            raise
        except (Exception, SystemExit) as error:
            raise broken_contract(plugin, f"{hook} raised {describe(error)}") from error


def supplied(items: "Mapping[str, tuple[T, str]]") -> "dict[str, T]":
    """Return what the plugins supplied, by name, whoever supplied it."""
    return {name: item for name, (item, _) in items.items()}


def _order(point: Point) -> tuple[bool, str, str]:
    return point.distribution.name != OWN, point.distribution.name, point.name


def _import(point: Point) -> object:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"the plugin {point.name!r} ({point.value}) does not load: "
            f"{describe(error)}{how_to_skip(point.name)}"
        ) from error


def _owner(plugin: Plugin) -> str:
    return f"{plugin.distribution or 'an unnamed distribution'} ({plugin.module})"


def _enlist(
    items: dict[str, tuple[Any, str]], what: str, name: str, item: object, plugin: str
) -> None:
    if name in items:
        owners = f"of the plugins {items[name][1]!r} and {plugin!r}"
        raise PluginError(f"two {what} are called {name!r}, {owners}{how_to_skip(plugin)}")
    items[name] = (item, plugin)
