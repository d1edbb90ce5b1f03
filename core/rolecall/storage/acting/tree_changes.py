"""Reads what git writes of the differences between pairs of trees."""

import re
from collections.abc import Sequence

Pair = tuple[str, str]
# Lines of a patch begin with a blank, a sign or a word; only between two patches stands this.
_HEADER = re.compile(r"^[0-9a-f]{40} [0-9a-f]{40}\n", re.MULTILINE)


def parse_names(text: str, pairs: Sequence[Pair]) -> list[list[tuple[str, str]]]:
    """Read the files that differ in each pair: path and `A`, `M` or `D`.

    text: of `diff-tree --stdin -z --name-status`, perhaps cut. A name may hold anything but NUL.
    """
    found: list[list[tuple[str, str]]] = [[] for _ in pairs]
    place = 0
    for number, (old, new) in enumerate(pairs):
        header = f"{old} {new}\n"
        if not text.startswith(header, place):
            break
        place += len(header)
        following = "{} {}\n".format(*pairs[number + 1]) if number + 1 < len(pairs) else None
        while following is None or not text.startswith(following, place):
            status, path, end = _entry(text, place)
            if not end:
                break
            found[number].append((path, status))
            place = end
    return found


def parse_patches(text: str, pairs: Sequence[Pair]) -> list[str]:
    """Split the text of `diff-tree --stdin -p` by pairs; what it does not reach is empty."""
    patches = _HEADER.split(text)[1:]
    return [*patches[: len(pairs)], *[""] * (len(pairs) - len(patches))]


def _entry(text: str, place: int) -> tuple[str, str, int]:
    """Return the status and the path at a place, and where they end; 0 where they are cut."""
    middle = text.find("\0", place)
    end = text.find("\0", middle + 1) if middle >= 0 else -1
    return text[place:middle], text[middle + 1 : end], end + 1 if end >= 0 else 0
