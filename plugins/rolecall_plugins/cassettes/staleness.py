"""Find the cassettes that no longer match the team."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rolecall import Host, Route, Settings

from . import team
from .files.reader import load
from .interactions import CassetteMetadata, Interaction

KNOWN = ("anthropic", "gemini")


def find_stale(paths: Sequence[Path], host: Host, settings: Settings) -> list[dict[str, Any]]:
    """List file, date and reasons of each cassette that does not match, the oldest first."""
    today = team.now(host, settings)
    models = {Route.parse(route).model for each in today.values() for route in each["routes"]}
    for provider, _ in host.providers(settings).values():
        models.add(getattr(provider, "model", ""))
    stale = []
    for path in paths:
        metadata, interactions = load(path)
        reasons = [*_changed(metadata, today), *_gone(interactions, today, models)]
        if reasons:
            stale.append({"file": str(path), "recorded": metadata.recorded, "reasons": reasons})
    return sorted(stale, key=lambda each: (each["recorded"], each["file"]))


def _changed(metadata: CassetteMetadata, today: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, then in metadata.team.items():
        now = today.get(name)
        if now is None:
            continue
        if then.get("prompt") and then["prompt"] != now["prompt"]:
            yield f"{name}: its prompt or its needs have changed"
        if not then.get("assigned") and then["routes"] != now["routes"]:
            yield f"{name}: it runs on {', '.join(now['routes'])} now"
    if metadata.team and not metadata.only and not metadata.skip:
        yield from (f"{name}: it is new in the team" for name in today if name not in metadata.team)


def _gone(
    interactions: Sequence[Interaction], today: Mapping[str, Mapping[str, Any]], models: set[str]
) -> Iterator[str]:
    agents = dict.fromkeys(interaction.agent for interaction in interactions if interaction.agent)
    yield from (f"{name}: it is no agent any more" for name in agents if name not in today)
    models_used = {
        interaction.canonical.model
        for interaction in interactions
        if not interaction.agent and interaction.canonical.wire in KNOWN
    }
    yield from (f"{model}: no route means it any more" for model in sorted(models_used - models))
