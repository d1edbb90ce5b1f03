"""The Gemini framing, checked against recorded traffic and on its own."""

import base64
import gzip
import json
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.exchange import Form, HttpReply
from rolecall_plugins.simulator.gemini.bodies import duration, event, plain
from rolecall_plugins.simulator.gemini.service import THOUGHT_TOKENS, GeminiFraming
from rolecall_plugins.simulator.limits import Denial

from .asking import Got, query, text_of
from .recorded import bodies, data_lines, exchanges, header_names, shape, streams

FRAMES = {
    form: GeminiFraming(call="0", model="gemini-3.8-flash", form=form) for form in get_args(Form)
}


def got(answer: HttpReply) -> Got:
    return Got(answer.status or 0, dict(answer.headers), answer.body)


def reply(form: str, text: str, **rest: object) -> HttpReply:
    return FRAMES[form].reply(query("gemini", form, **rest), text)  # type: ignore[arg-type]


def test_a_plain_reply_has_the_names_of_a_recorded_one_in_their_order() -> None:
    ours = got(reply("json", "A text.", thinking=True)).data
    recorded = [each for each in bodies("gemini") if each.get("candidates")]
    assert tuple(ours) in {tuple(each) for each in recorded}
    assert tuple(ours["usageMetadata"]) in {tuple(each["usageMetadata"]) for each in recorded}
    candidate = ours["candidates"][0]
    assert tuple(candidate) in {tuple(each["candidates"][0]) for each in recorded}
    assert shape(candidate) in [shape(each["candidates"][0]) for each in recorded]


def raws() -> list[bytes]:
    """The exact bytes of recorded bodies, where the recording has them."""
    return [
        gzip.decompress(base64.b64decode(each["response"]["wire"]["raw_base64"]))
        for each in exchanges("gemini", "compressed:gzip")
        if "raw_base64" in each["response"]["wire"]
    ]


def test_writing_a_recorded_body_anew_gives_the_recorded_bytes() -> None:
    # Numbers are compared by value: the service writes floats in a way of its own.
    numbers = re.compile(rb"-?\d+\.\d+(e-?\d+)?")
    recorded = [raw for raw in raws() if raw.startswith(b"{")]
    assert len(recorded) > 5
    for raw in recorded:
        ours = plain(json.loads(raw))
        assert numbers.sub(b"0.0", ours) == numbers.sub(b"0.0", raw)
        assert json.loads(ours) == json.loads(raw)


def test_writing_a_recorded_array_anew_gives_the_recorded_bytes() -> None:
    recorded = [raw for raw in raws() if raw.startswith(b"[")]
    assert recorded
    for raw in recorded:
        items = json.loads(raw)
        assert FRAMES["array"].answer(items, [0] * len(items)).body == raw


def test_writing_a_recorded_event_anew_gives_the_recorded_bytes() -> None:
    same = 0
    for stream in streams("gemini"):
        for line in data_lines(stream):
            assert event(json.loads(line)).decode() in stream
            same += 1
    assert same > 50


def test_a_stream_is_events_of_one_line_between_crlf_without_an_end_mark() -> None:
    ours = reply("sse", "A text " * 100).body.decode()
    framing = r"(data: \{[^\r\n]*\}\r\n\r\n)+"
    assert re.fullmatch(framing, ours)
    assert all(re.fullmatch(framing, stream) for stream in streams("gemini") if "\r" in stream)


def test_every_event_has_the_names_and_types_of_a_recorded_one() -> None:
    recorded = [
        shape(json.loads(line))
        for stream in streams("gemini", as_sent=False)
        for line in data_lines(stream)
    ]
    for each in got(reply("sse", "A text " * 100, thinking=True)).events:
        assert shape(each) in recorded, each


def test_every_event_counts_its_tokens() -> None:
    for form in ("sse", "array"):
        for each in got(reply(form, "A text " * 100, thinking=True)).events:
            usage = each["usageMetadata"]
            parts = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
            assert usage["totalTokenCount"] == sum(usage[part] for part in parts)


def test_only_the_last_event_says_why_the_answer_ends() -> None:
    events = got(reply("sse", "A text " * 100)).events
    reasons = [each["candidates"][0].get("finishReason") for each in events]
    assert reasons == [None] * (len(events) - 1) + ["STOP"]


def test_a_stream_without_alt_sse_is_one_json_array() -> None:
    ours = got(reply("array", "A text " * 100))
    assert text_of(ours) == "A text " * 100
    assert ours.headers["content-type"] == "application/json; charset=UTF-8"
    recorded = exchanges("gemini", "json_array_stream")
    assert {each["response"]["headers"]["content-type"] for each in recorded} == {
        ours.headers["content-type"]
    }


def test_header_names_are_recorded_ones() -> None:
    for form in FRAMES:
        assert {name for name, _ in reply(form, "A text.").headers} <= header_names("gemini")


def test_a_429_has_the_names_and_types_of_a_recorded_one() -> None:
    ours = got(FRAMES["json"].limited(query("gemini"), Denial("input-tokens", 30_000, 47.94)))
    recorded = bodies("gemini", "error:429")
    assert shape(ours.data) in [shape(each) for each in recorded]
    assert tuple(ours.data["error"]) in {tuple(each["error"]) for each in recorded}
    for each in (ours.data, *recorded):
        kinds = [detail["@type"].rpartition(".")[2] for detail in each["error"]["details"]]
        assert kinds == ["Help", "QuotaFailure", "RetryInfo"]
    assert "retry-after" not in ours.headers


def test_the_retry_delay_is_cut_to_whole_seconds_as_recorded_ones_are() -> None:
    ours = got(FRAMES["json"].limited(query("gemini"), Denial("input-tokens", 30_000, 47.94)))
    for each in (ours.data, *bodies("gemini", "error:429")):
        told = re.search(r"Please retry in (\d+)\.\d+s\.$", each["error"]["message"])
        assert told is not None
        assert each["error"]["details"][-1]["retryDelay"] == f"{told[1]}s"


def test_a_quota_is_named_by_minute_or_day() -> None:
    for family, period in (("requests", "PerMinute"), ("requests-per-day", "PerDay")):
        error = got(FRAMES["json"].limited(query("gemini"), Denial(family, 5, 1.0))).data["error"]
        assert period in error["details"][1]["violations"][0]["quotaId"]
        assert error["details"][1]["violations"][0]["quotaValue"] == "5"


def test_an_error_has_the_names_of_a_recorded_one_in_their_order() -> None:
    ours = got(FRAMES["json"].error(404, "NOT_FOUND", "No such model.")).data
    recorded = bodies("gemini", "error:404")
    assert shape(ours) in [shape(each) for each in recorded]
    assert tuple(ours["error"]) in {tuple(each["error"]) for each in recorded}


def test_an_error_in_a_stream_is_bare_json_that_calls_itself_a_stream() -> None:
    ours = got(FRAMES["sse"].error(404, "NOT_FOUND", "No such model."))
    assert ours.data["error"]["code"] == 404
    recorded = [
        each for each in exchanges("gemini", "error:404") if "sse" in each["request"]["url"]
    ]
    assert recorded
    for each in recorded:
        assert isinstance(each["response"]["body"], dict)
        assert each["response"]["headers"]["content-type"] == ours.headers["content-type"]


def test_an_error_in_an_array_stream_stands_in_the_array() -> None:
    assert (
        got(FRAMES["array"].error(400, "INVALID_ARGUMENT", "No.")).data[0]["error"]["code"] == 400
    )


@pytest.mark.parametrize("form", list(FRAMES))
def test_a_reply_longer_than_the_limit_is_cut_and_says_so(form: str) -> None:
    answer = reply(form, "0123456789" * 10, max_tokens=5)
    assert text_of(got(answer)) == "01234567890123456789"
    assert b'"finishReason": "MAX_TOKENS"' in answer.body


def test_thinking_counts_against_the_output_limit() -> None:
    assert reply("json", "0123456789" * 100, max_tokens=40, thinking=True).output_tokens == 40
    assert reply("json", "0123", thinking=True).output_tokens == THOUGHT_TOKENS + 1


@given(st.text(), st.sampled_from(["sse", "array"]))
def test_a_stream_carries_the_text_of_the_plain_reply(text: str, form: str) -> None:
    assert text_of(got(reply(form, text))) == text_of(got(reply("json", text)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (47.94, "47.94s"),
        (3.0, "3s"),
        (0.85, "850ms"),
        (0.0, "0ms"),
        (65.5, "1m5.5s"),
        (50_842.8, "14h7m22.8s"),
        (3600.0, "1h0m0s"),
    ],
)
def test_durations_are_written_as_the_service_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text
