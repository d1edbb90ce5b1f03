"""Diagnoses all that is configured: what is missing, where it came from, what falls back."""

import asyncio
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from attrs import asdict, evolve, fields, has

from ..config.layers import Source, path
from ..config.providers import DeploymentSettings, ProviderSettings
from ..config.secrets import is_telling
from ..config.settings import UNSET, AgentSettings, Settings
from ..errors import RolecallError
from ..execution.attempt import Attempts, Step
from ..execution.context import CallContext, close
from ..execution.deployments import ways
from ..execution.redaction import MASK
from ..plugin.assignment import current_team
from ..plugin.run_setup import RunSetup
from ..scheduling.session import SharedResources
from ..types.agents import Agent, Route, TeamGraph
from ..types.events import CallEnded, Event
from ..types.messages import Message, Request, diagnosed, lacking
from .render import counted

PACKAGES = ("rolecall", "litellm", "pluggy", "vcrpy")
NAMED = ("providers", "agents", "limiters")  # hooks whose results have names of their own
LIMITS = tuple(field.name for field in fields(ProviderSettings) if "_per_" in field.name)
HELLO = "Answer with the one word OK."
T = TypeVar("T", ProviderSettings, DeploymentSettings)


def diagnose(setup: RunSetup) -> dict[str, Any]:
    """Find out all that can be known without a call; what cannot be found out is a problem."""
    problems = [plugin.failure for plugin in setup.host.plugins if plugin.failure]
    diagnosis: dict[str, Any] = {
        "environment": _environment(setup.settings),
        "providers": [],
        "plugins": [
            {
                "plugin": plugin.name,
                "from": f"{plugin.distribution} {plugin.version}".strip(),
                "supplies": [hook.removeprefix("rolecall_") for hook in plugin.hooks],
                "state": "blocked" if plugin.blocked else "failed" if plugin.failure else "loaded",
            }
            for plugin in setup.host.plugins
        ],
        "settings": list(_settings(setup.settings)),
        "fallbacks": [],
        "problems": problems,
    }
    try:
        _diagnose_team(setup, diagnosis)
    except RolecallError as error:
        if str(error) not in problems:
            problems.append(str(error))
    problems += _diagnose_folders(setup.settings)
    return diagnosis


def _diagnose_team(setup: RunSetup, diagnosis: dict[str, Any]) -> None:
    host, settings = setup.host, setup.settings
    providers = host.providers(settings)
    supplied: dict[str, list[str]] = {}
    for name, (provider, plugin) in providers.items():
        own = settings.provider(name)
        supplied.setdefault(plugin, []).append(f"provider {name}")
        diagnosis["providers"].append(
            {
                "provider": name,
                "model": getattr(provider, "model", ""),
                "plugin": plugin,
                "state": lacking(provider) or "ready",
                "limits": {limit: getattr(own, limit) for limit in LIMITS if getattr(own, limit)},
                "concurrency": own.concurrency,
            }
        )
    for name, (_, plugin) in host.limiters(settings).items():
        supplied.setdefault(plugin, []).append(f"limiter {name}")
    for _, plugin in host.agents().values():
        supplied.setdefault(plugin, []).append("agent")
    for row in diagnosis["plugins"]:
        others = [hook for hook in row["supplies"] if hook not in NAMED]
        row["supplies"] = [*_counted(supplied.get(row["plugin"], ())), *others]
    team = current_team(host, settings)
    routes = [route for agent in team for route in agent.routes]
    for name, (provider, _) in providers.items():
        used = dict.fromkeys(route.model for route in routes if route.provider == name)
        if used:
            diagnosis["problems"] += [f"{name}: {line}" for line in diagnosed(provider, used)]
    diagnosis["fallbacks"] += _fallbacks(team)


def _counted(supplied: Sequence[str]) -> list[str]:
    agents = supplied.count("agent")
    others = [one for one in supplied if one != "agent"]
    return [*others, counted(agents, "agent")] if agents else others


def _fallbacks(team: TeamGraph) -> Iterator[str]:
    chains: dict[tuple[str, ...], list[str]] = {}
    for agent in team:
        chains.setdefault(tuple(map(str, agent.routes)), []).append(agent.name)
    for chain, names in chains.items():
        falls = ", falling back to ".join(chain) if len(chain) > 1 else f"{chain[0]} alone"
        yield f"{len(names)} of {len(team)} agents run on {falls}: {', '.join(names)}"


def _environment(settings: Settings) -> dict[str, str]:
    versions = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions | {"settings": settings.source, "shared state": settings.state or "none"}


def _settings(settings: Settings) -> Iterator[dict[str, Any]]:
    """List every setting, and every entry of a table, with where its value came from."""
    for setting in fields(Settings):
        value = getattr(settings, setting.name)
        if setting.name in UNSET and not (setting.name == "rehearsal" and value):
            continue
        if isinstance(value, Mapping):
            for key, entry in value.items():
                source = settings.source_of(setting.name, key)
                yield _row(path(setting.name, key), _plain(entry), source)
        else:
            yield _row(setting.name, _plain(value), settings.source_of(setting.name))


def _row(name: str, value: Any, source: Source) -> dict[str, Any]:
    return {"setting": name, "value": value, "source": str(source)}


def _plain(value: Any) -> Any:
    """Return a setting as JSON has it; of a table, what is set."""
    if isinstance(value, AgentSettings) and value.prompt:
        value = evolve(value, prompt=f"{len(value.prompt)} characters")
    if isinstance(value, ProviderSettings):
        value = _without_secrets(value)
    if has(type(value)):
        defaults = {attribute.name: attribute.default for attribute in fields(type(value))}
        return {
            name: _plain(part)
            for name, part in asdict(value, recurse=False).items()
            if part and part != defaults[name]
        }
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _without_secrets(provider: ProviderSettings) -> ProviderSettings:
    """Mask what an address holds before its host, and options whose names tell of a secret."""
    deployments = {name: _masked(table) for name, table in provider.deployments.items()}
    return evolve(_masked(provider), deployments=deployments)


def _masked(table: T) -> T:
    _, mark, host = table.api_base.rpartition("@")
    options = {name: MASK if is_telling(name) else value for name, value in table.options.items()}
    return evolve(table, api_base=f"{MASK}@{host}" if mark else host, options=options)


def _diagnose_folders(settings: Settings) -> Iterator[str]:
    for what, folder in (("runs", settings.runs), ("state", settings.state)):
        wanted = Path(folder).absolute()
        there = next(folder_ for folder_ in (wanted, *wanted.parents) if folder_.exists())
        if folder and not (there.is_dir() and os.access(there, os.W_OK)):
            yield (
                f"{wanted} cannot be written; make {there} writable, or name another folder "
                f"under tool.rolecall.{what}"
            )


def call_providers(setup: RunSetup, diagnosis: dict[str, Any]) -> int:
    """Make one small call with each key that can be used; count the providers."""
    ready = [row for row in diagnosis["providers"] if row["state"] == "ready"]
    settings = setup.settings
    shared = SharedResources.collect(setup.host, settings)
    ends: list[CallEnded] = []

    def hear(event: Event) -> None:
        if isinstance(event, CallEnded):
            ends.append(event)

    context = CallContext(
        providers=shared.providers,
        limiters=shared.limiters,
        settings=settings,
        clock=setup.clock,
        emit=hear,
    )
    attempts = Attempts(context)

    async def ask(row: dict[str, Any]) -> None:
        route = Route(row["provider"])
        agent = Agent("doctor", "Doctor", "see whether it answers", HELLO, (route,))
        request = Request("", (Message("user", HELLO),), max_output_tokens=256)
        results = [
            (each, await attempts.make(Step(agent), each, request))
            for each in ways(context.pricing.resolve(route))
        ]
        for target, failed in results:
            # A short budget may all go to thinking: the provider answers all the same.
            if failed.response is None and failed.error is not None:
                why = f"{failed.error.cause}: {failed.error}"
                called = f", {target.deployment.name}," if target.deployment else ""
                diagnosis["problems"].append(f"{row['provider']}{called} does not answer: {why}")
        result = next((each for _, each in results if each.error), results[0][1])
        row["seconds"] = next(
            (round(end.took, 3) for end in ends if end.provider == row["provider"]), None
        )
        reply = result.response or result.error
        row["headers"] = dict(reply.headers) if reply else {}
        row["cost_usd"] = result.response.cost if result.response else None
        row["live"] = "answers" if result.error is None else str(result.error.cause)

    async def ask_all() -> None:
        try:
            await asyncio.gather(*map(ask, ready))
        finally:
            await close(shared.providers.values(), shared.redact)

    try:
        asyncio.run(ask_all())
    except RolecallError as error:
        diagnosis["problems"].append(str(error))
    return len(ready)
