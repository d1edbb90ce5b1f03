"""What the shell offers to complete: agents, routes, runs and plugins.

click asks while a line is typed, with the settings and plugins of the current folder. Where those
are wrong nothing is offered: the command itself says why.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path

import click

from ..errors import RolecallError
from .app import App

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _offering(words: Callable[[App, str], Iterable[str]]) -> Complete:
    """Offer those words that begin as what is typed."""

    @wraps(words)
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        app = ctx.find_object(App)
        try:
            offered = [] if app is None else list(words(app, incomplete))
        except RolecallError:
            return []
        return [word for word in offered if word.startswith(incomplete)]

    return complete


@_offering
def agents(app: App, _: str) -> Iterable[str]:
    return _agents(app)


@_offering
def assignments(app: App, incomplete: str) -> Iterable[str]:
    """Complete `AGENT=ROUTE`: the agent, and then each of its routes' providers."""
    agent, equals, routes = incomplete.partition("=")
    if not equals:
        return [f"{name}=" for name in _agents(app)]
    before = routes[: routes.rfind(",") + 1]
    return [f"{agent}={before}{name}" for name in app.host.providers(app.settings)]


@_offering
def runs(app: App, _: str) -> Iterable[str]:
    from ..storage.run_index import list_runs

    return [path.name for path, _state in list_runs(Path(app.settings.runs))]


@_offering
def blocked(app: App, _: str) -> Iterable[str]:
    return [f"no:{plugin.name}" for plugin in app.host.plugins]


def _agents(app: App) -> Iterable[str]:
    own = (name for name, agent in app.settings.agents.items() if agent.prompt)
    return dict.fromkeys([*app.host.agents(), *own])
