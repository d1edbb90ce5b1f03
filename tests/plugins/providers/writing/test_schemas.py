"""JSON Schemas of tools, reduced to what each vendor takes."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rolecall_plugins.providers.writing import anthropic_schema, gemini_schema
from rolecall_plugins.simulator.gemini.tools import check_schema

from .recorded_requests import as_json_schema

Schema = dict[str, Any]


def reduced(schema: Schema, **more: Any) -> Any:
    """Return what Gemini is sent of the schema of one argument."""
    top = {"type": "object", "properties": {"it": schema}, **more}
    return gemini_schema.reduced(top)["properties"]["it"]


@pytest.mark.parametrize(
    ("schema", "left"),
    [
        ({"type": "string", "minLength": 1}, {"type": "STRING", "minLength": 1}),
        ({"type": "string", "format": "uri", "title": "It", "default": ""}, {"type": "STRING"}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "integer", "minimum": 1, "multipleOf": 2}, {"type": "INTEGER", "minimum": 1}),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"enum": ["a", "b", None]}, {"type": "STRING", "enum": ["a", "b"], "nullable": True}),
        (
            {"enum": [1, 2], "description": "How many."},
            {"type": "INTEGER", "description": "How many. One of 1, 2."},
        ),
        ({"enum": ["", "a"]}, {"type": "STRING", "description": 'One of "", "a".'}),
        ({"type": ["integer", "null"]}, {"type": "INTEGER", "nullable": True}),
        (
            {"type": ["integer", "string"], "description": "Which."},
            {
                "anyOf": [
                    {"type": "INTEGER", "description": "Which."},
                    {"type": "STRING", "description": "Which."},
                ]
            },
        ),
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "Which."},
            {"type": "INTEGER", "description": "Which.", "nullable": True},
        ),
        (
            {"oneOf": [{"const": "a"}, {"anyOf": [{"const": "b"}, {"type": "boolean"}]}]},
            {
                "anyOf": [
                    {"type": "STRING", "enum": ["a"]},
                    {"type": "STRING", "enum": ["b"]},
                    {"type": "BOOLEAN"},
                ]
            },
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "anyOf": [{"required": ["a"]}, {"properties": {"b": {"type": "integer"}}}],
            },
            {
                "anyOf": [
                    {
                        "type": "OBJECT",
                        "properties": {"a": {"type": "STRING"}},
                        "required": ["a"],
                    },
                    {
                        "type": "OBJECT",
                        "properties": {"a": {"type": "STRING"}, "b": {"type": "INTEGER"}},
                    },
                ]
            },
        ),
        (
            {"allOf": [{"properties": {"a": {}}}, {"required": ["a"]}], "description": "Both."},
            {
                "type": "OBJECT",
                "description": "Both.",
                "properties": {"a": {"type": "STRING"}},
                "required": ["a"],
            },
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"type": "OBJECT"},
        ),
        ({"properties": {}, "required": ["gone"]}, {"type": "OBJECT"}),
        ({"properties": {"no": False}}, {"type": "OBJECT"}),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        (
            {"type": "array", "items": {"type": "number"}, "uniqueItems": True, "maxItems": 3},
            {"type": "ARRAY", "maxItems": 3, "items": {"type": "NUMBER"}},
        ),
        (
            {"prefixItems": [{"type": "number"}, {"type": "string"}]},
            {"type": "ARRAY", "items": {"anyOf": [{"type": "NUMBER"}, {"type": "STRING"}]}},
        ),
        ({"type": "null"}, {"type": "STRING", "nullable": True}),
        ({}, {"type": "STRING"}),
    ],
)
def test_gemini_is_sent_what_it_takes_of_a_schema(schema: Schema, left: Schema) -> None:
    assert reduced(schema) == left
    check_schema(reduced(schema), "it")


def test_gemini_is_sent_references_inlined_with_what_stands_beside_them() -> None:
    definitions = {"a/b": {"type": "string", "description": "Its own."}}
    schema = {"$ref": "#/$defs/a~1b", "description": "Here."}
    assert reduced(schema, **{"$defs": definitions}) == {"type": "STRING", "description": "Here."}


@pytest.mark.parametrize("reference", ["#/$defs/gone", "https://example.com/a.json", "#/type/a"])
def test_a_reference_that_leads_nowhere_says_nothing(reference: str) -> None:
    assert reduced({"$ref": reference}) == {"type": "STRING"}


def test_gemini_is_sent_a_recursive_schema_down_to_its_second_turn() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    left = reduced({"$ref": "#/$defs/node"}, **{"$defs": {"node": node}})
    assert left == {
        "type": "OBJECT",
        "properties": {"next": {"type": "OBJECT", "properties": {"next": {"type": "OBJECT"}}}},
    }


@pytest.mark.parametrize("word", ["anyOf", "allOf", "items", "$ref"])
def test_a_schema_that_only_refers_to_itself_ends(word: str) -> None:
    reference: Any = {"$ref": "#/$defs/a"}
    definition = {word: reference["$ref"] if word == "$ref" else [reference, reference]}
    left = reduced(reference, **{"$defs": {"a": definition}})
    check_schema(left, "it")


def test_a_schema_that_doubles_with_each_reference_is_cut_short() -> None:
    definitions = {
        f"d{level}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{level + 1}"} for name in "ab"},
        }
        for level in range(40)
    }
    left = reduced({"$ref": "#/$defs/d0"}, **{"$defs": definitions})
    assert len(json.dumps(left)) < 200_000
    check_schema(left, "it")


ALTERNATIVES: Schema = {
    "anyOf": [
        {"properties": {"a": {"type": "string"}, "b": {}}, "required": ["a", "b"]},
        {"$ref": "#/$defs/other"},
    ],
    "allOf": [{"properties": {"c": {"type": "integer"}}, "required": ["c"]}],
    "$defs": {"other": {"properties": {"b": {"type": "integer"}}, "required": ["b"]}},
}


def test_alternatives_at_the_top_become_one_object_for_both_vendors() -> None:
    for reduce in (anthropic_schema.reduced, gemini_schema.reduced):
        left = reduce(ALTERNATIVES)
        assert left["type"].lower() == "object"
        assert sorted(left["properties"]) == ["a", "b", "c"]
        assert sorted(left["required"]) == ["b", "c"]
        assert not {"anyOf", "allOf"} & set(left)


def test_claude_is_sent_the_rest_of_a_schema_as_it_is() -> None:
    schema: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "a": {"oneOf": [{"$ref": "#/definitions/x"}, {"type": "null"}]},
            "not plain!": {"type": "string"},
        },
        "required": ["a", "not plain!"],
        "additionalProperties": False,
        "definitions": {"x": {"type": "string", "format": "uri"}},
    }
    assert anthropic_schema.reduced(schema) == {
        "type": "object",
        "properties": {"a": {"oneOf": [{"$ref": "#/definitions/x"}, {"type": "null"}]}},
        "required": ["a"],
        "additionalProperties": False,
        "definitions": {"x": {"type": "string", "format": "uri"}},
    }


def test_claude_is_sent_what_older_drafts_wrote_otherwise_as_it_is_written_today() -> None:
    pair = {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}
    above = {"type": "number", "minimum": 0, "exclusiveMinimum": True, "default": {"items": [1]}}
    left = anthropic_schema.reduced({"properties": {"items": pair, "above": above}})
    assert left["properties"] == {
        "items": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "above": {"type": "number", "minimum": 0, "default": {"items": [1]}},
    }
    Draft202012Validator.check_schema(left)


PLAIN: list[tuple[Schema, list[Any]]] = [
    ({"type": "string"}, ["", "a"]),
    ({"type": "string", "enum": ["x", "y"]}, ["x"]),
    ({"const": 3}, [3]),
    ({"enum": ["x", None]}, ["x", None]),
    ({"type": "integer", "minimum": 0, "exclusiveMaximum": 9}, [0, 8]),
    ({"type": ["boolean", "null"]}, [True, None]),
    ({"$ref": "#/$defs/word"}, ["word"]),
    ({"type": "object", "additionalProperties": True}, [{}, {"z": 1}]),
]
WORDS: Schema = {"$defs": {"word": {"type": "string", "maxLength": 9}}}


def _object(pairs: dict[str, tuple[Schema, Any]]) -> tuple[Schema, Any]:
    schema = {
        "type": "object",
        "properties": {name: pair[0] for name, pair in pairs.items()},
        "required": sorted(pairs),
        "additionalProperties": False,
    }
    return schema, {name: pair[1] for name, pair in pairs.items()}


def _list(pair: tuple[Schema, Any]) -> tuple[Schema, Any]:
    return {"type": "array", "items": pair[0], "minItems": 1}, [pair[1]]


def _choice(one: tuple[Schema, Any], other: tuple[Schema, Any], word: str) -> tuple[Schema, Any]:
    return {word: [one[0], other[0]], "description": "Which."}, one[1]


plain = st.sampled_from(PLAIN).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.sampled_from(pair[1]))
)
fitting = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(_object),
        inner.map(_list),
        st.builds(_choice, inner, inner, st.sampled_from(["anyOf", "oneOf"])),
    ),
    max_leaves=6,
)


@given(fitting)
def test_what_fits_a_schema_fits_what_is_left_of_it(pair: tuple[Schema, Any]) -> None:
    schema, value = pair
    top = {"type": "object", "properties": {"it": schema}, "required": ["it"], **WORDS}
    assume(Draft202012Validator(top).is_valid({"it": value}))  # oneOf takes no value twice
    for_gemini = gemini_schema.reduced(top)
    check_schema(for_gemini, "parameters")
    for left in (anthropic_schema.reduced(top), as_json_schema(for_gemini)):
        Draft202012Validator.check_schema(left)
        Draft202012Validator(left).validate({"it": value})
