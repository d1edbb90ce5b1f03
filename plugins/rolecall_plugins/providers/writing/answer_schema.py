"""The schemas by which the vendors can make a model keep to a form, reduced to what each takes.

What is left out a model may violate; rolecall checks each answer by the whole schema.
Sources: https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs and
https://ai.google.dev/gemini-api/docs/structured-output.
"""

from collections.abc import Mapping
from typing import Any

from .gemini_schema import reduced_answer
from .json_schema import Schema

# Of what a schema may say, what Anthropic's grammar takes.
_KEPT = ("type", "description", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions")
_FORMATS = (
    *("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"),
)
_LISTED = ("anyOf", "allOf")
_NAMED = ("$defs", "definitions")


def for_anthropic(schema: Schema) -> dict[str, Any] | None:
    """Return a schema that the API takes; None where objects may have properties of any name."""
    try:
        return _closed(schema)
    except _OpenObject:
        return None


def for_gemini(schema: Schema) -> dict[str, Any]:
    """Return the part of `generationConfig` that names the schema."""
    return {"responseSchema": reduced_answer(schema)}


class _OpenObject(Exception):
    """A schema takes objects that Anthropic's cannot describe."""


def _closed(schema: object) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _OpenObject
    written = {name: schema[name] for name in _KEPT if name in schema}
    if "oneOf" in schema:
        written["anyOf"] = schema["oneOf"]
    for name in _LISTED:
        if name in written:
            written[name] = [_closed(inner) for inner in written[name]]
    for name in _NAMED:
        if name in written:
            written[name] = {key: _closed(inner) for key, inner in written[name].items()}
    if schema.get("format") in _FORMATS:
        written["format"] = schema["format"]
    if "items" in schema:
        written["items"] = _closed(schema["items"])
    if schema.get("type") == "object" or "properties" in schema:
        written |= _object(schema)
    elif not any(name in written for name in ("type", "enum", "const", "$ref", *_LISTED)):
        raise _OpenObject  # anything at all
    return written


def _object(schema: Mapping[str, Any]) -> dict[str, Any]:
    is_open = schema.get("additionalProperties", "properties" not in schema)
    if isinstance(is_open, Mapping) or (is_open and not schema.get("properties")):
        raise _OpenObject
    properties = schema.get("properties", {})
    return {
        "type": "object",
        "properties": {name: _closed(inner) for name, inner in properties.items()},
        "required": [name for name in schema.get("required", ()) if name in properties],
        "additionalProperties": False,
    }
