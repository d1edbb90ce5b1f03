"""Conversations with tools, as they are written for the Anthropic API."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import (
    Attachment,
    Cause,
    Message,
    Part,
    ProviderError,
    Request,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Verbatim,
)
from rolecall_plugins.providers.writing.anthropic_request import SILENT, write
from rolecall_plugins.simulator.anthropic.requests import read_body

LOOK = ToolSpec("look", "Look.", {"type": "object", "properties": {"path": {"type": "string"}}})
ASKED = Message("user", "Go.")


def messages(*turns: Message, tools: Sequence[ToolSpec] = ()) -> list[Any]:
    request = Request("", turns, tools=tuple(tools))
    return list(write(request, "claude")["messages"])


def said(*parts: Part) -> Message:
    return Message("assistant", parts=parts)


def told(*parts: Part) -> Message:
    return Message("user", parts=parts)


def use(id: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "look", "input": arguments}


def test_a_tool_is_offered_by_its_schema() -> None:
    written = write(Request("", (ASKED,), tools=(LOOK,)), "claude")
    (tool,) = written["tools"]
    assert (tool["name"], tool["description"]) == ("look", "Look.")
    assert tool["input_schema"]["properties"] == {"path": {"type": "string"}}
    assert "tools" not in write(Request("", (ASKED,)), "claude")


def test_a_turn_comes_back_in_its_order() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "eA=="}
    turn = said(
        Verbatim("claude", thought),
        Text("I look."),
        Verbatim("claude", hidden),
        ToolCall("toolu_1", "look", {"path": "a"}),
    )
    assert messages(ASKED, turn)[1] == {
        "role": "assistant",
        "content": [
            thought,
            {"type": "text", "text": "I look."},
            hidden,
            use("toolu_1", path="a"),
        ],
    }


def test_what_a_part_came_with_is_merged_into_it() -> None:
    own = Verbatim("claude", {"caller": {"type": "direct"}})
    (_, turn) = messages(ASKED, said(ToolCall("a", "look", {}, "", own)))
    assert turn["content"] == [{**use("a"), "caller": {"type": "direct"}}]


def test_what_another_provider_wants_back_is_left_out() -> None:
    signed = Verbatim("gemini", {"thoughtSignature": "c2ln"})
    turn = said(Verbatim("gemini", {"thought": True}), ToolCall("a", "look", {}, "", signed))
    assert messages(ASKED, turn)[1]["content"] == [use("a")]


def test_a_turn_of_nothing_but_what_another_provider_wants_back_is_left_out() -> None:
    foreign = said(Verbatim("gemini", {"thought": True, "text": "Hm."}))
    (only,) = messages(ASKED, foreign, Message("user", "And?"))
    assert [block["text"] for block in only["content"]] == ["Go.", "And?"]


def test_results_stand_first_and_together() -> None:
    calls = said(ToolCall("a", "look"), ToolCall("b", "look"))
    results = told(Text("Hurry."), ToolResult("A", False, "a"), ToolResult("B", True, "b"))
    assert messages(ASKED, calls, results)[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "A"},
        {"type": "tool_result", "tool_use_id": "b", "content": "B", "is_error": True},
        {"type": "text", "text": "Hurry."},
    ]


def test_a_malformed_call_goes_back_as_an_empty_one() -> None:
    (_, turn) = messages(ASKED, said(ToolCall("a", "look", malformed='{"pa')))
    assert turn["content"] == [use("a")]


def test_a_failure_without_a_word_gets_one() -> None:
    calls = said(ToolCall("a", "look"), ToolCall("b", "look"))
    results = told(ToolResult(" ", True, "a"), ToolResult("", False, "b"))
    first, second = messages(ASKED, calls, results)[2]["content"]
    assert first["content"] == SILENT
    assert "content" not in second


def test_ids_of_another_provider_become_plain_and_unique() -> None:
    turns = []
    for _ in range(2):
        turns += [
            said(ToolCall("call:1", "look"), ToolCall("toolu_1", "look")),
            told(ToolResult("A", False, "call:1"), ToolResult("B", False, "toolu_1")),
        ]
    written = messages(ASKED, *turns)
    ids = [[block["id"] for block in turn["content"]] for turn in written[1::2]]
    assert ids == [["call_1", "toolu_1"], ["call_1_2", "toolu_1_2"]]
    answered = [[block["tool_use_id"] for block in turn["content"]] for turn in written[2::2]]
    assert answered == ids


@pytest.mark.parametrize(
    ("attachment", "block"),
    [
        (
            Attachment("image/PNG", b"png", "a.png"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"},
            },
        ),
        (
            Attachment("application/pdf", b"pdf", "a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"},
                "title": "a.pdf",
            },
        ),
        (
            Attachment("text/csv; charset=utf-8", "é;1".encode(), "a.csv"),
            {"type": "text", "text": "a.csv:\né;1"},
        ),
    ],
)
def test_an_attachment_is_sent_in_its_place(attachment: Attachment, block: Any) -> None:
    turn = Message("user", "See:", (attachment, Text("What is it?")))
    first, sent, last = messages(turn)[0]["content"]
    assert (first["text"], last["text"]) == ("See:", "What is it?")
    assert sent == block


@pytest.mark.parametrize("kind", ["image/bmp", "image/svg+xml", "application/zip", "audio/wav"])
def test_an_attachment_that_claude_cannot_take_is_refused_by_its_type(kind: str) -> None:
    with pytest.raises(ProviderError, match=kind.replace("+", r"\+")) as caught:
        messages(told(Attachment(kind, b"x")))
    assert caught.value.cause is Cause.INVALID_REQUEST


def test_a_text_that_is_none_is_refused() -> None:
    with pytest.raises(ProviderError, match=r"notes of type text/plain is not in UTF-8"):
        messages(told(Attachment("text/plain", b"\xff\xfe", "notes")))


def rounds(number: int) -> tuple[Message, ...]:
    turns = [ASKED]
    for each in range(number):
        calls = [ToolCall(f"{each}-{call}", "look") for call in range(15)]
        results = [ToolResult("seen", False, call.id) for call in calls]
        turns += [said(*calls), told(*results)]
    return tuple(turns)


def marked(turns: list[Any]) -> list[tuple[int, int]]:
    return [
        (number, place)
        for number, turn in enumerate(turns)
        for place, block in enumerate(turn["content"])
        if "cache_control" in block
    ]


def test_the_end_of_the_conversation_is_marked_and_the_end_that_was_marked_before() -> None:
    assert marked(messages(*rounds(0), tools=[LOOK])) == [(0, 0)]
    assert marked(messages(*rounds(1), tools=[LOOK])) == [(0, 0), (2, 14)]
    assert marked(messages(*rounds(30), tools=[LOOK])) == [(58, 14), (60, 14)]


def test_without_tools_nothing_is_marked() -> None:
    assert marked(messages(told(Attachment("text/plain", b"x")))) == []


def test_a_longer_conversation_begins_with_the_very_bytes_of_the_shorter_one() -> None:
    shorter, longer = (messages(*rounds(number), tools=[LOOK]) for number in (3, 4))
    for turns in (shorter, longer):
        for turn in turns:
            for block in turn["content"]:
                block.pop("cache_control", None)
    assert json.dumps(longer[: len(shorter)]) == json.dumps(shorter)


words = st.text(max_size=5)
own = st.sampled_from(
    [
        None,
        Verbatim("claude", {"citations": None}),
        Verbatim("gemini", {"thoughtSignature": "c2ln"}),
    ]
)
thoughts = st.sampled_from(
    [
        Verbatim("claude", {"type": "redacted_thinking", "data": "eA=="}),
        Verbatim("gemini", {"text": "Hm.", "thought": True}),
    ]
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    turns = [Message("user", "Go.", draw(st.tuples(st.builds(Text, words))))]
    for _ in range(draw(st.integers(0, 3))):
        ids = draw(st.lists(words, max_size=3, unique=True))
        calls = [ToolCall(id, "look", {}, draw(words), draw(own)) for id in ids]
        before = draw(st.lists(st.builds(Text, words, own) | thoughts, max_size=2))
        results = [ToolResult(draw(words), draw(st.booleans()), id, "look") for id in ids]
        more = draw(st.lists(st.builds(Text, words), max_size=1))
        turns += [said(*before, *calls), told(*draw(st.permutations([*results, *more])))]
    return (*turns, Message("user", "And?"))


@given(conversations())
def test_whatever_was_said_the_vendor_takes_it(turns: tuple[Message, ...]) -> None:
    body = write(Request("", turns, tools=(LOOK,)), "claude")
    read_body({"model": "claude-sonnet-5-5", "max_tokens": 9, **body})


def test_writing_changes_no_value() -> None:
    payload = {"type": "redacted_thinking", "data": "eA=="}
    turn = told(Verbatim("claude", payload))
    write(Request("", (turn,), tools=(LOOK,)), "claude")
    assert payload == {"type": "redacted_thinking", "data": "eA=="}
