"""What both vendors want of the turns of a conversation."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from rolecall import Verbatim

Block = dict[str, Any]


def joined(blocks: Iterable[tuple[str, Block]], result: str) -> Iterator[tuple[str, list[Block]]]:
    """Join blocks of one role that follow each other to turns, results before all else.

    result: the key, or the type, that marks a block as a tool's result.
    """
    for role, group in groupby(blocks, key=lambda block: block[0]):
        turn = [block for _, block in group]
        yield role, sorted(turn, key=lambda block: result not in (block.get("type"), *block))


def own(verbatim: Verbatim | None, provider: str) -> Block:
    """Return what this very provider wants back; nothing of another's."""
    if verbatim is None or verbatim.provider != provider:
        return {}
    return dict(verbatim.payload)
