"""JSON Schemas of tools and of answers: whether they are sound, and what does not fit them.

`jsonschema` is imported when the first one is checked: most runs have none.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from referencing import Resource
    from referencing._core import Resolver

DEEPEST = 32  # levels of a schema
LARGEST = 10_000  # values of a schema, and texts of this many characters count as one
_REFERENCES = ("$ref", "$dynamicRef")
_FENCE = re.compile(r"^```json[ \t]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
Schema = Mapping[str, Any]


def schema_fault(schema: object, is_of_tool: bool = True) -> str:
    """Return why a value is no JSON Schema, or "".

    is_of_tool: it is to describe the arguments of a tool, which are an object.
    """
    if not isinstance(schema, Mapping):
        return f"it is no table, but {_shown(schema)}"
    try:
        plain = dict(schema)
        if wrong := _json_fault(plain):
            return wrong
        if is_of_tool and plain.get("type") != "object":
            return f"type: must be 'object', not {_shown(plain.get('type'))}"
        if wrong := _metaschema_fault(plain) or _reference_fault(plain):
            return wrong
        any(_validator(plain).iter_errors({}))  # one that refers to itself never ends
    except RecursionError:
        return "it refers to itself without end"
    return ""


def arguments_fault(schema: Schema, arguments: Mapping[str, Any]) -> str:
    """Return how a call's arguments violate a tool's schema, or ""."""
    return value_fault(schema, dict(arguments))


def answer_fault(schema: Schema, text: str, is_part: bool = False) -> str:
    """Return how an answer violates a schema, or "".

    is_part: the answer is a text that holds the value in its first block of JSON.
    """
    try:
        value = answer_value(text, is_part)
    except ValueError as error:
        return str(error)
    return value_fault(schema, value)


def answer_value(text: str, is_part: bool = False) -> Any:
    """Return the JSON value of an answer, also of one in a fence; raise ValueError without one."""
    found = _FENCE.search(text)
    if is_part and found is None:
        raise ValueError("it holds no block of JSON, fenced by ```json and ```")
    if found is not None and (is_part or not text.lstrip().startswith(("{", "["))):
        text = found[1]
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error


def value_fault(schema: Schema, value: object) -> str:
    """Return how a value violates a schema, or ""."""
    from jsonschema.exceptions import best_match

    try:
        error = best_match(_validator(dict(schema)).iter_errors(value))
    except RecursionError:
        return "the schema refers to itself without end"
    return "" if error is None else f"{_place(error.absolute_path) or 'it'}: {_reason(error)}"


def _json_fault(schema: Mapping[Any, Any]) -> str:
    """Return what of a value is not JSON, or why it is too much of it; without recursion."""
    layer: list[tuple[str, object]] = [("", schema)]
    count = 0
    for _ in range(DEEPEST + 1):
        deeper: list[tuple[str, object]] = []
        for place, value in layer:
            count += 1 + (len(value) // LARGEST if isinstance(value, str) else 0)
            if count > LARGEST:
                return f"it holds more than {LARGEST} values"
            if isinstance(value, dict):
                odd = next((name for name in value if not isinstance(name, str)), None)
                if odd is not None:
                    return f"{place or 'it'}: the name {_shown(odd)} is no text"
                deeper += [(f"{place}.{name}".lstrip("."), inner) for name, inner in value.items()]
            elif isinstance(value, list):
                deeper += [(f"{place}.{number}", inner) for number, inner in enumerate(value)]
            elif not _is_plain(value):
                return f"{place}: {_shown(value)} is no JSON"
        if not deeper:
            return ""
        layer = deeper
    return f"it nests more than {DEEPEST} levels deep"


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return value - value == 0  # neither infinite nor no number
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return value is None or isinstance(value, bool | int)


def _metaschema_fault(schema: dict[str, Any]) -> str:
    from jsonschema.exceptions import SchemaError

    if not isinstance(schema.get("$schema", ""), str):
        return f"$schema: {_shown(schema['$schema'])} is no text"
    try:
        type(_validator(schema)).check_schema(schema)
    except SchemaError as error:
        return f"{_place(error.absolute_path) or 'it'}: {_reason(error)}"
    return ""


def _reference_fault(schema: dict[str, Any]) -> str:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, specification_with

    dialect = schema.get("$schema", "")
    resource = specification_with(dialect, default=DRAFT202012).create_resource(schema)
    resolver: Resolver[Any] = Registry().resolver_with_root(resource)
    for reference, within in _references(resource, resolver):
        try:
            within.lookup(reference)
        except Unresolvable:
            return f"it refers to {_shown(reference)}, which it does not hold"
    return ""


def _references(
    resource: "Resource[Any]", resolver: "Resolver[Any]"
) -> "Iterator[tuple[str, Resolver[Any]]]":
    """Yield the references of a schema and of those within it, and what each is resolved by."""
    if isinstance(resource.contents, Mapping):
        for word in _REFERENCES:
            if word in resource.contents:
                yield resource.contents[word], resolver
    for inner in resource.subresources():
        yield from _references(inner, resolver.in_subresource(inner))


def _validator(schema: dict[str, Any]) -> Any:
    """Return what validates by a schema, and fetches nothing that it refers to."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    kind = validator_for(schema, default=Draft202012Validator)
    return kind(schema, registry=Registry())


def _place(path: Any) -> str:
    return ".".join(map(str, path))


def _reason(error: Any) -> str:
    why = " ".join(str(error.message).split())
    if len(why) > 300:  # it begins with the value, and ends with what is wrong with it
        return f"{why[:100]} … {why[-200:]}"
    return why


def _shown(value: object) -> str:
    return repr(value)[:80]
