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
_TIER = re.compile(r"input_cost_per_token(_above_(\d+)k_tokens)")


class Model:
    """A vendor's model as litellm's map has it; of one that it lacks, nothing is known.

    max_output_tokens: the largest output budget that it takes, or None.
    least_cached: tokens of the shortest prompt that the vendor keeps.
    retired: the day on which the vendor switches it off, or None.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        most, least = entry.get("max_output_tokens"), entry.get("prompt_cache_min_tokens")
        until = entry.get("deprecation_date")
        self.max_output_tokens = most if isinstance(most, int) else None
        self.least_cached = least if isinstance(least, int) else LEAST_CACHED
        self.retired = date.fromisoformat(until) if isinstance(until, str) else None
        tiers = filter(None, map(_TIER.fullmatch, entry))
        # The longest prompts' first; of a prompt of so many tokens or fewer, the tier has no say.
        self._tiers = sorted(((1000 * int(tier[2]), tier[1]) for tier in tiers), reverse=True)

    @property
    def is_known(self) -> bool:
        return bool(self._entry)

    def price(self, usage: Usage) -> float | None:
        """Price a call in US dollars; None where the price of what it used is not known."""
        tier = next((name for tokens, name in self._tiers if usage.input > tokens), "")
        plain = self._cost("input_cost_per_token", tier)
        written = self._cost("output_cost_per_token", tier)
        if plain is None or written is None:
            return None
        read = self._cost("cache_read_input_token_cost", tier)
        stored = self._cost("cache_creation_input_token_cost", tier)
        thought = self._cost("output_cost_per_reasoning_token", "")
        return (
            (usage.input - usage.cache_read - usage.cache_write) * plain
            + usage.cache_read * (plain if read is None else read)
            + usage.cache_write * (plain if stored is None else stored)
            + (usage.output - usage.thinking) * written
            + usage.thinking * (written if thought is None else thought)
        )

    def _cost(self, name: str, tier: str) -> float | None:
        cost = self._entry.get(name + tier, self._entry.get(name))
        return float(cost) if isinstance(cost, int | float) else None


@cache
def known(prefix: str, name: str) -> Model:
    """Return what is known of a vendor's model."""
    entries = _entries()
    return Model(entries.get(f"{prefix}/{name}") or entries.get(name) or {})


@cache
def _entries() -> Mapping[str, Any]:
    package = find_spec("litellm")
    if package is None or not package.submodule_search_locations:
        return {}
    path = Path(package.submodule_search_locations[0]) / MAP
    entries: Mapping[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return entries
