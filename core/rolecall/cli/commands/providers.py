"""The command that lists the providers, and whether they can be called."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..console import show
from ..options import JSON, Command
from ..render import Grid, counted, grid

if TYPE_CHECKING:
    from ...types.messages import KnownModel, Provider

ALL = "*"


@click.command(cls=Command)
@click.option(
    "--known",
    is_flag=False,
    flag_value=ALL,
    metavar="[PATTERN]",
    help="List the vendors that settings can make providers of; with a pattern, their models.",
)
@JSON
@click.pass_obj
def providers(app: App, as_json: bool, known: str | None) -> None:
    """List the providers and whether they can be called."""
    app.host.check()
    if known is None:
        show(providers_json(app.host.providers(app.settings)), providers_table, as_json)
        return
    rows = known_json(app.host.known_models(), known)
    if not rows:
        raise click.UsageError(f"--known: no vendor and no model is like {known!r}")
    show(rows, vendors_table if known == ALL else models_table, as_json)


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


def known_json(models: "Iterable[KnownModel]", pattern: str) -> list[dict[str, Any]]:
    """List each vendor with the number of its models; with a pattern, the models that fit it.

    A pattern that is a vendor's name fits that vendor's models alone, any other a part of
    `vendor/model`; stars stand for anything.
    """
    from attrs import asdict

    if pattern == ALL:
        vendors = groupby(models, key=lambda each: (each.vendor, each.setting))
        return [
            {
                "vendor": vendor,
                "setting": setting,
                "models": sum(bool(each.model) for each in known),
            }
            for (vendor, setting), known in vendors
        ]
    known = list(models)
    of_vendor = [each for each in known if each.vendor == pattern]
    like = f"*{pattern.lower()}*"
    fitting = of_vendor or [
        each for each in known if fnmatch(f"{each.vendor}/{each.model}".lower(), like)
    ]
    return [asdict(each) for each in fitting]


def vendors_table(rows: list[dict[str, Any]], width: int) -> Grid:
    return grid(
        counted(len(rows), "vendor"),
        "setting~ known_models>",
        ((row["setting"], str(row["models"])) for row in rows),
    )


def models_table(rows: list[dict[str, Any]], width: int) -> Grid:
    return grid(
        counted(len(rows), "model"),
        "setting model~ $/M_in> $/M_out> longest_answer>",
        (
            (
                row["setting"],
                row["model"] or "–",
                *(
                    "–" if row[price] is None else f"{row[price]:g}"
                    for price in ("input", "output")
                ),
                str(row["max_output_tokens"] or "–"),
            )
            for row in rows
        ),
    )
