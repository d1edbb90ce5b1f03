"""What of a JSON Schema each vendor is told to hold a model to."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.providers.writing.answer_schema import for_anthropic, for_gemini
from rolecall_plugins.simulator.anthropic.tools import read_format

RISKS = {
    "type": "object",
    "properties": {
        "risks": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": 80},
                    "weight": {"type": "integer", "minimum": 0, "maximum": 9},
                    "kind": {"enum": ["fire", "flood"]},
                },
                "required": ["name"],
            },
        }
    },
    "required": ["risks"],
}


def test_anthropic_gets_closed_objects_without_bounds() -> None:
    assert for_anthropic(RISKS) == {
        "type": "object",
        "properties": {
            "risks": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "weight": {"type": "integer"},
                        "kind": {"enum": ["fire", "flood"]},
                    },
                    "required": ["name"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["risks"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "array", "items": {}},
        {"type": "object", "properties": {"any": True}},
        {"anyOf": [{"type": "string"}, {"type": "object"}]},
    ],
)
def test_anthropic_is_told_nothing_where_any_property_may_come(schema: dict[str, Any]) -> None:
    assert for_anthropic(schema) is None


def test_gemini_gets_its_own_form() -> None:
    schema = for_gemini(RISKS)["responseSchema"]
    assert schema["type"] == "OBJECT"
    assert schema["properties"]["risks"]["items"]["properties"]["weight"]["maximum"] == 9
    assert for_gemini({"type": "array", "items": {"type": "string"}})["responseSchema"] == {
        "type": "ARRAY",
        "items": {"type": "STRING"},
    }


PLAIN = st.sampled_from([{"type": "string"}, {"type": "integer"}, {"enum": ["a", "b"]}])
SCHEMAS = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(
            lambda properties: {"type": "object", "properties": properties},
            st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, min_size=1, max_size=3),
        ),
        st.builds(lambda one, two: {"oneOf": [one, two]}, inner, inner),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_what_anthropic_gets_is_what_it_takes(schema: dict[str, Any]) -> None:
    closed = for_anthropic(schema)
    assert closed is not None
    body = {"output_config": {"format": {"type": "json_schema", "schema": closed}}}
    assert read_format(json.loads(json.dumps(body))) == closed
