"""How the Anthropic API fails, form by form, against what was recorded where it was."""

import json
from typing import Any

import pytest

from rolecall_plugins.simulator.anthropic.service import ORGANIZATION, AnthropicFraming
from rolecall_plugins.simulator.cases import Case
from rolecall_plugins.simulator.exchange import Ending, HttpReply
from rolecall_plugins.simulator.faults import failure
from rolecall_plugins.simulator.limits import Limits, QuotaMeter
from rolecall_plugins.simulator.scenario import Options

from .asking import Got, query, text_of
from .recorded import bodies, data_lines, exchanges, shape, streams

FRAME = AnthropicFraming(
    call="0", now=1_800_000_000.0, levels=QuotaMeter(Limits(), lambda: 0.0).levels()
)
TEXT = "0123456789" * 20


def fail(cause: str, variant: str | None = None, form: str = "json", **told: Any) -> HttpReply:
    case = Case(query(form=form), TEXT, Options(variant=variant, **told))  # type: ignore[arg-type]
    return failure(FRAME, cause, case)


def got(answer: HttpReply) -> Got:
    return Got(answer.status or 0, dict(answer.headers), answer.body)


def kinds(answer: HttpReply) -> list[str]:
    return [each["type"] for each in got(answer).events]


def recorded_deltas(stop_reason: str) -> list[Any]:
    """The last deltas of recorded streams that stopped for this reason."""
    events = [
        json.loads(line) for s in streams("anthropic", as_sent=False) for line in data_lines(s)
    ]
    deltas = [each["delta"] for each in events if each["type"] == "message_delta"]
    return [each for each in deltas if each["stop_reason"] == stop_reason]


@pytest.mark.parametrize("variant", ["no_content", "newline", "stop_sequence"])
def test_an_empty_message_is_built_like_a_recorded_one(variant: str) -> None:
    ours = got(fail("empty", variant)).data
    recorded = bodies("anthropic", "case:06-empty")
    alike = [
        each
        for each in recorded
        if each["stop_reason"] == ours["stop_reason"]
        and [block.get("text") for block in each["content"]]
        == [block.get("text") for block in ours["content"]]
    ]
    assert shape(ours["content"]) in [shape(each["content"]) for each in alike]


def test_an_empty_stream_has_no_block_at_all() -> None:
    assert kinds(fail("empty", form="sse")) == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("variant", "stop"), [("max_tokens", "max_tokens"), ("end_turn", "end_turn")]
)
def test_only_thinking_is_a_thinking_block_and_nothing_else(variant: str, stop: str) -> None:
    data = got(fail("thinking_only", variant)).data
    assert [block["type"] for block in data["content"]] == ["thinking"]
    assert data["stop_reason"] == stop
    streamed = got(fail("thinking_only", variant, "sse"))
    assert text_of(streamed) == ""
    assert "thinking_delta" in [each.get("delta", {}).get("type") for each in streamed.events]


@pytest.mark.parametrize("form", ["json", "sse"])
def test_a_truncated_answer_stops_for_max_tokens_where_it_is_told_to(form: str) -> None:
    assert text_of(got(fail("truncated", form=form))) == TEXT[:100]
    cut = fail("truncated", form=form, after=7)
    assert text_of(got(cut)) == "0123456"
    assert b'"stop_reason":"max_tokens"' in cut.body


@pytest.mark.parametrize("cause", ["refusal", "safety"])
def test_a_refusal_ends_like_a_recorded_one(cause: str) -> None:
    ours = got(fail(cause, form="sse")).events
    assert shape(ours[1]["delta"]) in [shape(each) for each in recorded_deltas("refusal")]
    assert [each["type"] for each in ours] == ["message_start", "message_delta", "message_stop"]
    assert got(fail(cause)).data["stop_details"]["category"]


def test_a_refusal_can_come_after_some_text() -> None:
    answer = fail("refusal", "midway", "sse", after=30)
    assert text_of(got(answer)) == TEXT[:30]
    assert b'"stop_reason":"refusal"' in answer.body


def test_an_uninvited_tool_call_is_built_like_recorded_ones() -> None:
    recorded = [
        {**block, "input": None, "caller": None}
        for body in bodies("anthropic", "stop:tool_use")
        for block in body["content"]
        if block["type"] == "tool_use"
    ]
    block = got(fail("bad_tool_call")).data["content"][0]
    assert shape({**block, "input": None, "caller": None}) in [shape(each) for each in recorded]
    parts = [
        each["delta"].get("partial_json")
        for each in got(fail("bad_tool_call", form="sse")).events
        if each["type"] == "content_block_delta"
    ]
    assert parts[0] == ""
    assert json.loads("".join(parts)) == block["input"]


def test_the_usual_429_says_when_to_come_back_and_when_all_is_full_again() -> None:
    headers = got(fail("rate_limited", retry_after=3.0)).headers
    assert (headers["retry-after"], headers["x-should-retry"]) == ("3", "true")
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "0"
    assert headers["anthropic-ratelimit-input-tokens-reset"] == "2027-01-15T08:00:10Z"


def test_a_429_may_claim_that_nothing_is_used() -> None:
    headers = got(fail("rate_limited", "full_quota")).headers
    name = "anthropic-ratelimit-input-tokens"
    assert headers[f"{name}-remaining"] == headers[f"{name}-limit"]
    assert headers[f"{name}-reset"] == "1970-01-01T00:00:00Z"
    assert any(
        each["response"]["headers"].get(f"{name}-reset") == "1970-01-01T00:00:00Z"
        for each in exchanges("anthropic", "error:429")
    )


def test_a_429_may_forbid_to_retry() -> None:
    headers = got(fail("rate_limited", "no_retry")).headers
    assert headers["x-should-retry"] == "false"
    assert "retry-after" not in headers


def test_the_429_for_too_many_connections_names_no_wait() -> None:
    found = got(fail("rate_limited", "concurrency"))
    assert "Number of concurrent connections" in found.data["error"]["message"]
    assert "retry-after" not in found.headers


def test_a_429_names_an_organization_that_is_nobodys() -> None:
    found = got(fail("rate_limited"))
    assert ORGANIZATION in found.data["error"]["message"]
    assert found.headers["anthropic-organization-id"] == ORGANIZATION


@pytest.mark.parametrize(
    ("cause", "variant", "tag"),
    [
        ("overloaded", "status", "error:529"),
        ("server_error", "no_retry", "error:500"),
        ("auth", "key", "error:401"),
        ("unknown_model", "not_found", "error:404"),
        ("invalid_request", "field", "error:400"),
    ],
)
def test_an_error_has_the_status_kind_and_advice_of_a_recorded_one(
    cause: str, variant: str, tag: str
) -> None:
    found = got(fail(cause, variant))
    recorded = [
        (
            each["response"]["status"],
            each["response"]["body"]["error"]["type"],
            each["response"]["headers"].get("x-should-retry"),
        )
        for each in exchanges("anthropic", tag, "generate")
    ]
    ours = (found.status, found.data["error"]["type"], found.headers["x-should-retry"])
    assert ours in recorded


def test_a_503_of_the_proxy_is_plain_text() -> None:
    found = got(fail("server_error", "proxy"))
    recorded = exchanges("anthropic", "error:503")[0]["response"]
    assert (found.status, found.headers["content-type"]) == (
        recorded["status"],
        recorded["headers"]["content-type"],
    )
    assert not found.body.startswith(b"{")


def test_an_error_event_is_the_recorded_one() -> None:
    recorded = [
        json.loads(line)
        for each in exchanges("anthropic", "sse_error")
        for line in data_lines(each["response"]["body"])
    ]
    for variant in ("first_event", "midway"):
        assert got(fail("overloaded", variant, "sse")).events[-1] in recorded


def test_an_error_can_be_the_first_event_of_a_stream() -> None:
    answer = fail("overloaded", "first_event", "sse")
    assert (answer.status, kinds(answer)) == (200, ["error"])
    assert answer.ending is Ending.DONE


@pytest.mark.parametrize("cause", ["overloaded", "server_error"])
def test_an_error_can_come_in_mid_stream(cause: str) -> None:
    answer = fail(cause, "midway", "sse", after=30)
    assert text_of(got(answer)) == TEXT[:30]
    assert kinds(answer)[-1] == "error"
    assert "content_block_stop" not in kinds(answer)


@pytest.mark.parametrize(
    ("cause", "variant"),
    [("overloaded", "first_event"), ("overloaded", "midway"), ("server_error", "midway")],
)
def test_without_a_stream_such_an_error_is_a_plain_one(cause: str, variant: str) -> None:
    assert fail(cause, variant).status in (529, 500)


def test_credit_and_context_are_bad_requests_known_by_their_words() -> None:
    credit, context = got(fail("quota_exhausted")), got(fail("context_overflow"))
    assert (credit.status, context.status) == (400, 400)
    assert "credit balance is too low" in credit.data["error"]["message"]
    words = context.data["error"]["message"].split()
    assert words[:4] == ["prompt", "is", "too", "long:"]
    assert int(words[4]) > int(words[7])


@pytest.mark.parametrize(
    ("cause", "ending"), [("timeout", Ending.HANG), ("connection", Ending.RESET)]
)
def test_silence_and_breaks(cause: str, ending: Ending) -> None:
    silent = fail(cause)
    assert (silent.status, silent.chunks, silent.ending) == (None, (), ending)
    variant = "stall" if cause == "timeout" else "midway"
    broken = fail(cause, variant, "sse", after=30)
    assert text_of(got(broken)) == TEXT[:30]
    assert broken.ending is ending
    plain = fail(cause, variant)
    assert plain.promised is not None
    assert len(plain.body) < plain.promised


@pytest.mark.parametrize("form", ["json", "sse"])
def test_a_bad_payload_ends_properly_but_is_no_json(form: str) -> None:
    cut = fail("bad_payload", form=form)
    assert (cut.status, cut.ending, cut.promised) == (200, Ending.DONE, None)
    last = cut.body.rpartition(b"data: ")[2]
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(last)
    assert got(fail("bad_payload", "html", form)).body.startswith(b"<!doctype html>")
