"""Turns with tool calls are read as parts, plain and streamed."""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import (
    Cause,
    Message,
    Part,
    ProviderError,
    Request,
    Response,
    Stop,
    Text,
    ToolCall,
    Verbatim,
)
from rolecall_plugins.providers.anthropic_reply import ClaudeReply
from rolecall_plugins.providers.gemini_reply import GeminiReply
from rolecall_plugins.providers.reading.turns import OWN_ID, identified
from rolecall_plugins.providers.reply_reader import Reading, Reply
from rolecall_plugins.providers.writing import anthropic_request, gemini_request

THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "eA=="}
SAID = {"type": "text", "text": "I look."}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"path": "é", "n": 1}}
OTHER = {"type": "tool_use", "id": "toolu_2", "name": "list", "input": {}}
SIGNED = Verbatim("gemini", {"thoughtSignature": "c2ln"})


def read(reply: Reply, payload: Any) -> Response:
    reading = Reading(reply, 200, {"content-type": "application/json"})
    reading.feed(json.dumps(payload).encode())
    reading.close()
    return reading.finish()


def streamed(reply: Reply, events: Iterable[Any]) -> Response:
    reading = Reading(reply, 200, {"content-type": "text/event-stream"})
    for event in events:
        reading.feed(f"data: {json.dumps(event)}\n\n".encode())
    reading.close()
    return reading.finish()


def message(*blocks: Any, stop: str = "tool_use") -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 2}
    return {"type": "message", "content": list(blocks), "stop_reason": stop, "usage": usage}


def events(*blocks: Any, stop: str = "tool_use", cuts: Sequence[int] = ()) -> list[Any]:
    """Return a message as a stream, each text or JSON cut at these places."""
    whole = message(*blocks, stop=stop)
    told: list[Any] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}
    ]
    for index, block in enumerate(blocks):
        beginning, deltas = _deltas(block, cuts)
        told.append({"type": "content_block_start", "index": index, "content_block": beginning})
        told += [{"type": "content_block_delta", "index": index, "delta": each} for each in deltas]
        told.append({"type": "content_block_stop", "index": index})
    told.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": whole["usage"]})
    return [*told, {"type": "message_stop"}]


def _deltas(block: Any, cuts: Sequence[int]) -> tuple[Any, list[Any]]:
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [
                {"type": "text_delta", "text": piece} for piece in _cut(block["text"], cuts)
            ]
        case "thinking":
            pieces = [
                {"type": "thinking_delta", "thinking": piece}
                for piece in _cut(block["thinking"], cuts)
            ]
            sign = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*pieces, sign]
        case "tool_use" | "server_tool_use":
            pieces = ["", *_cut(json.dumps(block["input"]), cuts)]
            return {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": piece} for piece in pieces
            ]
    return block, []


def _cut(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def answer(*parts: Any, finish: str | None = "STOP") -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return {"candidates": [{name: value for name, value in candidate.items() if value}]}


def wanted(name: str = "look", **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **more}}


@given(st.lists(st.integers(0, 99), max_size=4))
def test_claudes_turn_is_read_in_its_order_however_it_is_cut(cuts: list[int]) -> None:
    blocks = (THINKING, SAID, HIDDEN, CALL, {"type": "text", "text": "And:"}, OTHER)
    parts = (
        Verbatim("claude", THINKING),
        Text("I look."),
        Verbatim("claude", HIDDEN),
        ToolCall("toolu_1", "look", {"path": "é", "n": 1}),
        Text("And:"),
        ToolCall("toolu_2", "list"),
    )
    plain = read(ClaudeReply(), message(*blocks))
    assert (plain.stop, plain.text, plain.parts) == (Stop.TOOL_USE, "I look.And:", parts)
    assert streamed(ClaudeReply(), events(*blocks, cuts=cuts)) == plain


@pytest.mark.parametrize("written", ['{"path": ', "[1]", '"a"', "null", '{"a": 1} {'])
def test_arguments_that_are_no_json_object_are_kept_as_they_were_written(written: str) -> None:
    told = events({**CALL, "input": {}})
    told[3]["delta"]["partial_json"] = written
    (call,) = streamed(ClaudeReply(), told).tool_calls
    assert (call.arguments, call.malformed) == ({}, written)
    (call,) = read(ClaudeReply(), message({**CALL, "input": written})).tool_calls
    assert (call.arguments, json.loads(call.malformed)) == ({}, written)


def test_what_claude_adds_to_a_call_stays_with_it() -> None:
    (call,) = read(ClaudeReply(), message({**CALL, "caller": {"type": "direct"}})).tool_calls
    assert call.verbatim == Verbatim("claude", {"caller": {"type": "direct"}})


def test_a_call_counts_although_claude_says_that_its_turn_is_over() -> None:
    assert read(ClaudeReply(), message(CALL, stop="end_turn")).stop is Stop.TOOL_USE


def test_a_stop_for_tools_without_a_call_is_a_bad_call() -> None:
    response = read(ClaudeReply(), message(SAID))
    assert (response.stop, response.parts) == (Stop.BAD_TOOL_CALL, ())


@pytest.mark.parametrize("block", [THINKING, HIDDEN, SAID])
def test_a_turn_without_calls_has_no_parts(block: Any) -> None:
    response = read(ClaudeReply(), message(block, SAID, stop="end_turn"))
    assert (response.stop, response.parts) == (Stop.END, ())
    parts: list[Any] = [{"text": "Hm.", "thought": True}, {"text": "x", "thoughtSignature": "eA=="}]
    assert read(GeminiReply(), answer(*parts)).parts == ()


def test_a_call_that_the_limit_cut_is_none() -> None:
    told = events(SAID, CALL, stop="max_tokens", cuts=[5])
    response = streamed(ClaudeReply(), told)
    assert (response.stop, response.parts) == (Stop.LENGTH, ())
    gemini = read(GeminiReply(), answer(wanted(), finish="MAX_TOKENS"))
    assert (gemini.stop, gemini.parts) == (Stop.LENGTH, ())


PARTS = (
    {"text": "Hm.", "thought": True},
    {"text": "I look."},
    {**wanted(id="8f3", args={"path": "é"}), "thoughtSignature": "c2ln"},
    wanted("list"),
    {"text": "", "thoughtSignature": "c2ln"},
)


def test_geminis_turn_is_read_in_its_order_each_signature_in_its_part() -> None:
    plain = read(GeminiReply(), answer(*PARTS))
    assert plain.stop is Stop.TOOL_USE
    assert plain.text == "I look."
    assert plain.parts == (
        Verbatim("gemini", {"text": "Hm.", "thought": True}),
        Text("I look."),
        ToolCall("8f3", "look", {"path": "é"}, "", SIGNED),
        ToolCall(f"{OWN_ID}4", "list"),
        Text("", SIGNED),
    )
    chunks = [answer(part, finish=None) for part in PARTS]
    ending = answer({"text": ""})
    assert streamed(GeminiReply(), [*chunks, ending]).parts[:5] == plain.parts


def test_arguments_of_geminis_that_are_no_object_are_kept() -> None:
    (call,) = read(GeminiReply(), answer(wanted(args=["a"]))).tool_calls
    assert (call.arguments, json.loads(call.malformed)) == ({}, ["a"])


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "é"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {"type": "web_search_result", "url": "https://example.com", "encrypted_content": "x"}
    ],
}
RAN = {
    "type": "bash_code_execution_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": {"type": "bash_code_execution_result", "stdout": "1", "return_code": 0},
}
CITED = {
    **SAID,
    "citations": [{"type": "web_search_result_location", "url": "https://example.com"}],
}


@given(st.lists(st.integers(0, 99), max_size=4))
def test_what_claudes_own_tools_leave_in_a_turn_goes_back_as_it_came(cuts: list[int]) -> None:
    blocks = (THINKING, SEARCH, FOUND, RAN, CITED, CALL)
    plain = read(ClaudeReply(), message(*blocks))
    told = events(*blocks, cuts=cuts)
    place = next(
        number
        for number, event in enumerate(told)
        if event.get("index") == 4 and event["type"] == "content_block_start"
    )
    del told[place]["content_block"]["citations"]
    cited = {"type": "citations_delta", "citation": CITED["citations"][0]}
    told.insert(place + 1, {"type": "content_block_delta", "index": 4, "delta": cited})
    for response in (plain, streamed(ClaudeReply(), told)):
        turn = anthropic_request.write(
            Request("", (Message("assistant", parts=response.parts),)), "claude"
        )
        assert turn["messages"] == [{"role": "assistant", "content": list(blocks)}]
        assert [call.id for call in response.tool_calls] == ["toolu_1"]


def test_what_geminis_own_tools_leave_in_a_turn_goes_back_as_it_came() -> None:
    parts = (
        {"executableCode": {"language": "PYTHON", "code": "1 + 1"}, "thoughtSignature": "c2ln"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s1"}},
        {"text": "Two."},
        {**wanted(id="1", args={"n": 1}), "thoughtSignature": "c2ln"},
        wanted("list", id="2", args={}),
    )
    plain = read(GeminiReply(), answer(*parts))
    for response in (
        plain,
        streamed(GeminiReply(), [answer(*parts[:3], finish=None), answer(*parts[3:])]),
    ):
        turn = gemini_request.write(
            Request("", (Message("assistant", parts=response.parts),)), "gemini"
        )
        assert turn["contents"] == [{"role": "model", "parts": list(parts)}]
        assert response.text == "Two."


def test_a_turn_that_claude_paused_in_a_tool_of_its_own_is_no_answer() -> None:
    response = read(ClaudeReply(), message(SAID, SEARCH, stop="pause_turn"))
    assert response.stop is Stop.BAD_TOOL_CALL
    assert "pause_turn" in response.detail


@pytest.mark.parametrize(
    "reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"]
)
@pytest.mark.parametrize("parts", [[], [wanted()]])
def test_a_call_that_gemini_rejects_is_a_bad_one(reason: str, parts: list[Any]) -> None:
    response = read(GeminiReply(), answer(*parts, finish=reason))
    assert (response.stop, response.parts) == (Stop.BAD_TOOL_CALL, ())


def test_a_stream_that_breaks_off_behind_a_call_is_a_broken_connection() -> None:
    with pytest.raises(ProviderError) as caught:
        streamed(GeminiReply(), [answer(wanted(), finish=None)])
    assert caught.value.cause is Cause.CONNECTION
    with pytest.raises(ProviderError) as caught:
        streamed(ClaudeReply(), events(CALL)[:-2])
    assert caught.value.cause is Cause.CONNECTION


ids = st.sampled_from(["", "a", "b", "c"])
parts = st.builds(Text, st.just("x")) | st.builds(ToolCall, ids, st.just("look"))


@given(st.lists(parts, max_size=6))
def test_each_call_of_a_turn_gets_an_id_of_its_own(turn: list[Part]) -> None:
    calls = [part for part in identified(turn) if isinstance(part, ToolCall)]
    assert len({call.id for call in calls}) == len(calls)
    assert all(call.id for call in calls)
    assert identified(identified(turn)) == identified(turn)
