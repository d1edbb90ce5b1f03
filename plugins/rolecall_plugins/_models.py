"""What litellm's bundled map knows of a model, read without importing litellm."""

import json
import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rolecall import Usage

MAP = "model_prices_and_context_window_backup.json"
LEAST_CACHED = 4096  # tokens; what the most demanding models want
_TIERED = "input_cost_per_token_above_"
_TIER = re.compile(rf"{_TIERED}(\d+)k_tokens")


def known(prefix: str, model: str) -> Mapping[str, Any]:
    """Give litellm's entry of a vendor's model; an empty one where there is none."""
    entries = _entries()
    return entries.get(f"{prefix}/{model}") or entries.get(model) or {}


def ceiling(entry: Mapping[str, Any]) -> int | None:
    """Give the largest output budget that a model takes."""
    most = entry.get("max_output_tokens")
    return most if isinstance(most, int) else None


def least_cached(entry: Mapping[str, Any]) -> int:
    """Give the tokens of the shortest prompt that the vendor keeps."""
    least = entry.get("prompt_cache_min_tokens")
    return least if isinstance(least, int) else LEAST_CACHED


def price(entry: Mapping[str, Any], usage: Usage) -> float | None:
    """Price a call in US dollars; None where the price of what it used is not known."""
    tier = _tier(entry, usage.input)
    plain = _cost(entry, "input_cost_per_token", tier)
    written = _cost(entry, "output_cost_per_token", tier)
    if plain is None or written is None:
        return None
    read = _cost(entry, "cache_read_input_token_cost", tier)
    stored = _cost(entry, "cache_creation_input_token_cost", tier)
    thought = _cost(entry, "output_cost_per_reasoning_token", "")
    return (
        (usage.input - usage.cache_read - usage.cache_write) * plain
        + usage.cache_read * (plain if read is None else read)
        + usage.cache_write * (plain if stored is None else stored)
        + (usage.output - usage.thinking) * written
        + usage.thinking * (written if thought is None else thought)
    )


def retired(entry: Mapping[str, Any]) -> date | None:
    """Give the day on which the vendor switches a model off, if that is known."""
    told = entry.get("deprecation_date")
    return date.fromisoformat(told) if isinstance(told, str) else None


def _tier(entry: Mapping[str, Any], tokens: int) -> str:
    """Name the tier of the longest prompts that a prompt of so many tokens belongs to."""
    names = [name for name in entry if name.startswith(_TIERED)]
    sizes = [int(match[1]) for name in names if (match := _TIER.fullmatch(name))]
    passed = [size for size in sizes if tokens > 1000 * size]
    return f"_above_{max(passed)}k_tokens" if passed else ""


def _cost(entry: Mapping[str, Any], name: str, tier: str) -> float | None:
    cost = entry.get(name + tier, entry.get(name))
    return float(cost) if isinstance(cost, int | float) else None


@cache
def _entries() -> Mapping[str, Any]:
    package = find_spec("litellm")
    if package is None or not package.submodule_search_locations:
        return {}
    path = Path(package.submodule_search_locations[0]) / MAP
    entries: Mapping[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return entries
