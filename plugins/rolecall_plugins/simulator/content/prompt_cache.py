"""A vendor's prompt cache: what of a prompt it gives and takes, by the marks that it bears.

Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

import hashlib
from collections.abc import Sequence
from itertools import accumulate

from attrs import frozen

from ..exchange import CacheUse, PromptBlock

HOUR = 3600.0
# The cache looks so many blocks back from a mark for a prompt that it knows.
_LOOK_BACK = 20


def smallest(model: str) -> int:
    """Return how many tokens a prompt of this model needs before it is cached."""
    return 4096 if "opus" in model or "haiku" in model else 1024


@frozen
class _Entry:
    """A prompt in the cache: since when it can be read, until when, and how long a use keeps it."""

    available: float
    until: float
    lifetime: float


class PromptCache:
    """The cache of one organization; times are seconds of any one clock."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, bytes], _Entry] = {}

    def use(
        self, model: str, blocks: Sequence[PromptBlock], now: float, available: float
    ) -> CacheUse:
        """Read and write a prompt; what is written can be read from `available` on."""
        marks = [place for place, block in enumerate(blocks) if block.lifetime is not None]
        if not marks:
            return CacheUse()
        digests = _digests(model, blocks)
        totals = list(accumulate(block.tokens for block in blocks))
        known = [
            place
            for mark in marks
            for place in range(max(0, mark - _LOOK_BACK), mark + 1)
            if self._is_readable(model, digests[place], now)
        ]
        done = read = 0
        if known:
            place = max(known)
            done = read = totals[place]
            self._refresh(model, digests[place], now)
        written: dict[bool, int] = {False: 0, True: 0}
        for mark in marks:
            lifetime = blocks[mark].lifetime
            if lifetime is None or totals[mark] <= done or totals[mark] < smallest(model):
                continue
            written[lifetime >= HOUR] += totals[mark] - done
            done = totals[mark]
            self._entries[model, digests[mark]] = _Entry(available, now + lifetime, lifetime)
        return CacheUse(read, sum(written.values()), written[True])

    def _is_readable(self, model: str, digest: bytes, now: float) -> bool:
        entry = self._entries.get((model, digest))
        return entry is not None and entry.available <= now < entry.until

    def _refresh(self, model: str, digest: bytes, now: float) -> None:
        entry = self._entries[model, digest]
        self._entries[model, digest] = _Entry(entry.available, now + entry.lifetime, entry.lifetime)


def _digests(model: str, blocks: Sequence[PromptBlock]) -> list[bytes]:
    """Digest the prompt up to and with each block."""
    running = hashlib.sha256(model.encode("utf-8", "replace"))
    digests = []
    for block in blocks:
        data = block.text.encode("utf-8", "surrogatepass")
        running.update(len(data).to_bytes(8, "big") + data)
        digests.append(running.digest())
    return digests
