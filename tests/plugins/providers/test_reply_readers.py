"""One reply on its way in, of either vendor, plain or streamed, whole or not."""

import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replies import CLAUDE, GEMINI, TEXT, Vendor, chunk, delta, event

from rolecall import Cause, ProviderError, Response, Stop, Usage
from rolecall_plugins.providers import reply_reader
from rolecall_plugins.providers.anthropic_reply import ClaudeReply
from rolecall_plugins.providers.gemini_reply import GeminiReply
from rolecall_plugins.providers.reading.fields import MOST_TOKENS
from rolecall_plugins.providers.reply_reader import Reading, Reply

STREAM = {"content-type": "text/event-stream"}


def gone() -> ProviderError:
    return ProviderError(Cause.CONNECTION, "the connection failed: reset")


BOTH = pytest.mark.parametrize("vendor", [CLAUDE, GEMINI], ids=["claude", "gemini"])


def read(
    vendor: Vendor,
    *chunks: bytes,
    status: int = 200,
    headers: dict[str, str] = STREAM,
    failure: ProviderError | None = None,
) -> tuple[Response | ProviderError, str]:
    reading = Reading(vendor.reply(), status, headers)
    told = "".join(reading.feed(chunk) for chunk in chunks)
    if failure is None:
        told += reading.close()
    try:
        return reading.finish(failure), told
    except ProviderError as error:
        return error, told


def answer(vendor: Vendor, *chunks: bytes, **more: Any) -> Response:
    result, _ = read(vendor, *chunks, **more)
    assert isinstance(result, Response), result
    return result


def failure(vendor: Vendor, *chunks: bytes, **more: Any) -> ProviderError:
    result, _ = read(vendor, *chunks, **more)
    assert isinstance(result, ProviderError), result
    return result


def cut(data: bytes, edges: list[int]) -> list[bytes]:
    places = [0, *sorted(edge % (len(data) + 1) for edge in edges), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


@BOTH
@given(st.lists(st.integers(0, 2000), max_size=8))
def test_a_stream_means_the_same_however_it_is_cut(vendor: Vendor, edges: list[int]) -> None:
    response, told = read(vendor, *cut(vendor.stream(), edges))
    assert isinstance(response, Response)
    assert told == response.text == TEXT
    assert response.usage == vendor.usage


@BOTH
@pytest.mark.parametrize("kind", ["", "text/plain", "application/json"])
def test_a_stream_without_its_content_type_is_a_stream_all_the_same(
    vendor: Vendor, kind: str
) -> None:
    assert read(vendor, vendor.stream(), headers={"content-type": kind})[1] == TEXT


@BOTH
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json", ""])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n"])
def test_a_plain_answer_is_one_whatever_it_calls_itself(
    vendor: Vendor, kind: str, mark: bytes
) -> None:
    body = mark + json.dumps(vendor.plain).encode()
    response, told = read(vendor, *cut(body, [1, 2, 9]), headers={"content-type": kind})
    assert isinstance(response, Response)
    assert (response.text, response.usage, told) == (TEXT, vendor.usage, "")


@BOTH
@given(st.lists(st.integers(0, 5), max_size=3))
def test_a_byte_order_mark_before_a_stream_hides_nothing(vendor: Vendor, edges: list[int]) -> None:
    assert answer(vendor, *cut(b"\xef\xbb\xbf" + vendor.stream(), edges)).text == TEXT


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"  \n", b"\xef\xbb\xbf", b"\xef", b"<html>", b'{"candidates": [', b'{"type": "me'),
        *(b"3", b'"text"', b"null", b"[]", b"{}", b'{"hello": "world"}', b"\x00", b"[" * 5000),
    ],
)
def test_what_is_no_whole_reply_is_a_bad_payload(vendor: Vendor, body: bytes) -> None:
    error = failure(vendor, body, headers={"content-type": "application/json"})
    assert error.cause == Cause.BAD_PAYLOAD


# What is known of the end


@BOTH
@pytest.mark.parametrize(
    "rest",
    [
        *(b"data: [DONE]\n\n", b"data:\n\n", b"data: \n\n", b"\n\n\n", b": a comment\n\n"),
        *(b"data: {}\n\n", b'data: {"type": "new"}\n\n', b"data: null\n\n", b"data: 7\n\n"),
        *(b"data: {half\n\n", b"event: error\ndata: gone\n\n", b"garbage", b"\x00\xff\xfe"),
        *(b"</html>", b"data: " + b"[" * 5000 + b"\n\n", b"data: [{}, 3]\n\n"),
        event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        event({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
        event({"candidates": [{"content": {"parts": [{"text": 7}]}}]}),
        event({"type": "content_block_delta", "delta": [], "index": 0}),
    ],
)
@pytest.mark.parametrize("is_gone", [False, True])
def test_nothing_that_follows_a_whole_answer_spoils_it(
    vendor: Vendor, rest: bytes, is_gone: bool
) -> None:
    response, told = read(vendor, vendor.stream() + rest, failure=gone() if is_gone else None)
    assert isinstance(response, Response), response
    assert (response.text, response.usage, response.stop) == (TEXT, vendor.usage, Stop.END)
    assert told == TEXT


@BOTH
def test_an_answer_is_known_to_be_whole_before_its_body_ends(vendor: Vendor) -> None:
    reading = Reading(vendor.reply(), 200, STREAM)
    reading.feed(vendor.before_stop())
    assert not reading.is_whole
    reading.feed(vendor.stream())
    assert reading.is_whole


@BOTH
def test_a_plain_body_without_its_end_is_an_answer_where_its_json_is_whole(vendor: Vendor) -> None:
    body = json.dumps(vendor.plain).encode()
    assert answer(vendor, body, headers={}, failure=gone()).text == TEXT
    assert answer(vendor, body + b"\r\n0 garbage", headers={}).text == TEXT
    assert failure(vendor, body[:-1], headers={}, failure=gone()).cause == Cause.CONNECTION
    assert failure(vendor, body[:-1], headers={}).cause == Cause.BAD_PAYLOAD


@BOTH
def test_a_text_without_a_reason_to_stop_is_a_broken_connection(vendor: Vendor) -> None:
    assert failure(vendor, vendor.before_stop()).cause == Cause.CONNECTION
    broken = gone()
    assert failure(vendor, vendor.before_stop(), failure=broken) is broken


@BOTH
@pytest.mark.parametrize("rest", [b"data: {half\n\n", b"data: nothing\n\n", b"data: [\n\n"])
def test_an_event_that_cannot_be_read_spoils_a_text_that_is_not_whole(
    vendor: Vendor, rest: bytes
) -> None:
    error = failure(vendor, vendor.before_stop() + rest + vendor.stream())
    assert error.cause == Cause.BAD_PAYLOAD


@BOTH
@pytest.mark.parametrize("ignored", [b"data: [DONE]\n\n", b"data:\n\n", b"data: {}\n\n"])
def test_an_event_that_says_nothing_is_ignored_wherever_it_comes(
    vendor: Vendor, ignored: bytes
) -> None:
    assert answer(vendor, ignored + vendor.before_stop() + ignored + vendor.stream()[-300:])


@BOTH
@pytest.mark.parametrize("padding", [b"", b"\n"])
def test_an_event_that_lost_its_line_ends_counts(vendor: Vendor, padding: bytes) -> None:
    assert answer(vendor, vendor.stream().rstrip() + padding).text == TEXT


@BOTH
def test_events_that_lost_the_blank_lines_between_them_count(vendor: Vendor) -> None:
    assert answer(vendor, vendor.stream().replace(b"\n\n", b"\n")).text == TEXT


@BOTH
def test_a_message_that_comes_twice_is_taken_once(vendor: Vendor) -> None:
    response, told = read(vendor, vendor.stream() * 3)
    assert isinstance(response, Response)
    assert told == response.text == TEXT
    assert response.usage == vendor.usage


def test_a_message_that_begins_anew_replaces_what_came_of_it_before() -> None:
    assert answer(CLAUDE, CLAUDE.before_stop() + CLAUDE.stream()).text == TEXT


def test_of_several_candidates_the_first_counts() -> None:
    second = {"content": {"parts": [{"text": "other"}]}, "finishReason": "SAFETY", "index": 1}
    one = chunk("one", index=0)
    stop = {"candidates": [second, {"finishReason": "STOP", "index": 0}]}
    response = answer(GEMINI, GEMINI.stream(one, {"candidates": [second]}, stop))
    assert (response.text, response.stop) == ("one", Stop.END)


def test_an_answer_of_gemini_may_go_on_behind_a_reason_to_stop() -> None:
    chunks = [chunk("a", finishReason="STOP"), chunk("b"), chunk("c", finishReason="MAX_TOKENS")]
    response = answer(GEMINI, GEMINI.stream(*chunks))
    assert (response.text, response.stop) == ("abc", Stop.LENGTH)


def test_another_answer_of_gemini_behind_the_first_is_none_of_it() -> None:
    other = {**chunk("other", finishReason="STOP"), "responseId": "r2"}
    assert answer(GEMINI, GEMINI.stream() + event(other)).text == TEXT


@pytest.mark.parametrize(
    ("vendor", "body"),
    [
        (CLAUDE, {**CLAUDE.plain, "stop_reason": "new_to_us"}),
        (GEMINI, chunk(TEXT, finishReason="NEW_TO_US")),
        (GEMINI, chunk(TEXT, finishReason="OTHER")),
        (GEMINI, chunk(TEXT, finishReason=99)),
    ],
)
def test_a_reason_to_stop_that_is_new_ends_an_answer_that_has_text(
    vendor: Vendor, body: dict[str, Any]
) -> None:
    response = answer(vendor, json.dumps(body).encode(), headers={})
    assert (response.text, response.stop) == (TEXT, Stop.END)
    assert response.detail.startswith(("stop_reason new_to_us", "finishReason "))


# Values of other types

ODD: list[Any] = [
    *(None, True, 7, -1, 1e400, "text", [], [[]], {}, {"a": []}, "\ud800", "\x00", [None]),
]


def places(value: Any) -> list[list[Any]]:
    """List the paths of all values within one."""
    found: list[list[Any]] = [[]]
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += [[key, *path] for path in places(inner)]
    return found


def changed(value: Any, path: list[Any], to: Any) -> Any:
    if not path:
        return to
    copied = value.copy()
    copied[path[0]] = changed(value[path[0]], path[1:], to)
    return copied


@BOTH
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_value_of_any_type_anywhere_is_read_or_has_a_cause(vendor: Vendor, odd: Any) -> None:
    for path in places(vendor.plain):
        body = json.dumps(changed(vendor.plain, path, odd)).encode()
        result, _ = read(vendor, body, headers={})
        assert isinstance(result, Response) or result.cause in Cause
        if isinstance(result, Response):
            result.text.encode()
            assert result.usage is None or result.usage.input >= 0
    for path in places(list(vendor.events)):
        result, told = read(
            vendor,
            vendor.stream(*changed(list(vendor.events), path, odd) or [{}]) if path else event(odd),
        )
        assert isinstance(result, Response) or result.cause in Cause
        told.encode()


@BOTH
@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("status", [0, 200, 400, 429, 500])
def test_an_error_of_any_form_goes_by_its_status(vendor: Vendor, odd: Any, status: int) -> None:
    whole = {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "no",
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"violations": [{"quotaId": "PerMinute", "quotaValue": "7"}]},
                {"metadata": {"quota_limit": "x", "quota_limit_value": "²"}, "reason": "x"},
                {"retryDelay": "7s"},
            ],
        },
        "request_id": "req_1",
    }
    for path in places(whole):
        body = json.dumps(changed(whole, path, odd)).encode()
        error = failure(vendor, body, status=status or 200, headers={})
        assert error.cause in Cause
        if status >= 500:
            assert error.status == status


class Breaking(ClaudeReply):
    """Reads nothing without breaking."""

    def response(self, headers: Any) -> Response:
        raise KeyError("a defect")

    def error(self, status: int, headers: Any, payload: object, text: str) -> ProviderError:
        raise KeyError("a defect")


@pytest.mark.parametrize(
    ("status", "cause"),
    [(200, Cause.BAD_PAYLOAD), (429, Cause.RATE_LIMITED), (404, "unknown_model")],
)
def test_a_defect_of_a_reader_has_a_cause_as_well(status: int, cause: str) -> None:
    reading = Reading(Breaking(), status, {})
    reading.feed(json.dumps(CLAUDE.plain).encode())
    with pytest.raises(ProviderError, match="a defect") as caught:
        reading.finish()
    assert caught.value.cause == cause


@BOTH
def test_a_text_that_is_null_is_none(vendor: Vendor) -> None:
    body = json.dumps(vendor.plain).replace(json.dumps(TEXT), "null").encode()
    assert answer(vendor, body, headers={}).text == ""


@BOTH
def test_a_text_of_another_type_is_a_bad_payload_and_not_lost(vendor: Vendor) -> None:
    body = json.dumps(vendor.plain).replace(json.dumps(TEXT), '["text"]').encode()
    assert failure(vendor, body, headers={}).cause == Cause.BAD_PAYLOAD


@BOTH
def test_a_lone_half_of_a_character_is_replaced(vendor: Vendor) -> None:
    body = json.dumps(vendor.plain).replace("h\\u00e9llo", "\\ud83d").encode()
    assert answer(vendor, body, headers={}).text == "\ufffd 🎉"


def test_the_halves_of_a_character_in_two_events_are_joined() -> None:
    stream = CLAUDE.stream().replace(
        event(delta("🎉")), event(delta("\ud83c")) + event(delta("\udf89"))
    )
    response, told = read(CLAUDE, stream)
    assert isinstance(response, Response)
    assert told == response.text == TEXT


# Usage


@pytest.mark.parametrize(
    "counts",
    [
        *(None, {}, [], 7, "many", {"input_tokens": 3}, {"output_tokens": 3}),
        *({"input_tokens": 3, "output_tokens": odd} for odd in (-1, "7", [7], None, True, 0.5)),
        *({"input_tokens": odd, "output_tokens": 3} for odd in (1e400, MOST_TOKENS + 1, {"a": 1})),
        {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": -5},
        {"input_tokens": 3, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 3}},
    ],
    ids=repr,
)
@pytest.mark.parametrize("streamed", [False, True])
def test_usage_of_anthropic_that_cannot_be_believed_is_unknown(
    counts: object, streamed: bool
) -> None:
    if streamed:
        *events, ending, stop = CLAUDE.events
        start = {"type": "message_start", "message": {"model": "m", "usage": counts}}
        body = CLAUDE.stream(start, *events[1:], {**ending, "usage": counts}, stop)
    else:
        body = json.dumps({**CLAUDE.plain, "usage": counts}).encode()
    response = answer(CLAUDE, body)
    assert (response.text, response.usage) == (TEXT, None)


def test_a_stream_of_anthropic_that_never_told_the_final_count_has_unknown_usage() -> None:
    events = [dict(each) for each in CLAUDE.events]
    del events[-2]["usage"]
    response = answer(CLAUDE, CLAUDE.stream(*events))
    assert (response.text, response.usage) == (TEXT, None)


@pytest.mark.parametrize(
    "counts",
    [
        *(None, {}, [], 7, "many", {"candidatesTokenCount": 2}, {"trafficType": "ON_DEMAND"}),
        *({"promptTokenCount": 3, "candidatesTokenCount": odd} for odd in (-1, "7", [7], True)),
        *({"promptTokenCount": odd, "candidatesTokenCount": 2} for odd in (1e400, "3", {"a": 1})),
        {"promptTokenCount": 3, "candidatesTokenCount": 2, "cachedContentTokenCount": 4},
    ],
    ids=repr,
)
def test_usage_of_gemini_that_cannot_be_believed_is_unknown(counts: object) -> None:
    body = {**GEMINI.plain, "usageMetadata": counts}
    response = answer(GEMINI, json.dumps(body).encode(), headers={})
    assert (response.text, response.usage) == (TEXT, None)


@pytest.mark.parametrize(
    ("total", "output"), [(3 + 10 + 4, 14), (3 + 10, 10), (None, 14), (0, 14), (99, 14)]
)
@pytest.mark.parametrize("tools", [0, 5])
def test_the_total_tells_whether_geminis_candidates_include_its_thoughts(
    total: int | None, output: int, tools: int
) -> None:
    counts = {
        "promptTokenCount": 3,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 4,
        "toolUsePromptTokenCount": tools,
        "totalTokenCount": total and total + tools,
    }
    body = {**GEMINI.plain, "usageMetadata": counts}
    response = answer(GEMINI, json.dumps(body).encode(), headers={})
    assert response.usage == Usage(3 + tools, output, thinking=4)


@BOTH
def test_usage_that_was_told_before_a_stream_broke_is_kept(vendor: Vendor) -> None:
    told = Usage(3, 1) if vendor is CLAUDE else Usage(3, 2)
    assert failure(vendor, vendor.before_stop()).usage == told
    assert failure(vendor, vendor.before_stop(), failure=gone()).usage == told
    assert failure(vendor, vendor.before_stop() + b"data: {\n\n").usage == told
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    assert failure(vendor, vendor.before_stop() + event(overloaded)).usage == told


@BOTH
def test_an_error_that_told_no_usage_has_none(vendor: Vendor) -> None:
    assert failure(vendor, b"{}", status=500).usage is None
    assert failure(vendor, b"<html>", headers={}).usage is None


# Size


@BOTH
@pytest.mark.parametrize("streamed", [False, True])
def test_a_reply_beyond_all_measure_is_given_up(
    vendor: Vendor, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_reader, "LONGEST_REPLY", 1000)
    reading = Reading(vendor.reply(), 200, STREAM)
    reading.feed(vendor.before_stop() if streamed else b'{"type": ')
    assert not reading.is_over
    reading.feed(b" " * 1000)
    assert reading.is_over
    with pytest.raises(ProviderError, match="longer than") as caught:
        reading.finish()
    assert caught.value.cause == Cause.BAD_PAYLOAD


@BOTH
def test_a_reply_that_never_ends_is_given_up_and_its_answer_kept(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_reader, "LONGEST_REPLY", 10_000)
    reading = Reading(vendor.reply(), 200, STREAM)
    reading.feed(vendor.stream())
    reading.feed(b"\n" * 10_000)
    assert reading.is_over
    assert reading.finish().text == TEXT


@BOTH
def test_an_error_of_any_length_goes_by_its_status(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_reader, "LONGEST_ERROR", 1000)
    reading = Reading(vendor.reply(), 503, {})
    reading.feed(b"<html>" * 1000)
    assert reading.is_over
    with pytest.raises(ProviderError, match=r"^HTTP 503, no error (type|status): <html>") as caught:
        reading.finish()
    assert caught.value.cause == Cause.OVERLOADED


def test_a_large_event_is_read_as_a_small_one_is() -> None:
    text = 'A "long" line, tab\t, and 🎉.\n' * 20_000
    stream = CLAUDE.stream().replace(event(delta("🎉")), event(delta(text)))
    step = reply_reader.STEP
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    response, told = read(CLAUDE, *pieces)
    assert isinstance(response, Response)
    assert told == response.text == f"héllo {text}"


@pytest.mark.parametrize("kind", ["text", "numbers", "lists"])
@pytest.mark.parametrize("streamed", [False, True])
def test_no_step_of_reading_a_large_reply_takes_long(kind: str, streamed: bool) -> None:
    large: Any = {"text": "A line.\n" * 300_000, "numbers": [1] * 150_000, "lists": [[]] * 99_000}
    body = json.dumps({"type": "new", "value": large[kind]}).encode()
    body = b"data: " + body + b"\n\n" if streamed else body
    reading = Reading(ClaudeReply(), 200, STREAM)
    steps = []
    for start in range(0, len(body), reply_reader.STEP):
        began = time.thread_time()
        reading.feed(body[start : start + reply_reader.STEP])
        steps.append(time.thread_time() - began)
    # About 10 ms on a machine of today; `json.loads` of all would take some hundred. A few steps
    # are left out, for the garbage collector may have fallen into them.
    assert sorted(steps)[-5] < 0.1


# Errors


@BOTH
@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://alice:pw@login.example:8443/sso?token=abc#top", "login.example:8443;"),
        ("http://login.example/", "login.example;"),
        ("/elsewhere?token=abc", "another path of the same host;"),
        ("http://[", "an address that is none;"),
        ("http://host:port/", "an address that is none;"),
        ("", "another path of the same host;"),
    ],
)
def test_a_redirect_names_the_host_and_nothing_secret(
    vendor: Vendor, location: str, said: str
) -> None:
    page = f"<a href={location}>Moved</a>".encode()
    error = failure(vendor, page, status=307, headers={"location": location})
    assert f"redirected to {said}" in str(error)
    assert not any(word in str(error) for word in ("alice", "pw@", "token", "abc"))


@BOTH
@pytest.mark.parametrize("is_gone", [False, True])
def test_an_error_counts_although_its_body_never_ended(vendor: Vendor, is_gone: bool) -> None:
    broken = gone() if is_gone else None
    assert failure(vendor, b"", status=529, failure=broken).cause == Cause.OVERLOADED
    assert failure(vendor, b'{"error": {', status=429, failure=broken).cause == Cause.RATE_LIMITED


@BOTH
def test_an_error_in_a_streams_frame_is_read(vendor: Vendor) -> None:
    body = event({"type": "error", "error": {"message": "prompt is too long"}})
    assert failure(vendor, body, status=400).cause == Cause.CONTEXT_OVERFLOW


@BOTH
def test_an_errors_message_comes_whole_for_it_is_masked_before_it_is_cut(vendor: Vendor) -> None:
    message = "x" * 5000 + " the end"
    body = json.dumps({"error": {"message": message}}).encode()
    assert str(failure(vendor, body, status=400)).endswith(message)
    assert message in str(failure(vendor, message.encode(), status=400))
    assert message in str(failure(vendor, message.encode(), headers={}))
    assert len(str(failure(vendor, b"y" * 10**6, status=400))) < 20_000


def test_the_id_of_a_request_is_found_in_header_or_body() -> None:
    body = json.dumps({"error": {"type": "api_error", "message": ""}, "request_id": "req_2"})
    assert failure(CLAUDE, body.encode(), status=500).request_id == "req_2"
    headers = {"request-id": "req_1"}
    assert failure(CLAUDE, body.encode(), status=500, headers=headers).request_id == "req_1"
    streamed = failure(CLAUDE, b"event: error\ndata: " + body.encode() + b"\n\n")
    assert streamed.request_id == "req_2"
    details = [{"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "g1"}]
    error = {"error": {"code": 500, "details": details}}
    assert failure(GEMINI, json.dumps(error).encode(), status=500).request_id == "g1"
    assert (
        failure(GEMINI, GEMINI.before_stop() + event({"error": {"code": 500}})).request_id == "r1"
    )


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("Please retry in 47.94s.", 47.94, 48.5),
        ("Please retry in 850ms.", 0.85, 1.2),
        ("Please retry in 1m5s.", 65, 66),
        ("Please retry in 14h7m22.8s.", 50842.8, 50844),
        ("Please try again in 20 seconds.", 20, 20.5),
        ("Your quota will reset after 5h59m59s.", 21599, 21600),
    ],
)
def test_geminis_waits_are_read_in_every_unit(said: str, least: float, most: float) -> None:
    body = {"error": {"code": 429, "message": said, "status": "RESOURCE_EXHAUSTED"}}
    error = GeminiReply().error(429, {}, body, "")
    assert error.retry_after is not None
    assert least <= error.retry_after <= most


@pytest.mark.parametrize(
    ("message", "delay", "seconds"),
    [
        ("", "47s", 48.0),
        ("", "0s", 1.0),
        ("", "21599.96s", 21600.96),
        ("", {"seconds": 47, "nanos": 9}, 48.0),
        ("Please retry in 47.5s.", "47s", 47.6),
        ("Please retry in 3s.", "60s", 61.0),
        ("Please retry in 1.2.3s.", None, None),
        ("Please retry in " + "9" * 400 + "s.", None, None),
        *(("", odd, None) for odd in ("-3s", "nan", "inf", "1e400s", "s", 47, [], "47", None)),
    ],
    ids=repr,
)
def test_geminis_retry_info_is_cut_and_waited_for_with_a_margin(
    message: str, delay: object, seconds: float | None
) -> None:
    error = {"code": 429, "message": message, "details": [{"retryDelay": delay}]}
    told = GeminiReply().error(429, {}, {"error": error}, "").retry_after
    assert told == (None if seconds is None else pytest.approx(seconds))


def test_geminis_word_goes_before_the_header() -> None:
    headers = {"retry-after": "9"}
    assert GeminiReply().error(429, headers, {"error": {}}, "").retry_after == 9.0
    error = {"error": {"details": [{"retryDelay": "2s"}]}}
    assert GeminiReply().error(429, headers, error, "").retry_after == 3.0


@pytest.mark.parametrize(("value", "retryable"), [("false", False), ("False ", False), ("x", True)])
def test_anthropics_word_on_asking_again_is_kept(value: str, retryable: bool) -> None:
    error = ClaudeReply().error(429, {"x-should-retry": value}, {}, "")
    assert error.retryable is retryable


# Names of customers


@pytest.mark.parametrize(
    ("reply", "secrets"),
    [
        (ClaudeReply(), "org_ABCDEF123456 wrkspc-01abcdef sk-ant-abcdef123456"),
        (ClaudeReply(), "organization (3fa85f64-5717-4562-b3fc-2c963f66afa6)"),
        (GeminiReply(), "AIzaSyAbcdef123456 projects/my-secret-project"),
        (GeminiReply(), "project 471100000815"),
        (GeminiReply(), "project acme-production"),
        (GeminiReply(), "consumer 'project_number:471100000815'"),
        (GeminiReply(), "Consumer 'api_key:AIzaSyAbcdef123456'"),
        (GeminiReply(), "?project=471100000815"),
    ],
)
def test_an_errors_message_names_no_key_and_no_customer(reply: Reply, secrets: str) -> None:
    body = {"error": {"type": "api_error", "message": f"about {secrets} it is", "code": 500}}
    said = str(reply.error(500, {}, body, ""))
    assert "about" in said
    assert said.endswith("it is")
    secret = ("abcdef", "ABCDEF", "3fa8", "AIza", "secret", "4711", "acme")
    assert not any(word in said for word in secret)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (GeminiReply(), "Your project exceeded its monthly spending cap."),
        (GeminiReply(), "Your project has been denied access."),
        (GeminiReply(), "Projects without billing cannot use it; the project is new."),
        (GeminiReply(), "Enable it for your project: visit the console."),
        (ClaudeReply(), "This org-wide and org-specific limit"),
        (ClaudeReply(), "Your organization's rate limit of 450,000 tokens"),
    ],
)
def test_words_are_not_masked(reply: Reply, message: str) -> None:
    assert str(reply.error(429, {}, {"error": {"message": message}}, "")).endswith(message)
