"""The command that lists the providers, and whether they can be called."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..console import show
from ..options import JSON, Command
from ..render import Grid, counted, grid

if TYPE_CHECKING:
    from ...types.messages import Provider


@click.command(cls=Command)
@JSON
@click.pass_obj
def providers(app: App, as_json: bool) -> None:
    """List the providers and whether they can be called."""
    app.host.check()
    show(providers_json(app.host.providers(app.settings)), providers_table, as_json)


def providers_json(providers: "Mapping[str, tuple[Provider, str]]") -> list[dict[str, Any]]:
    from ...types.agents import Route
    from ...types.messages import lacking, resolve

    return [
        {
            "provider": name,
            "model": resolve(Route(name), provider).model,
            "plugin": plugin,
            "missing": lacking(provider),
        }
        for name, (provider, plugin) in providers.items()
    ]


def providers_table(rows: list[dict[str, Any]], width: int) -> Grid:
    return grid(
        counted(len(rows), "provider"),
        "provider default_model plugin state~",
        (
            (row["provider"], row["model"] or "–", row["plugin"], row["missing"] or "ready")
            for row in rows
        ),
    )
