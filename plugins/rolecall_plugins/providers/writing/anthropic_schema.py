"""The JSON Schemas that Anthropic takes of tools.

It takes all of draft 2020-12, but at the top: there must be an object without alternatives, whose
properties have plain names.
"""

import re
from collections.abc import Mapping
from typing import Any

from .json_schema import Schema, object_of

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_DEFINITIONS = ("$defs", "definitions")
_OF_NAMES = ("properties", "patternProperties", "dependentSchemas", *_DEFINITIONS)
_KEPT = ("additionalProperties", *_DEFINITIONS)
_VALUES = ("default", "const", "enum", "examples")


def reduced(schema: Schema) -> dict[str, Any]:
    """Return a schema that the API takes."""
    top = object_of(schema)
    properties = {name: each for name, each in top["properties"].items() if _NAME.fullmatch(name)}
    required = [name for name in top["required"] if name in properties]
    kept = {name: schema[name] for name in _KEPT if name in schema}
    return _modern({**top, "properties": properties, "required": required, **kept})


def _modern(schema: Schema) -> dict[str, Any]:
    """Rewrite what older drafts wrote otherwise: the items of a tuple, and exclusive limits."""
    written: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "items" and isinstance(value, list):
            written["prefixItems"] = [_rewritten(inner) for inner in value]
        elif name in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool):
            pass
        elif name in _OF_NAMES and isinstance(value, Mapping):
            written[name] = {key: _rewritten(inner) for key, inner in value.items()}
        else:
            written[name] = value if name in _VALUES else _rewritten(value)
    return written


def _rewritten(value: Any) -> Any:
    if isinstance(value, list):
        return [_rewritten(inner) for inner in value]
    return _modern(value) if isinstance(value, Mapping) else value
