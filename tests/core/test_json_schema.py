"""A tool's JSON Schema is checked when it is registered, and arguments when it is called."""

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rolecall.json_schema import DEEPEST, LARGEST, arguments_fault, schema_fault


def of_a(**schema: Any) -> dict[str, Any]:
    """Return the schema of a tool with one argument, `a`."""
    return {"type": "object", "properties": {"a": schema}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return {"type": "object", **schema}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        MappingProxyType({"type": "object"}),
        of_a(type="string", pattern="^a+$"),
        {**of_a(**{"$ref": "#/$defs/b"}), "$defs": {"b": {"type": "integer"}}},
        {**of_a(**{"$ref": "#b"}), "$defs": {"b": {"$anchor": "b"}}},
        of_a(type="array", items={"$ref": "#/properties/a"}),
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            **of_a(**{"$ref": "#/definitions/b"}),
            "definitions": {"b": {"items": [{"type": "string"}]}},
        },
        of_a(const={"$ref": "#/nowhere"}),
        of_a(default=None),
        nested(DEEPEST - 1),
    ],
)
def test_a_sound_schema_is_taken(schema: Any) -> None:
    assert schema_fault(schema) == ""


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (None, "it is no table, but None"),
        (["type"], "it is no table, but ['type']"),
        ({}, "type: must be 'object', not None"),
        ({"type": "array"}, "type: must be 'object', not 'array'"),
        ({"type": ["object", "null"]}, "type: must be 'object', not ['object', 'null']"),
        ({"type": "object", "required": None}, "required: None is not of type 'array'"),
        ({"type": "object", "properties": []}, "properties: [] is not of type 'object'"),
        (of_a(type="text"), "properties.a.type: 'text' is not valid under any"),
        (of_a(minLength="3"), "properties.a.minLength: '3' is not of type 'integer'"),
        (of_a(pattern="("), "properties.a.pattern: '(' is not a 'regex'"),
        (of_a(**{"$ref": "#/$defs/b"}), "it refers to '#/$defs/b', which it does not hold"),
        (of_a(**{"$ref": "https://example.com/b"}), "it refers to 'https://example.com/b'"),
        (of_a(**{"$ref": "file:///etc/passwd"}), "it refers to 'file:///etc/passwd'"),
        (of_a(anyOf=[{"not": {"$ref": "#b"}}]), "it refers to '#b', which it does not hold"),
        ({"type": "object", "$ref": "#"}, "it refers to itself without end"),
        ({"type": "object", "$schema": 3}, "$schema: 3 is no text"),
        (of_a(enum=("b", "c")), "properties.a.enum: ('b', 'c') is no JSON"),
        (of_a(enum=[{"b"}]), "properties.a.enum.0: {'b'} is no JSON"),
        (of_a(default=float("nan")), "properties.a.default: nan is no JSON"),
        (of_a(const=float("inf")), "properties.a.const: inf is no JSON"),
        (of_a(description="\ud800"), r"properties.a.description: '\ud800' is no JSON"),
        (of_a(default={1: "b"}), "properties.a.default: the name 1 is no text"),
        (nested(DEEPEST + 1), f"it nests more than {DEEPEST} levels deep"),
        (of_a(enum=list(range(LARGEST))), f"it holds more than {LARGEST} values"),
        (of_a(description="b" * LARGEST**2), f"it holds more than {LARGEST} values"),
    ],
)
def test_what_is_wrong_with_a_schema_is_one_line(schema: Any, why: str) -> None:
    fault = schema_fault(schema)
    assert fault.startswith(why)
    assert "\n" not in fault


def test_a_schema_that_holds_itself_is_refused() -> None:
    schema = of_a()
    schema["properties"]["a"] = schema
    assert schema_fault(schema) == f"it nests more than {DEEPEST} levels deep"
    schema["properties"] = {str(number): schema for number in range(10)}
    assert schema_fault(schema) == f"it holds more than {LARGEST} values"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "$ref", "items", "enum", "a"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_taken_can_be_validated_by(schema: Any) -> None:
    fault = schema_fault(schema)
    assert "\n" not in fault
    if not fault:
        Draft202012Validator.check_schema(schema)
        arguments_fault(schema, {"a": 1})


def test_arguments_are_held_against_the_schema() -> None:
    schema = {**of_a(type="array", items={"type": "integer"}), "required": ["a"]}
    assert arguments_fault(schema, {"a": [1]}) == ""
    assert arguments_fault(schema, {}) == "it: 'a' is a required property"
    assert arguments_fault(schema, {"a": [1, "b"]}) == "a.1: 'b' is not of type 'integer'"


def test_a_schema_that_turns_in_a_circle_below_is_said_of_the_call() -> None:
    schema = of_a(**{"$ref": "#/properties/a"})
    assert schema_fault(schema) == ""
    assert arguments_fault(schema, {"a": 1}) == "the schema refers to itself without end"


def test_arguments_are_held_against_the_draft_that_the_schema_names() -> None:
    items = of_a(items=[{"type": "string"}])
    old = {"$schema": "http://json-schema.org/draft-07/schema#", **items}
    assert arguments_fault(old, {"a": [1]}) == "a.0: 1 is not of type 'string'"
    assert "properties.a.items" in schema_fault(items)
