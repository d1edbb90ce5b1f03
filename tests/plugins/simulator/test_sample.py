"""Answers that have to fit a schema fit it, in both vendors' formats."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.content.sample import sample

from .test_tools import VENDORS, Vendor

NAMES = st.text("abcdef", min_size=1, max_size=3)
COUNTS = st.integers(0, 4)


def numbers(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.just(kind)},
        optional={"minimum": st.integers(-50, 0), "maximum": st.integers(1, 50)},
    )


TEXTS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={"minLength": COUNTS, "maxLength": st.integers(5, 30)},
    ),
    st.builds(lambda words: {"type": "string", "enum": words}, st.lists(NAMES, min_size=1)),
    st.builds(lambda kind: {"type": "string", "format": kind}, st.sampled_from(["date", "uuid"])),
)
LEAVES = st.one_of(
    TEXTS,
    numbers("integer"),
    numbers("number"),
    st.just({"type": "boolean"}),
    st.just({"type": ["string", "null"]}),
    st.just({"const": 7}),
    st.just({}),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def made(properties: dict[str, Any], required: int) -> dict[str, Any]:
        names = sorted(properties)
        return {
            "type": "object",
            "properties": properties,
            "required": names[:required],
            "additionalProperties": False,
        }

    return st.builds(made, st.dictionaries(NAMES, inner, max_size=4), COUNTS)


def lists(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def made(items: Any, fewest: int, more: int) -> dict[str, Any]:
        return {"type": "array", "items": items, "minItems": fewest, "maxItems": fewest + more}

    return st.builds(made, inner, COUNTS, COUNTS)


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        objects(inner),
        lists(inner),
        st.builds(lambda choices: {"anyOf": choices}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=10,
)


@given(SCHEMAS)
def test_what_is_made_up_fits_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(sample(schema), schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer", "minimum": 3}}},
        {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}]},
        {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "integer", "multipleOf": 7, "minimum": 10},
        {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2},
        {"type": "object", "required": ["a"], "additionalProperties": {"type": "boolean"}},
        {"type": "object", "minProperties": 2},
        {"properties": {"a": {"type": "null"}}, "required": ["a"]},
        {
            "$defs": {
                "tree": {
                    "type": "object",
                    "properties": {"inner": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
                    "required": ["inner"],
                }
            },
            "$ref": "#/$defs/tree",
        },
    ],
)
def test_less_common_words_of_schemas_are_known(schema: dict[str, Any]) -> None:
    jsonschema.validate(sample(schema), schema)


def test_a_schema_that_refers_to_itself_for_ever_ends() -> None:
    assert sample({"$ref": "#"}) is None or True
    assert sample({"type": "array", "items": {"$ref": "#"}, "minItems": 1})


SCHEMA = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["good", "bad"]},
        "findings": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["verdict", "findings"],
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("form", ["json", "sse"])
def test_an_answer_fits_the_schema_that_a_request_asks_for(vendor: Vendor, form: Any) -> None:
    reply = vendor.ask(form=form, **vendor.structured(SCHEMA))
    answer = json.loads(vendor.text(reply))
    jsonschema.validate(answer, SCHEMA)
    assert answer["verdict"] == "good"


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_answer_to_a_schema_may_be_scripted_all_the_same(vendor: Vendor) -> None:
    vendor.script('{"verdict": "bad", "findings": []}')
    answer = json.loads(vendor.text(vendor.ask(**vendor.structured(SCHEMA))))
    assert answer == {"verdict": "bad", "findings": []}
