"""Conversations with tools, as they are written for the Gemini API."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given

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
from rolecall_plugins.providers.writing.gemini_request import OWN_ID, UNSIGNED, write
from rolecall_plugins.simulator.exchange import Incoming
from rolecall_plugins.simulator.gemini.requests import read_body
from rolecall_plugins.simulator.gemini.turns import is_dummy

from .test_anthropic_request import ASKED, LOOK, conversations, said, told

SIGNED = Verbatim("gemini", {"thoughtSignature": "c2ln"})
OLD, NEW = "gemini-2.5-flash", "gemini-3.8-flash"


def contents(*turns: Message, model: str = OLD, tools: Sequence[ToolSpec] = ()) -> list[Any]:
    return list(write(Request("", turns, model=model, tools=tuple(tools)), "gemini")["contents"])


def parts(*given: Part, model: str = OLD) -> list[Any]:
    """Return how the parts of an answer are written."""
    return list(contents(ASKED, said(*given), model=model)[1]["parts"])


def test_tools_are_declared_and_an_empty_schema_is_left_out() -> None:
    bare = ToolSpec("list", "List.", {"type": "object", "properties": {}})
    (tool,) = write(Request("", (ASKED,), tools=(LOOK, bare)), "gemini")["tools"]
    assert tool["functionDeclarations"] == [
        {
            "name": "look",
            "description": "Look.",
            "parameters": {"type": "OBJECT", "properties": {"path": {"type": "STRING"}}},
        },
        {"name": "list", "description": "List."},
    ]


def test_a_turn_comes_back_in_its_order_each_signature_in_its_part() -> None:
    thought = {"text": "Hm.", "thought": True}
    assert parts(
        Verbatim("gemini", thought),
        Text("I look."),
        ToolCall("a", "look", {"path": "x"}, "", SIGNED),
        ToolCall("b", "look"),
        Text("", SIGNED),
    ) == [
        thought,
        {"text": "I look."},
        {
            "functionCall": {"name": "look", "args": {"path": "x"}, "id": "a"},
            "thoughtSignature": "c2ln",
        },
        {"functionCall": {"name": "look", "args": {}, "id": "b"}},
        {"text": "", "thoughtSignature": "c2ln"},
    ]


def test_what_another_provider_wants_back_is_left_out() -> None:
    thought = Verbatim("claude", {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"})
    cited = Text("So.", Verbatim("claude", {"citations": []}))
    assert parts(thought, cited) == [{"text": "So."}]


def test_results_go_back_by_name_and_id_together_and_first() -> None:
    calls = said(ToolCall("a", "look"), ToolCall(f"{OWN_ID}2", "read"))
    results = told(
        Text("Hurry."),
        ToolResult("A", False, "a", "look"),
        ToolResult("B", True, f"{OWN_ID}2", "read"),
    )
    assert contents(ASKED, calls, results)[2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "look", "response": {"output": "A"}, "id": "a"}},
            {"functionResponse": {"name": "read", "response": {"error": "B"}}},
            {"text": "Hurry."},
        ],
    }


def test_a_result_without_a_name_has_that_of_its_call() -> None:
    turns = (ASKED, said(ToolCall("a", "look")), told(ToolResult("A", False, "a")))
    (part,) = contents(*turns)[2]["parts"]
    assert part["functionResponse"]["name"] == "look"


def test_an_id_that_the_vendor_did_not_make_is_not_sent() -> None:
    assert parts(ToolCall(f"{OWN_ID}1", "look")) == [{"functionCall": {"name": "look", "args": {}}}]


def test_a_malformed_call_goes_back_as_an_empty_one() -> None:
    (part,) = parts(ToolCall("a", "look", malformed='["a"]'))
    assert part["functionCall"]["args"] == {}


def test_the_first_call_of_another_model_is_marked_as_unsigned_where_it_must_be_signed() -> None:
    foreign = Verbatim("claude", {"caller": {}})
    calls = (ToolCall("a", "look", {}, "", foreign), ToolCall("b", "look"))
    first, second = parts(*calls, model=NEW)
    assert first["thoughtSignature"] == UNSIGNED
    assert is_dummy(UNSIGNED)
    assert "thoughtSignature" not in second
    assert "thoughtSignature" not in parts(*calls, model=OLD)[0]
    (own,) = parts(ToolCall("a", "look", {}, "", SIGNED), model=NEW)
    assert own["thoughtSignature"] == "c2ln"


@pytest.mark.parametrize(
    ("attachment", "part"),
    [
        (
            Attachment("image/webp", b"webp", "a.webp"),
            {"inlineData": {"mimeType": "image/webp", "data": "d2VicA=="}},
        ),
        (
            Attachment("application/pdf", b"pdf", "a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "cGRm"}},
        ),
        (Attachment("text/markdown", b"# A", "a.md"), {"text": "a.md:\n# A"}),
        (Attachment("text/markdown", b"# A"), {"text": "# A"}),
    ],
)
def test_an_attachment_is_sent_in_its_place(attachment: Attachment, part: Any) -> None:
    turn = Message("user", "See:", (attachment, Text("What is it?")))
    assert contents(turn)[0]["parts"] == [{"text": "See:"}, part, {"text": "What is it?"}]


@pytest.mark.parametrize("kind", ["image/gif", "application/zip"])
def test_an_attachment_that_gemini_cannot_take_is_refused_by_its_type(kind: str) -> None:
    with pytest.raises(ProviderError, match=kind) as caught:
        contents(told(Attachment(kind, b"x")))
    assert caught.value.cause is Cause.INVALID_REQUEST


@given(conversations())
def test_whatever_was_said_the_vendor_takes_it(turns: tuple[Message, ...]) -> None:
    body = write(Request("", turns, model=NEW, tools=(LOOK,)), "gemini")
    read_body(body, Incoming(provider="gemini", key="k", body=b"", model=NEW))
