"""Finds the cassettes that no longer match the team."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rolecall import Host, Route, Settings

from . import team
from .takes import Head, Take, load

KNOWN = ("anthropic", "gemini")


def find_stale(paths: Sequence[Path], host: Host, settings: Settings) -> list[dict[str, Any]]:
    """Give file, date and reasons of each cassette that does not match, the oldest first."""
    today = team.now(host, settings)
    models = {Route.parse(route).model for each in today.values() for route in each["routes"]}
    for provider, _ in host.providers(settings).values():
        models.add(getattr(provider, "model", ""))
    found = []
    for path in paths:
        head, takes = load(path)
        reasons = [*_changed(head, today), *_gone(takes, today, models)]
        if reasons:
            found.append({"file": str(path), "recorded": head.recorded, "reasons": reasons})
    return sorted(found, key=lambda each: (each["recorded"], each["file"]))


def _changed(head: Head, today: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, then in head.team.items():
        now = today.get(name)
        if now is None:
            continue
        if then.get("prompt") and then["prompt"] != now["prompt"]:
            yield f"{name}: its prompt or its needs have changed"
        if not then.get("assigned") and then["routes"] != now["routes"]:
            yield f"{name}: it runs on {', '.join(now['routes'])} now"
    if head.team and not head.only and not head.skip:
        yield from (f"{name}: it is new in the team" for name in today if name not in head.team)


def _gone(
    takes: Sequence[Take], today: Mapping[str, Mapping[str, Any]], models: set[str]
) -> Iterator[str]:
    agents = dict.fromkeys(take.agent for take in takes if take.agent)
    yield from (f"{name}: it is no agent any more" for name in agents if name not in today)
    asked = {take.asked.model for take in takes if not take.agent and take.asked.wire in KNOWN}
    yield from (f"{model}: no route means it any more" for model in sorted(asked - models))
