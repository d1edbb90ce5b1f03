"""Writes the bodies of requests."""

import json


def encoded(body: object) -> bytes:
    """Write a body as JSON; half a surrogate pair, which no UTF-8 can hold, as a question mark."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
