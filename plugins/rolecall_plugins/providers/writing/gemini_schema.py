"""The part of JSON Schema that Gemini takes of tools and answers.

Source: https://ai.google.dev/api/caching#Schema, and what the API refuses all the same: an `enum`
of anything but texts, `anyOf` beside anything else, lists without `items`, empty `properties`,
`required` without its property, and most of `format`. What is left out, a model may violate: then
the tool's own check of the arguments tells it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .json_schema import ALTERNATIVES, Schema, both, object_of, resolved

# A schema may refer to itself over and over: beyond these it is cut short.
MOST_NODES = 2000
MOST_TURNS = 2  # of one reference inside what it refers to
MOST_LEVELS = 24  # of references

_ANYTHING = {"type": "STRING"}  # the API wants a type
_TYPES = {
    "string": ("minLength", "maxLength", "pattern"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "array": ("minItems", "maxItems"),
    "object": (),
    "boolean": (),
}
_FORMATS = ("date-time", "int32", "int64", "float", "double")
# What a schema without a type means by its other words.
_SIGNS = {
    "object": ("properties", "required", "additionalProperties", "patternProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def reduced(schema: Schema) -> dict[str, Any]:
    """Return a schema that the API takes."""
    return _Reduction(schema).reduce(object_of(schema))


def reduced_answer(schema: Schema) -> dict[str, Any]:
    """Return a schema of an answer, which need not be an object, that the API takes."""
    return _Reduction(schema).reduce(schema)


class _Reduction:
    """Reduces one schema; root: where its references point."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._nodes = 0

    def reduce(self, schema: object, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """Reduce a schema; within: the references that led here."""
        if not isinstance(schema, Mapping):
            return dict(_ANYTHING)
        references: list[str] = []
        schema = self._merged(schema, references)
        within = (*within, *references)
        if self._is_endless(within, references):
            return _cut_short(schema)
        variants, is_nullable = self._variants(schema)
        if variants == [schema]:
            plain = self._plain(schema, within)
            return {**plain, "nullable": True} if is_nullable else plain
        taken: list[dict[str, Any]] = []
        for variant in variants or [_ANYTHING]:
            one = self.reduce(variant, within)
            taken += one.get("anyOf", [one])
        for one in taken:
            if "description" in schema:
                one.setdefault("description", schema["description"])
            if is_nullable:
                one["nullable"] = True
        return taken[0] if len(taken) == 1 else {"anyOf": taken}

    def _is_endless(self, within: tuple[str, ...], references: list[str]) -> bool:
        if self._nodes > MOST_NODES or len(within) > MOST_LEVELS:
            return True
        return any(within.count(reference) > MOST_TURNS for reference in references)

    def _merged(self, schema: Schema, references: list[str]) -> Schema:
        """Return a schema without references and `allOf`; the references are added to the list."""
        self._nodes += 1
        if isinstance(schema.get("$ref"), str):
            references.append(schema["$ref"])
        schema = resolved(schema, self._root)
        whole: Schema = {}
        for part in schema.get("allOf", ()):
            if isinstance(part, Mapping) and not self._is_endless(tuple(references), references):
                whole = both(whole, self._merged(part, references))
        return both(whole, {name: value for name, value in schema.items() if name != "allOf"})

    def _variants(self, schema: Schema) -> tuple[list[Schema], bool]:
        """Return what a schema lets one choose from, null apart, and whether it lets null be."""
        for kind in ALTERNATIVES:
            if schema.get(kind):
                own = {key: schema[key] for key in schema if key not in (kind, "description")}
                branches = [both(own, self._seen(branch)) for branch in schema[kind]]
                return _without_null(branches)
        if isinstance(schema.get("type"), list):
            own = {key: schema[key] for key in schema if key != "description"}
            return _without_null({**own, "type": kind} for kind in schema["type"])
        return _without_null([schema])

    def _seen(self, branch: object) -> Schema:
        """Look what is behind a reference where only null would be of interest."""
        if not isinstance(branch, Mapping):
            return {}
        target = resolved(branch, self._root)
        return target if _is_null(target) else branch

    def _plain(self, schema: Schema, within: tuple[str, ...]) -> dict[str, Any]:
        kind = _kind(schema)
        plain: dict[str, Any] = {"type": kind.upper()}
        description = str(schema.get("description") or "")
        values = _values(schema)
        if values and all(isinstance(value, str) and value for value in values):
            plain["enum"] = values
        elif values:
            description = f"{description} One of {json.dumps(values)[1:-1]}.".strip()
        if description:
            plain["description"] = description
        if schema.get("format") in _FORMATS:
            plain["format"] = schema["format"]
        plain |= {name: schema[name] for name in _TYPES[kind] if name in schema}
        if kind == "object":
            plain |= self._properties(schema, within)
        elif kind == "array":
            plain["items"] = self.reduce(_items(schema), within)
        return plain

    def _properties(self, schema: Schema, within: tuple[str, ...]) -> dict[str, Any]:
        properties = {
            name: self.reduce(inner, within)
            for name, inner in schema.get("properties", {}).items()
            if inner is not False
        }
        required = [name for name in schema.get("required", ()) if name in properties]
        found = {"properties": properties, "required": required}
        return {name: value for name, value in found.items() if value}


def _cut_short(schema: Schema) -> dict[str, Any]:
    kind = _kind(schema)
    items = {"items": dict(_ANYTHING)} if kind == "array" else {}
    return {"type": kind.upper(), **items}


def _without_null(schemas: Iterable[Schema]) -> tuple[list[Schema], bool]:
    given = list(schemas)
    left = [schema for schema in given if not _is_null(schema)]
    has_null = any(None in _all_values(schema) for schema in left)
    return left, has_null or len(left) < len(given)


def _is_null(schema: Schema) -> bool:
    return schema.get("type") == "null" or _all_values(schema) == [None]


def _all_values(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _values(schema: Schema) -> list[Any]:
    return [value for value in _all_values(schema) if value is not None]


def _items(schema: Schema) -> object:
    """Return what the items of a list must fit: one schema, also for those of a tuple."""
    given = schema.get("items")
    tuple_of = given if isinstance(given, list) else schema.get("prefixItems")
    if not tuple_of:
        return given
    return tuple_of[0] if len(tuple_of) == 1 else {"anyOf": tuple_of}


def _kind(schema: Schema) -> str:
    """Return a schema's type, or what it means by its other words."""
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _TYPES:
        return kind
    values = _values(schema)
    if values:
        kinds = {_kind_of(value) for value in values}
        return kinds.pop() if len(kinds) == 1 else "string"
    for kind, signs in _SIGNS.items():
        if any(sign in schema for sign in signs):
            return kind
    return "string"


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case Mapping():
            return "object"
        case _:
            return "string"
