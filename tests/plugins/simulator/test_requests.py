"""What both APIs accept, and how they turn the rest away."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.anthropic import requests as anthropic_requests
from rolecall_plugins.simulator.exchange import Incoming, Query, Rejected, Turn
from rolecall_plugins.simulator.gemini import requests as gemini_requests

from .asking import claude_body, gemini_body
from .recorded import exchanges

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def claude(body: Any, key: str = "a key") -> Query:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return anthropic_requests.read(Incoming(provider="claude", key=key, body=raw))


def gemini(body: Any, key: str = "a key", model: str = "gemini-3.8-flash") -> Query:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    incoming = Incoming(provider="gemini", key=key, model=model, version="v1beta", body=raw)
    return gemini_requests.read(incoming)


def test_claude_takes_texts_and_lists_of_blocks_alike() -> None:
    block = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "C"}, {"type": "text", "text": "D"}],
        },
        {"role": "user", "content": "E"},
    ]
    query = claude(claude_body(system=[block], messages=messages, thinking={"type": "adaptive"}))
    assert query.system == "Be brief."
    assert query.turns == (Turn("user", "A\n\nB"), Turn("assistant", "CD"), Turn("user", "E"))
    assert query.thinking


def test_gemini_takes_both_spellings_of_its_names() -> None:
    camel = gemini_body("Hello", generationConfig={"maxOutputTokens": 9})
    snake = {
        "contents": [{"parts": [{"text": "Hello"}]}],
        "system_instruction": camel["systemInstruction"],
        "generation_config": {"max_output_tokens": 9},
    }
    assert gemini(camel) == gemini(snake)
    assert gemini(camel).max_tokens == 9


def test_gemini_thinks_unless_its_budget_is_0() -> None:
    assert gemini(gemini_body()).thinking
    config = {"thinkingConfig": {"thinkingBudget": 0}}
    assert not gemini(gemini_body(generationConfig=config)).thinking


def test_thoughts_sent_back_are_no_text() -> None:
    parts = [{"text": "Hm.", "thought": True}, {"text": "Yes."}]
    contents = [*gemini_body()["contents"], {"role": "model", "parts": parts}]
    assert gemini(gemini_body(contents=contents)).turns[-1].text == "Yes."


def test_input_tokens_are_a_quarter_of_the_characters() -> None:
    assert claude(claude_body("x" * 10, system="y" * 5)).input_tokens == 3 + 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"model": ', "The request body is not valid JSON"),
        (b"\xff", "The request body is not valid JSON"),
        (b"[" * 100_000, "The request body is not valid JSON"),
        (b"[]", "should be a valid JSON object"),
        ({}, "model: Field required"),
        ({"model": 5}, "model: Input should be a valid string"),
        ({"model": "claude-x"}, "messages: Field required"),
        ({"model": "claude-x", "messages": "Hi"}, "messages: Input should be a valid list"),
        ({"model": "claude-x", "messages": []}, "max_tokens: Field required"),
        (claude_body(max_tokens=0), "max_tokens: Input should be greater than or equal to 1"),
        (claude_body(max_tokens=True), "max_tokens: Input should be a valid integer"),
        (claude_body(messages=[]), "messages: at least one message is required"),
        (claude_body(messages=["Hi"]), "messages.0: Input should be a valid dictionary"),
        (claude_body(messages=[{"role": "model"}]), "messages.0.role: Input should be 'user'"),
        (claude_body(messages=[{"role": "user"}]), "messages.0.content: Field required"),
        (claude_body(None), "messages.0.content: Input should be a valid list"),
        (claude_body([{"text": "Hi"}]), "messages.0.content.0.type: Field required"),
        (claude_body([{"type": "text", "text": 5}]), "messages.0.content.0.text: Input should be"),
        (claude_body(system=5), "system: Input should be a valid list"),
        (claude_body(stream="yes"), "stream: Input should be a valid boolean"),
    ],
)
def test_claude_turns_a_broken_request_away(body: Any, said: str) -> None:
    with pytest.raises(Rejected) as rejection:
        claude(body)
    found = rejection.value
    assert (found.cause, found.status) == ("invalid_request", 400)
    assert found.kind == "invalid_request_error"
    assert said in str(found)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"contents": ', "Invalid JSON payload received."),
        (b"[]", "Invalid JSON payload received."),
        ({}, "contents is not specified"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": ["Hi"]}, "Invalid value at 'contents[0]'"),
        ({"contents": [{"role": "assistant"}]}, "Please use a valid role: user, model."),
        ({"contents": [{"parts": ["Hi"]}]}, "Invalid value at 'contents[0].parts'"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "Invalid value at 'contents[0].parts'"),
        (gemini_body(generationConfig=[1]), "Invalid value at 'generation_config'"),
        (gemini_body(generationConfig={"maxOutputTokens": "5"}), "'max_output_tokens': '5'"),
        (gemini_body(generationConfig={"maxOutputTokens": -5}), "'max_output_tokens': -5"),
    ],
)
def test_gemini_turns_a_broken_request_away(body: Any, said: str) -> None:
    with pytest.raises(Rejected) as rejection:
        gemini(body)
    found = rejection.value
    assert (found.cause, found.status) == ("invalid_request", 400)
    assert found.kind == "INVALID_ARGUMENT"
    assert said in str(found)


def test_a_missing_key_comes_before_everything_else() -> None:
    for rejected, status in ((claude, 401), (gemini, 403)):
        with pytest.raises(Rejected) as rejection:
            rejected(b"nonsense", key="")
        assert (rejection.value.cause, rejection.value.status) == ("missing_key", status)


def test_a_model_of_another_vendor_is_unknown() -> None:
    with pytest.raises(Rejected) as rejection:
        claude(claude_body(model="gpt-5"))
    assert (rejection.value.status, str(rejection.value)) == (404, "model: gpt-5")
    with pytest.raises(Rejected) as rejection:
        gemini(gemini_body(), model="claude-sonnet-5-5")
    assert rejection.value.status == 404
    assert "models/claude-sonnet-5-5 is not found for API version v1beta" in str(rejection.value)


@given(st.dictionaries(st.sampled_from(sorted(claude_body(thinking=1, stream=1))), JSON))
def test_claude_raises_nothing_else(fields: dict[str, Any]) -> None:
    for body in (fields, claude_body(messages=[fields]), claude_body() | fields):
        try:
            claude(body)
        except Rejected:
            continue


@given(
    st.dictionaries(st.sampled_from(["contents", "systemInstruction", "generationConfig"]), JSON)
)
def test_gemini_raises_nothing_else(fields: dict[str, Any]) -> None:
    for body in (fields, gemini_body(contents=list(fields.values())), gemini_body() | fields):
        try:
            gemini(body)
        except Rejected:
            continue


def test_recorded_requests_that_were_answered_are_accepted() -> None:
    accepted = 0
    for stop in ("stop:end_turn", "stop:tool_use"):
        for each in exchanges("anthropic", "generate", stop):
            if isinstance(each["request"]["body"], dict):
                claude(each["request"]["body"])
                accepted += 1
    for each in exchanges("gemini", "generate", "stop:STOP"):
        # Where a file was cut out of the recording, what is left of it is no file.
        if isinstance(each["request"]["body"], dict) and "elided" not in each["tags"]:
            gemini(each["request"]["body"], model=each["model"])
            accepted += 1
    assert accepted > 100
