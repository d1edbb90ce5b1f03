"""What both vendors' errors have in common."""

import json
from collections.abc import Mapping

from .fields import table_or_empty, text_or_empty

# Long enough for every key that a message may echo: the core masks first and cuts afterwards.
LONGEST = 16 * 1024


def bounded_message(text: str) -> str:
    """Cut what nobody would read, far behind where the core cuts what is shown."""
    return text[:LONGEST]


def inner_error(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Return the error object of a body; the innermost where a gateway wrapped one in another.

    Some put the whole reply that they got into their own error's message, as JSON.
    """
    error = _error_of(payload)
    for _ in range(3):
        message = text_or_empty(error.get("message")).strip()
        if not message.startswith("{"):
            break
        try:
            inner = _error_of(table_or_empty(json.loads(message)))
        except (ValueError, RecursionError):
            break
        if not inner:
            break
        error = inner
    return error


def _error_of(payload: Mapping[str, object]) -> Mapping[str, object]:
    error = payload.get("error")
    if isinstance(error, str):
        return {"message": error}
    if not isinstance(error, dict) and isinstance(payload.get("message"), str):
        return payload
    return table_or_empty(error)
