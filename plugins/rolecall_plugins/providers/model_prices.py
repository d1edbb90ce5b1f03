"""What litellm's bundled map knows of a model, read without importing litellm."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rolecall import Usage

MAP = "model_prices_and_context_window_backup.json"
_ALIASES = {"bedrock_converse": "bedrock", "codestral": "mistral"}
MILLION = 1_000_000  # tokens, that prices are told of
LEAST_CACHED = 4096  # tokens; what the most demanding models want
_VENDOR = re.compile(r"""^    [A-Z0-9_]+ = ["'](\w+)["']""", re.MULTILINE)
_TIER = re.compile(r"input_cost_per_token(_above_(\d+)k_tokens)")


class Model:
    """A vendor's model as litellm's map has it; of one that it lacks, nothing is known.

    max_output_tokens: the largest output budget that it takes, or None.
    context_window: the most tokens that it reads, or None.
    least_cached: tokens of the shortest prompt that the vendor keeps.
    retired: the day on which the vendor switches it off, or None.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        most, least = entry.get("max_output_tokens"), entry.get("prompt_cache_min_tokens")
        until = entry.get("deprecation_date")
        self.max_output_tokens = most if isinstance(most, int) else None
        window = entry.get("max_input_tokens")
        self.context_window = window if isinstance(window, int) else None
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
    """Return what is known of a vendor's model; a name alone counts where it is that vendor's."""
    entries = _entries()
    bare = entries.get(name) or {}
    return Model(entries.get(f"{prefix}/{name}") or (bare if prefix in _vendors(bare) else {}))


@cache
def models() -> Mapping[str, Sequence[str]]:
    """Map each vendor of litellm to the models for conversations that its map has."""
    found: dict[str, set[str]] = {}
    for name, entry in _entries().items():
        if entry.get("mode") in ("chat", "responses"):
            for vendor in _vendors(entry)[:1]:
                found.setdefault(vendor, set()).add(name.removeprefix(f"{vendor}/"))
    return {vendor: sorted(found[vendor]) for vendor in sorted(found)}


def _vendors(entry: Mapping[str, Any]) -> Sequence[str]:
    """List what an entry's vendor may be called: `bedrock_converse`, and `bedrock`."""
    vendor = entry.get("litellm_provider")
    if not isinstance(vendor, str):
        return ()
    vendor = vendor.removeprefix("text-completion-").partition("-")[0]
    names = [_ALIASES.get(vendor, vendor)]
    while "_" in names[-1]:
        names.append(names[-1].rpartition("_")[0])
    return names


@cache
def vendors() -> frozenset[str]:
    """Return what litellm calls the vendors that it knows.

    It lists them in an enumeration, which is read as text: to import it takes seconds. Where that
    has moved, those of its map are left.
    """
    path = _package() / "types" / "utils.py"
    text = path.read_text("utf-8") if path.is_file() else ""
    body = text.partition("class LlmProviders(")[2].partition("\nclass ")[0]
    return frozenset(_VENDOR.findall(body)).union(models())


def _package() -> Path:
    """Return where litellm is installed; a folder without it where it is not."""
    package = find_spec("litellm")
    if package is None or not package.submodule_search_locations:
        return Path()
    return Path(package.submodule_search_locations[0])


@cache
def _entries() -> Mapping[str, Any]:
    path = _package() / MAP
    entries: Mapping[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return entries
