"""Two requests are the same where they ask the same."""

import json
from typing import Any

import pytest

from rolecall_plugins.cassettes.canonical_request import (
    CanonicalRequest,
    differences,
    parse_request,
    similarity,
)

CLAUDE = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "You test.", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
}
GEMINI = {
    "system_instruction": {"parts": [{"text": "You test."}]},
    "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
    "generationConfig": {"max_output_tokens": 100, "temperature": 1.0},
}
URI = "https://api.anthropic.com/v1/messages"
MODELS = "https://generativelanguage.googleapis.com/v1alpha/models/gemini-3.8-flash"


def claude(uri: str = URI, **changed: Any) -> CanonicalRequest:
    return parse_request("POST", uri, json.dumps({**CLAUDE, **changed}))


def gemini(uri: str = f"{MODELS}:generateContent", **changed: Any) -> CanonicalRequest:
    return parse_request("POST", uri, json.dumps({**GEMINI, **changed}).encode())


@pytest.mark.parametrize(
    "same",
    [
        claude("http://127.0.0.1:8080/v1/messages"),
        claude(system="You test."),
        claude(messages=[{"role": "user", "content": "Hello"}]),
        claude(stream=False, metadata={"user_id": "x"}),
        parse_request("POST", URI, dict(reversed(CLAUDE.items()))),
    ],
)
def test_the_same_to_anthropic_in_other_bytes(same: CanonicalRequest) -> None:
    assert claude().matches(same)


@pytest.mark.parametrize(
    "other",
    [
        claude(model="claude-opus-5-5"),
        claude(system="You test!"),
        claude(messages=[{"role": "assistant", "content": "Hello"}]),
        claude(stream=True),
        claude(max_tokens=200),
        claude(temperature=0.5),
        claude(tools=[{"name": "look"}]),
        claude(thinking={"type": "enabled", "budget_tokens": 9}),
        gemini(),
    ],
)
def test_something_else_to_anthropic(other: CanonicalRequest) -> None:
    assert not claude().matches(other)


@pytest.mark.parametrize(
    "same",
    [
        gemini("http://localhost/v1beta/models/gemini-3.8-flash:generateContent?key=x"),
        gemini(generationConfig={"maxOutputTokens": 100, "temperature": 1}),
        gemini(systemInstruction={"parts": [{"text": "You test."}]}, safetySettings=[]),
        gemini(contents=[{"parts": [{"text": "Hello"}]}]),
    ],
)
def test_the_same_to_gemini_in_other_bytes(same: CanonicalRequest) -> None:
    assert gemini().matches(same)


@pytest.mark.parametrize(
    "other",
    [
        gemini(f"{MODELS}:streamGenerateContent?alt=sse"),
        gemini(f"{MODELS}-lite:generateContent"),
        gemini(contents=[{"parts": [{"text": "Hello!"}]}]),
        gemini(generationConfig={"maxOutputTokens": 100}),
        gemini(tools=[{"google_search": {}}]),
    ],
)
def test_something_else_to_gemini(other: CanonicalRequest) -> None:
    assert not gemini().matches(other)


def test_of_an_unknown_format_address_and_body_count() -> None:
    one = parse_request("POST", "https://a.example/ask?key=1&n=2", b'{"q": 1.0, "r": 2}')
    assert one.matches(parse_request("POST", "https://a.example/ask?key=9&n=2", b'{"r":2,"q":1.0}'))
    assert one.matches(parse_request("POST", "http://localhost/ask?n=2", b'{"r":2,"q":1.0}'))
    assert not one.matches(parse_request("POST", "https://b.example/ask?n=2", b'{"r":2,"q":1.0}'))
    assert not one.matches(parse_request("POST", "https://a.example/ask?n=3", b'{"r":2,"q":1.0}'))
    assert not one.matches(parse_request("PUT", "https://a.example/ask?n=2", b'{"r":2,"q":1.0}'))
    assert not one.matches(parse_request("POST", "https://a.example/ask?n=2", b"plain"))


def test_a_difference_is_told_in_few_lines() -> None:
    request = claude(model="m2", max_tokens=7, messages=[{"role": "user", "content": "Good\nbye"}])
    assert list(differences(request, claude())) == [
        "model: claude-sonnet-5-5 -> m2",
        "max_output_tokens: 100 -> 7",
        "messages:",
        "  @@ -1,2 +1,3 @@",
        "   [user]",
        "  -Hello",
        "  +Good",
        "  +bye",
    ]


def test_a_long_difference_is_cut() -> None:
    lines = list(differences(claude(system="\n".join(map(str, range(90)))), claude()))
    assert len(lines) == 16
    assert lines[-1].endswith("more lines")


def test_the_nearest_is_the_one_with_most_in_common() -> None:
    near, far = claude(system="You test?"), gemini()
    assert similarity(claude(), near) > similarity(claude(), far)
