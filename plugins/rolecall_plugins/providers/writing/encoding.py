"""Writes the bodies of requests."""

import json
from collections.abc import Mapping
from typing import Any


def encoded(body: object) -> bytes:
    """Write a body as JSON; half a surrogate pair, which no UTF-8 can hold, as a question mark."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def join(body: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Add what the user set to a body; a table joins the one that is there."""
    for name, value in options.items():
        known = body.get(name)
        if isinstance(known, dict) and isinstance(value, Mapping):
            value = {**known, **value}
        body[name] = value
