"""The command that lists the plugins, also those that do not load."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from ...plugin.manager import Host
from ..command_line import Group
from ..console import masked, show
from ..options import JSON
from ..render import Grid, counted, grid

if TYPE_CHECKING:
    from ...plugin.manager import Plugin


@click.group(cls=Group, invoke_without_command=True)
@JSON
@click.option("--timings", is_flag=True, help="Say how long each took to import.")
@click.pass_context
def plugins(ctx: click.Context, as_json: bool, timings: bool) -> None:
    """List the plugins, also those that do not load."""

    if ctx.invoked_subcommand is None:
        host: Host = ctx.obj.host
        show(plugins_json(host.plugins, timings), plugins_table, as_json)
        host.check()


def plugins_json(plugins: "Iterable[Plugin]", timings: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "plugin": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "module": plugin.module,
            "hooks": list(plugin.hooks),
            "state": "blocked" if plugin.blocked else "failed" if plugin.failure else "loaded",
            "failure": masked(plugin.failure) if plugin.failure else None,
            **({"import_ms": round(1000 * plugin.seconds, 1)} if timings else {}),
        }
        for plugin in plugins
    ]


def plugins_table(rows: list[dict[str, Any]], width: int) -> Grid:
    timings = any("import_ms" in row for row in rows)
    return grid(
        counted(len(rows), "plugin"),
        f"plugin from hooks~ state~{' import_ms>' if timings else ''}",
        (
            (
                row["plugin"],
                f"{row['distribution']} {row['version']}".strip() or row["module"],
                ", ".join(hook.removeprefix("rolecall_") for hook in row["hooks"]),
                row["failure"] or row["state"],
                *([f"{row['import_ms']:.1f}"] if timings else ()),
            )
            for row in rows
        ),
    )
