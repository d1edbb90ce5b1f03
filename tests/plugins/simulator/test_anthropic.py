"""The Anthropic framing, checked against recorded traffic and on its own."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.anthropic.events import body, event, text_block
from rolecall_plugins.simulator.anthropic.service import AnthropicFraming
from rolecall_plugins.simulator.exchange import HttpReply, Rejected
from rolecall_plugins.simulator.limits import Denial, Limits, QuotaMeter

from .asking import Got, query, text_of
from .recorded import bodies, data_lines, exchanges, header_names, shape, streams

FRAME = AnthropicFraming(
    call="0", now=1_800_000_000.0, levels=QuotaMeter(Limits(), lambda: 0.0).levels()
)
EVENT = re.compile(r"event: (\w+)\ndata: (\{.*?)( *)\}\n")


def got(answer: HttpReply) -> Got:
    return Got(answer.status or 0, dict(answer.headers), answer.body)


def kinds(stream: str) -> list[str]:
    """The kinds of events in their order, without repetitions and pings (which may be missing)."""
    found = [kind for kind in re.findall(r"^event: (\w+)$", stream, re.MULTILINE) if kind != "ping"]
    return [kind for n, kind in enumerate(found) if n == 0 or found[n - 1] != kind]


def test_a_plain_reply_has_the_names_of_a_recorded_one_in_their_order() -> None:
    ours = got(FRAME.reply(query(), "A text.")).data
    recorded = [each for each in bodies("anthropic", "case:01-plain") if "content" in each]
    assert tuple(ours) in {tuple(each) for each in bodies("anthropic") if "content" in each}
    assert tuple(ours["usage"]) in {
        tuple(each["usage"]) for each in bodies("anthropic", "stop:end_turn")
    }
    assert shape(ours["content"]) in [shape(each["content"]) for each in recorded]


def test_a_plain_reply_is_written_without_blanks_and_unescaped() -> None:
    raw = FRAME.reply(query(), "naïve → ünïcode").body.decode()
    assert "naïve → ünïcode" in raw
    assert raw == json.dumps(json.loads(raw), separators=(",", ":"), ensure_ascii=False)


def test_a_stream_has_the_events_of_recorded_ones_in_their_order() -> None:
    ours = FRAME.reply(query(form="sse"), "A text " * 100).body.decode()
    assert kinds(ours) in [kinds(stream) for stream in streams("anthropic")]


def test_every_event_has_the_names_and_types_of_a_recorded_one() -> None:
    recorded = [
        shape(json.loads(line))
        for stream in streams("anthropic", as_sent=False)
        for line in data_lines(stream)
    ]
    ours = FRAME.reply(query(form="sse"), "A text " * 100)
    for each in got(ours).events:
        assert shape(each) in recorded, each


def test_events_are_padded_like_recorded_ones() -> None:
    ours = FRAME.reply(query(form="sse"), "A text " * 100).body.decode()
    pads = {len(pad) for _, _, pad in EVENT.findall(ours)}
    recorded = {len(pad) for stream in streams("anthropic") for _, _, pad in EVENT.findall(stream)}
    assert len(pads) > 5
    assert pads <= recorded
    assert max(recorded) == 15


def test_writing_a_recorded_event_anew_gives_the_recorded_bytes_but_for_the_padding() -> None:
    for stream in streams("anthropic"):
        for kind, data, _ in EVENT.findall(stream):
            if kind == "ping":
                continue
            fields = json.loads(data + "}")
            kind_of_data = fields.pop("type")
            ours = EVENT.fullmatch(event(kind_of_data, **fields).decode().removesuffix("\n"))
            assert ours is not None
            assert (ours[1], ours[2]) == (kind, data)


def test_a_ping_is_byte_for_byte_the_recorded_one() -> None:
    ping = 'event: ping\ndata: {"type": "ping"}\n\n'
    assert ping in FRAME.reply(query(form="sse"), "A text.").body.decode()
    assert any(ping in stream for stream in streams("anthropic"))


def test_an_error_has_the_names_of_a_recorded_one_in_their_order() -> None:
    ours = got(FRAME.error(404, "not_found_error", "model: claude-none")).data
    recorded = [
        each["response"]["body"]
        for each in exchanges("anthropic", "error:404")
        if not each["response"]["wire"].get("reserialised_by_recorder")
    ]
    assert tuple(ours) in {tuple(each) for each in recorded}
    assert shape(ours) in [shape(each) for each in recorded]


def test_header_names_are_recorded_ones() -> None:
    for answer in (
        FRAME.reply(query(), "A text."),
        FRAME.reply(query(form="sse"), "A text."),
        FRAME.limited(query(), Denial("requests", 50, 3.2)),
    ):
        assert {name for name, _ in answer.headers} <= header_names("anthropic")


def test_the_content_types_are_the_recorded_ones() -> None:
    for form, tag in (("json", "case:01-plain"), ("sse", "sse")):
        ours = dict(FRAME.reply(query(form=form), "A text.").headers)["content-type"]  # type: ignore[arg-type]
        assert ours in {
            each["response"]["headers"].get("content-type") for each in exchanges("anthropic", tag)
        }


def test_a_429_has_the_rate_headers_of_a_recorded_one_in_the_same_formats() -> None:
    ours = dict(FRAME.limited(query(), Denial("input-tokens", 30_000, 3.2)).headers)
    recorded = exchanges("anthropic", "error:429", "ratelimit_headers", "retry_after")
    assert recorded
    for each in recorded:
        headers = each["response"]["headers"]
        told = [
            name
            for name in headers
            if "ratelimit" in name or name in ("retry-after", "x-should-retry")
        ]
        for name in told:
            assert re.sub(r"\d+", "0", ours[name]) == re.sub(r"\d+", "0", headers[name])


def test_a_429_says_whole_seconds_and_never_too_few() -> None:
    headers = dict(FRAME.limited(query(), Denial("requests", 50, 3.2)).headers)
    assert (headers["retry-after"], headers["x-should-retry"]) == ("4", "true")


def test_a_call_larger_than_the_limit_is_told_not_to_retry() -> None:
    headers = dict(FRAME.limited(query(), Denial("input-tokens", 50, 3.2, hopeless=True)).headers)
    assert headers["x-should-retry"] == "false"
    assert "retry-after" not in headers


def test_the_resets_are_in_rfc_3339() -> None:
    headers = dict(FRAME.reply(query(), "").headers)
    assert headers["anthropic-ratelimit-requests-reset"] == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize("form", ["json", "sse"])
def test_a_reply_longer_than_max_tokens_is_cut_and_says_so(form: str) -> None:
    answer = FRAME.reply(query(form=form, max_tokens=5), "0123456789" * 10)  # type: ignore[arg-type]
    assert text_of(got(answer)) == "01234567890123456789"
    assert answer.output_tokens == 5
    assert b'"stop_reason":"max_tokens"' in answer.body


def test_thinking_is_answered_with_a_thinking_block_first() -> None:
    plain = got(FRAME.reply(query(thinking=True), "A text.")).data
    assert [block["type"] for block in plain["content"]] == ["thinking", "text"]
    deltas = [
        each["delta"]["type"]
        for each in got(FRAME.reply(query(form="sse", thinking=True), "A text.")).events
        if each["type"] == "content_block_delta"
    ]
    assert list(dict.fromkeys(deltas)) == ["thinking_delta", "signature_delta", "text_delta"]


def test_usage_in_the_last_delta_is_the_whole_and_the_first_event_says_one() -> None:
    events = got(FRAME.reply(query(form="sse"), "A text " * 40)).events
    assert events[0]["message"]["usage"]["output_tokens"] == 1
    assert events[-2]["usage"]["output_tokens"] == 70


@given(st.text())
def test_a_stream_carries_the_text_of_the_plain_reply(text: str) -> None:
    streamed = got(FRAME.message(query(form="sse"), [text_block(text)], "end_turn"))
    plain = got(FRAME.message(query(), [text_block(text)], "end_turn"))
    assert text_of(streamed) == text_of(plain)


def test_half_a_surrogate_pair_does_not_break_the_answer() -> None:
    assert body({"text": "\ud800"}) == b'{"text":"?"}'


def test_a_rejection_keeps_status_kind_and_words() -> None:
    rejected = got(FRAME.rejected(Rejected("missing_key", 401, "authentication_error", "No key.")))
    assert rejected.status == 401
    assert rejected.data["error"] == {"type": "authentication_error", "message": "No key."}
    assert rejected.headers["x-should-retry"] == "false"
