"""Foreign JSON, taken by type.

Of a success, a field of another type is `Unsound`: text might be lost with it. Of what is only told
beside the text, and of errors, it counts as absent.
"""

import math
from collections.abc import Mapping, Sequence

MOST_TOKENS = 10**8  # of one call; what claims more is no count


class Unsound(ValueError):
    """A success has not its vendor's form."""


def table(value: object) -> Mapping[str, object]:
    """Return an object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unsound(f"an object was due, not {type(value).__name__}")
    return value


def items(value: object) -> Sequence[object]:
    """Return a list; null is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Unsound(f"a list was due, not {type(value).__name__}")
    return value


def text(value: object) -> str:
    """Return a text; null is an empty one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unsound(f"text was due, not {type(value).__name__}")
    return value


def table_or_empty(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def items_or_empty(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def text_or_empty(value: object) -> str:
    """Return a text of whole characters; a number as its digits, as some write ids and codes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**30 else ""
    return well_formed(value) if isinstance(value, str) else ""


def count(value: object) -> int | None:
    """Return a number of tokens; None where it is none that can be believed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value != int(value):
        return None
    return int(value) if 0 <= value <= MOST_TOKENS else None


def well_formed(value: str) -> str:
    """Join the halves of characters beyond U+FFFF, and replace those that stand alone.

    JSON writes such a character as two escapes, and a stream may part them.
    """
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


class TextPieces:
    """A text that arrives in pieces."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._half = ""

    def add(self, piece: str) -> str:
        """Take the next piece; return what can be shown of the text now."""
        piece, self._half = self._half + piece, ""
        if "\ud800" <= piece[-1:] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        piece = well_formed(piece)
        self._pieces.append(piece)
        return piece

    def __str__(self) -> str:
        return "".join(self._pieces) + well_formed(self._half)
