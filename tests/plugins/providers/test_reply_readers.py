"""The framing of replies, and how long they ask to wait."""

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Cause, ProviderError
from rolecall_plugins.providers.anthropic_reply import ClaudeReply
from rolecall_plugins.providers.gemini_reply import GeminiReply
from rolecall_plugins.providers.reply_reader import Reading, ServerSentEvents, retry_after

ANSWER = {
    "candidates": [{"content": {"parts": [{"text": "héllo"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
}
SSE = f"data: {json.dumps(ANSWER, ensure_ascii=False)}\r\n\r\n".encode()


def cut(data: bytes, edges: list[int]) -> list[bytes]:
    places = [0, *sorted(edge % (len(data) + 1) for edge in edges), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


@given(st.lists(st.integers(0, 500), max_size=8))
def test_a_stream_means_the_same_however_it_is_cut(edges: list[int]) -> None:
    reading = Reading(GeminiReply(), 200, {"content-type": "text/event-stream"})
    told = "".join(reading.feed(chunk) for chunk in cut(SSE, edges)) + reading.close()
    assert told == reading.finish().text == "héllo"


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1), min_size=1
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_events_are_split_at_blank_lines_of_every_kind(
    data: list[str], end: str, edges: list[int]
) -> None:
    stream = "".join(f"data: {each}{end}{end}" for each in data).encode()
    events = ServerSentEvents()
    got = [event for chunk in cut(stream, edges) for event in events.feed(chunk)]
    assert [event.decode() for event in [*got, *events.close()]] == data


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json"])
def test_a_stream_without_its_content_type_is_a_stream_all_the_same(kind: str) -> None:
    reading = Reading(GeminiReply(), 200, {"content-type": kind})
    assert reading.feed(SSE) == "héllo"
    assert reading.finish().text == "héllo"


def test_a_plain_answer_that_calls_itself_a_stream_is_a_plain_answer() -> None:
    reading = Reading(GeminiReply(), 200, {"content-type": "text/event-stream"})
    assert reading.feed(json.dumps(ANSWER).encode()) == ""
    assert reading.finish().text == "héllo"


@pytest.mark.parametrize("body", [b"", b"  \n", b"<html>", b'{"candidates": [', b"3", b'"text"'])
def test_what_is_no_whole_reply_is_a_bad_payload(body: bytes) -> None:
    reading = Reading(GeminiReply(), 200, {"content-type": "application/json"})
    reading.feed(body)
    with pytest.raises(ProviderError) as caught:
        reading.finish()
    assert caught.value.cause == Cause.BAD_PAYLOAD


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 09:59:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
    assert retry_after({"retry-after": value}, lambda: now) == seconds


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("Please retry in 47.94s.", 47.94, 48.5),
        ("Please retry in 850ms.", 0.85, 1.2),
        ("Please retry in 1m5s.", 65, 66),
        ("Please retry in 14h7m22.8s.", 50842.8, 50844),
    ],
)
def test_geminis_waits_are_read_in_every_unit(said: str, least: float, most: float) -> None:
    body = {"error": {"code": 429, "message": said, "status": "RESOURCE_EXHAUSTED"}}
    error = GeminiReply().error(429, {}, body, "")
    assert error.retry_after is not None
    assert least <= error.retry_after <= most


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (ClaudeReply(), "org_ABCDEF123456 sk-ant-abcdef123456"),
        (GeminiReply(), "AIzaSyAbcdef123456 projects/my-secret-project"),
    ],
)
def test_an_errors_message_names_no_key_and_no_organization(
    reply: ClaudeReply | GeminiReply, text: str
) -> None:
    body = {"error": {"type": "api_error", "message": f"about {text}", "code": 500}}
    said = str(reply.error(500, {}, body, ""))
    assert "about" in said
    assert not any(word in said for word in text.replace("projects/", "").split())
