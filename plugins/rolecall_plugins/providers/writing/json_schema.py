"""What both vendors need of a JSON Schema: references followed, and an object at the top."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]
ALTERNATIVES = ("anyOf", "oneOf")
_MOST_HOPS = 32  # from reference to reference, lest they go in a circle


def resolved(schema: Schema, root: Schema) -> Schema:
    """Return what a schema refers to, with what it says itself; without a reference, itself.

    A reference that leads nowhere, or to another document, says nothing.
    """
    for _ in range(_MOST_HOPS):
        if "$ref" not in schema:
            return schema
        own = {name: value for name, value in schema.items() if name != "$ref"}
        schema = both(_target(schema["$ref"], root), own)
    return {}


def both(one: Schema, other: Schema) -> Schema:
    """Return a schema of what fits both; where they contradict each other, the second counts."""
    whole = {**one, **other}
    if "properties" in one and "properties" in other:
        whole["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        whole["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return whole


def object_of(schema: Schema) -> Schema:
    """Return a schema with no alternatives at its top, where vendors want an object.

    It takes whatever one of the alternatives takes.
    """
    whole = resolved(schema, schema)
    for part in whole.get("allOf", ()):
        whole = both(resolved(part, schema), whole)
    properties = dict(whole.get("properties", {}))
    required = set(whole.get("required", ()))
    for kind in ALTERNATIVES:
        branches = [resolved(branch, schema) for branch in whole.get(kind, ())]
        for branch in branches:
            properties = {**branch.get("properties", {}), **properties}
        if branches:
            required |= set.intersection(*(set(each.get("required", ())) for each in branches))
    said = {"description": whole["description"]} if "description" in whole else {}
    needed = [name for name in properties if name in required]
    return {"type": "object", **said, "properties": properties, "required": needed}


def _target(reference: object, root: Schema) -> Schema:
    """Follow a pointer (RFC 6901) from the root."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return {}
    place: Any = root
    for step in unquote(reference[1:]).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        elif isinstance(place, Mapping):
            place = place.get(name)
        else:
            return {}
    return place if isinstance(place, Mapping) else {}
