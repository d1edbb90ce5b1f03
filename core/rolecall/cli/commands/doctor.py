"""The command that shows what is configured, what is missing, and what falls back to what."""

import json
from collections.abc import Mapping
from typing import Any

import click

from ..app import App
from ..console import echo, show_tables, warn, warn_of_logged
from ..options import BUDGET, DEBUG, JSON, QUIET, REUSE, options
from ..plugin_options import TeamCommand, prepared
from ..render import Grid, counted, grid


@click.command(cls=TeamCommand)
@click.option("--live", is_flag=True, help="Make one small call per provider; it is billed.")
@options(BUDGET, REUSE, JSON, QUIET, DEBUG)
@click.pass_obj
def doctor(app: App, /, live: bool, as_json: bool) -> int:
    """Show what is configured, from where, what is missing and how to mend it."""
    from ...execution.redaction import Redactor
    from ...plugin.run_setup import RunSetup
    from ..diagnosis import call_providers, diagnose

    warn_of_logged()
    setup = RunSetup("doctor", app.host, app.settings, given=app.given)
    with prepared(app, setup) as ready:
        diagnosis = diagnose(ready)
        if live and not call_providers(ready, diagnosis):
            warn("no provider can be called, so no call was made")
        diagnosis = Redactor.of(ready.settings).texts(diagnosis)
    if as_json:
        echo(json.dumps(diagnosis, indent=2))
    else:
        _show(diagnosis)
    return 1 if diagnosis["problems"] else 0


def _show(diagnosis: Mapping[str, Any]) -> None:
    show_tables(_tables(diagnosis))
    for line in diagnosis["fallbacks"]:
        echo(line)
    problems = diagnosis["problems"]
    echo(f"\n{counted(len(problems), 'problem')}:" if problems else "\nNo problem found.")
    for number, problem in enumerate(problems, 1):
        echo(f"{number}. {problem}")


def _tables(diagnosis: Mapping[str, Any]) -> list[Grid]:
    live = any("live" in row for row in diagnosis["providers"])
    return [
        grid("Environment", "what value~", diagnosis["environment"].items()),
        grid(
            "Providers",
            f"provider default_model plugin state~ limits~{' live seconds> headers~' * live}",
            (
                (
                    row["provider"],
                    row["model"],
                    row["plugin"],
                    row["state"],
                    ", ".join(f"{name} {most}" for name, most in row["limits"].items()) or "–",
                    *(
                        (
                            row.get("live", "not called"),
                            f"{row.get('seconds') or 0:.2f}",
                            "\n".join(f"{n}: {v}" for n, v in row.get("headers", {}).items()),
                        )
                        if live
                        else ()
                    ),
                )
                for row in diagnosis["providers"]
            ),
        ),
        grid(
            "Plugins",
            "plugin from supplies~ state",
            (
                (row["plugin"], row["from"], ", ".join(row["supplies"]), row["state"])
                for row in diagnosis["plugins"]
            ),
        ),
        grid(
            "Settings",
            "setting value~ source~",
            (
                (row["setting"], _shown(row["value"]), row["source"])
                for row in diagnosis["settings"]
            ),
        ),
    ]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
