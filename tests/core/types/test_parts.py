"""The parts of a turn survive the journal, whatever they hold."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import (
    Attachment,
    Message,
    Part,
    Request,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Verbatim,
)
from rolecall.storage.step_store import step_key
from rolecall.types.parts import from_json, size, to_json

TEXTS = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(TEXTS, JSON, max_size=3)
VERBATIM = st.builds(Verbatim, TEXTS, TABLES)
PARTS: st.SearchStrategy[Part] = st.one_of(
    VERBATIM,
    st.builds(Text, TEXTS, st.none() | VERBATIM),
    st.builds(ToolCall, TEXTS, TEXTS, TABLES, TEXTS, st.none() | VERBATIM),
    st.builds(ToolResult, TEXTS, st.booleans(), TEXTS, TEXTS),
    st.builds(Attachment, TEXTS, st.binary(max_size=8), TEXTS),
)
ASKED = Request("system", (Message("user", "question"),))
LINT = ToolSpec("lint", "Check the style.", {"type": "object"})


@given(PARTS)
def test_a_part_is_read_as_it_was_written(part: Part) -> None:
    assert from_json(json.loads(json.dumps(to_json(part)))) == part
    assert size([part]) > 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"text": 3},
        {"call": "1", "name": "lint"},
        {"call": "1", "name": "lint", "arguments": []},
        {"result": "1", "name": "lint", "text": "fine", "is_error": "no"},
        {"media_type": "image/png", "data": "no base64!", "name": ""},
        {"verbatim": {"provider": "one"}},
    ],
)
def test_what_is_no_part_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"part|base64|character"):
        from_json(value)


def test_the_content_of_a_turn_is_its_text_and_its_parts() -> None:
    call = ToolCall("1", "lint")
    assert Message("user", "hello").content == (Text("hello"),)
    assert Message("assistant", parts=(call,)).content == (call,)
    assert Message("assistant", "hello", (call,)).content == (Text("hello"), call)


def test_the_key_of_a_step_of_text_is_what_it_was_before_there_were_parts() -> None:
    key = "2e9fb93715ecf5c41c13357d1c2fc98abeae87169dacd8c3cc07074e69f65f5e"
    assert step_key("writer", 0, ASKED) == key


def test_parts_and_tools_are_part_of_a_steps_key() -> None:
    results = (Message("user", parts=(ToolResult("fine", call="1", name="lint"),)),)
    keys = {
        step_key("writer", 0, request)
        for request in (
            ASKED,
            Request("system", ASKED.messages, tools=(LINT,)),
            Request("system", (*ASKED.messages, *results)),
            Request("system", (*ASKED.messages, *results), tools=(LINT,)),
        )
    }
    assert len(keys) == 4
