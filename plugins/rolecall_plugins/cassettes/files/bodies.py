"""Bodies of requests and replies: JSON, streams of JSON, and the texts within."""

import json
import re
from collections.abc import Iterator
from typing import Any

# Deeper JSON is treated as plain text: whatever walks a body recurses as deep as it nests.
MAX_DEPTH = 80
NAMES = "names"  # under which the names of a mapping go among its texts


def parse_json(body: object) -> Any:
    """Return the JSON object or list that bytes or a text hold, or None."""
    if isinstance(body, bytes | bytearray):
        body = bytes(body).decode("utf-8", "replace")
    if not isinstance(body, str):
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) and not nests_deeper(value) else None


def parse_line(line: str) -> Any:
    """Return the JSON object or list that a line of a stream holds, or None."""
    return parse_json(line.removeprefix("data:"))


def lines_of(text: str) -> list[str]:
    """Split into lines with their ends; JSON may hold what `splitlines` takes for one."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def write_json(value: Any, indent: int | None = None) -> str:
    """Write JSON in Unicode; escaped where it holds half a surrogate pair, which no file can."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text if is_unicode(text) else json.dumps(value, indent=indent)


def is_text(body: bytes) -> bool:
    """Check whether bytes are UTF-8."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def is_unicode(text: str) -> bool:
    """Check whether a text can be encoded, which one with half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def nests_deeper(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Check whether a JSON value nests deeper than so many levels, without recursion."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return False
    return True


def texts_of(body: object) -> Iterator[str]:
    """Yield a body's texts, those of one name put together: of a stream, what its pieces say."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    whole = parse_json(text)
    values = [parse_line(line) for line in lines_of(text)] if whole is None else [whole]
    pieces: dict[str, list[str]] = {}
    for value in values:
        for name, leaf in leaves(value):
            pieces.setdefault(name, []).append(leaf)
    yield from ("".join(joined) for joined in pieces.values())


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON value with the name that it has there, and every name."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield NAMES, key
            yield from leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)
