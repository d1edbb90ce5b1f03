"""The errors of requests that the Gemini API rejects."""

from collections.abc import Iterable
from typing import Any

from ..exchange import Rejected
from .bodies import detail


def invalid(message: str) -> Rejected:
    return Rejected("invalid_request", 400, "INVALID_ARGUMENT", message)


def invalid_field(field: str, message: str) -> Rejected:
    """Reject a request for one of its fields, which the details name."""
    violation = {"field": field, "description": message}
    details = [detail("BadRequest", fieldViolations=[violation])]
    return Rejected("invalid_request", 400, "INVALID_ARGUMENT", message, details)


def check_names(table: dict[str, Any], known: Iterable[str], place: str) -> None:
    """Reject a name that a message does not have; the API takes each in both spellings."""
    names = set(known)
    for name in table:
        if camel(name) not in names:
            raise invalid_field(
                place,
                f"Invalid JSON payload received. Unknown name \"{name}\" at '{place}': Cannot find "
                "field.",
            )


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def either(table: dict[str, Any], camel: str, snake: str) -> Any:
    """Return a field by either spelling of its name; clients use both."""
    return table.get(camel) or table.get(snake) or {}


def message_field(table: dict[str, Any], camel: str, snake: str) -> dict[str, Any]:
    """Return a field that must be an object; empty where it is missing."""
    value = either(table, camel, snake)
    if not isinstance(value, dict):
        raise invalid_field(snake, f"Invalid value at '{snake}': it must be an object.")
    return value
