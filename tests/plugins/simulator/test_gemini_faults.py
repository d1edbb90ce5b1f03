"""How the Gemini API fails, form by form, against what was recorded where it was."""

import json
from typing import Any

import pytest

from rolecall_plugins.simulator.cases import Case
from rolecall_plugins.simulator.exchange import Ending, HttpReply
from rolecall_plugins.simulator.faults import failure
from rolecall_plugins.simulator.gemini.service import GeminiFraming
from rolecall_plugins.simulator.scenario import Options

from .asking import Got, query, text_of
from .recorded import bodies, shape

TEXT = "0123456789" * 20
FORMS = ["json", "sse", "array"]


def fail(cause: str, variant: str | None = None, form: str = "json", **told: Any) -> HttpReply:
    framing = GeminiFraming(call="0", model="gemini-3.8-flash", form=form)  # type: ignore[arg-type]
    asked = query("gemini", form)  # type: ignore[arg-type]
    return failure(framing, cause, Case(asked, TEXT, Options(variant=variant, **told)))


def got(answer: HttpReply) -> Got:
    return Got(answer.status or 0, dict(answer.headers), answer.body)


def candidate(body: Any) -> Any:
    """A candidate without what some model versions add to every one."""
    return {name: value for name, value in body["candidates"][0].items() if name != "index"}


@pytest.mark.parametrize(
    ("cause", "variant", "provider", "tags"),
    [
        ("empty", "blank_text", "gemini", ["case:06-empty", "stop:STOP"]),
        ("thinking_only", "max_tokens", "gemini", ["content_without_parts", "stop:MAX_TOKENS"]),
        ("thinking_only", "thoughts", "gemini", ["case:06-empty", "stop:MAX_TOKENS"]),
        ("safety", "candidate", "gemini", ["stop:SAFETY"]),
        ("bad_tool_call", "malformed", "gemini", ["stop:MALFORMED_FUNCTION_CALL"]),
        ("bad_tool_call", "unexpected", "gemini-vertex", ["stop:UNEXPECTED_TOOL_CALL"]),
        ("bad_tool_call", "uninvited", "gemini", ["case:04-tool-call", "stop:STOP"]),
    ],
)
def test_a_candidate_is_built_like_a_recorded_one(
    cause: str, variant: str, provider: str, tags: list[str]
) -> None:
    ours = got(fail(cause, variant)).data
    recorded = [each for each in bodies(provider, *tags) if each.get("candidates")]
    alike = [candidate(each) for each in recorded]
    # A tool call's arguments are the tool's own.
    mine = candidate(ours)
    for each in (mine, *alike):
        for part in each["content"].get("parts", []):
            part.get("functionCall", {}).pop("args", None)
            part.get("functionCall", {}).pop("id", None)
            part.pop("thoughtSignature", None)
    assert shape(mine) in [shape(each) for each in alike]
    assert mine["finishReason"] in {each["finishReason"] for each in alike}


def test_an_answer_may_lack_candidates_altogether_as_recorded() -> None:
    ours = got(fail("empty", "no_candidates")).data
    recorded = [each for each in bodies("gemini", "case:06-empty") if "candidates" not in each]
    assert tuple(ours) in {tuple(each) for each in recorded}


@pytest.mark.parametrize("variant", ["no_parts", "blank_text", "no_candidates", "thoughts"])
@pytest.mark.parametrize("form", FORMS)
def test_an_empty_answer_is_a_200_without_text(variant: str, form: str) -> None:
    found = got(fail("empty", variant, form))
    assert found.status == 200
    for body in [found.data] if form == "json" else found.events:
        for each in body.get("candidates", []):
            parts = each["content"].get("parts", [])
            assert "".join(part["text"] for part in parts if not part.get("thought")) == ""


@pytest.mark.parametrize("variant", ["max_tokens", "thoughts"])
def test_only_thinking_counts_thoughts_and_no_candidates(variant: str) -> None:
    for body in (
        got(fail("thinking_only", variant)).data,
        *bodies("gemini", "content_without_parts"),
    ):
        usage = body["usageMetadata"]
        assert "candidatesTokenCount" not in usage
        if body["candidates"][0]["finishReason"] == "MAX_TOKENS":
            assert usage["thoughtsTokenCount"] > 0


@pytest.mark.parametrize("form", FORMS)
def test_a_truncated_answer_stops_for_max_tokens_where_it_is_told_to(form: str) -> None:
    assert text_of(got(fail("truncated", form=form))) == TEXT[:100]
    cut = fail("truncated", form=form, after=7)
    assert text_of(got(cut)) == "0123456"
    assert b'"finishReason": "MAX_TOKENS"' in cut.body


def test_a_blocked_prompt_has_a_reason_and_no_candidates() -> None:
    ours = got(fail("safety", "prompt")).data
    assert ours["promptFeedback"]["blockReason"] == "SAFETY"
    assert "candidates" not in ours


@pytest.mark.parametrize(
    ("variant", "finish"),
    [
        ("model_armor", "MODEL_ARMOR"),
        ("recitation", "RECITATION"),
        ("prohibited", "PROHIBITED_CONTENT"),
    ],
)
def test_other_filters_have_reasons_of_their_own(variant: str, finish: str) -> None:
    found = got(fail("safety", variant)).data["candidates"][0]
    assert found["finishReason"] == finish
    assert not found.get("content")


def test_the_filter_may_strike_after_some_text() -> None:
    answer = fail("safety", "midway", "sse", after=30)
    assert text_of(got(answer)) == TEXT[:30]
    assert b'"finishReason": "SAFETY"' in answer.body


def test_a_refusal_is_nothing_but_words() -> None:
    found = got(fail("refusal"))
    assert "can't help" in text_of(found)
    assert found.data["candidates"][0]["finishReason"] == "STOP"


def test_a_429_says_how_long_in_its_body_and_cuts_it() -> None:
    error = got(fail("rate_limited", retry_after=47.94)).data["error"]
    assert error["message"].endswith("Please retry in 47.94s.")
    assert error["details"][-1]["retryDelay"] == "47s"
    assert "PerMinute" in error["details"][1]["violations"][0]["quotaId"]


def test_a_429_may_say_nothing() -> None:
    error = got(fail("rate_limited", "bare")).data["error"]
    assert "details" not in error
    assert error["message"].startswith("Resource exhausted")


def test_a_spent_day_is_told_by_its_quota() -> None:
    error = got(fail("quota_exhausted")).data["error"]
    assert "PerDay" in error["details"][1]["violations"][0]["quotaId"]
    assert "Please retry in 14h7m22.8" in error["message"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("cause", "code", "status"),
    [
        ("overloaded", 503, "UNAVAILABLE"),
        ("server_error", 500, "INTERNAL"),
        ("auth", 400, "INVALID_ARGUMENT"),
        ("forbidden", 403, "PERMISSION_DENIED"),
        ("unknown_model", 404, "NOT_FOUND"),
        ("context_overflow", 400, "INVALID_ARGUMENT"),
        ("invalid_request", 400, "INVALID_ARGUMENT"),
    ],
)
def test_an_error_says_its_status_twice(cause: str, code: int, status: str, form: str) -> None:
    found = got(fail(cause, form=form))
    error = (found.data[0] if form == "array" else found.data)["error"]
    assert (found.status, error["code"], error["status"]) == (code, code, status)
    streams = form == "sse"
    assert (found.headers["content-type"] == "text/event-stream") is streams
    assert not found.body.startswith(b"data:")


@pytest.mark.parametrize(
    ("cause", "tag"),
    [
        ("overloaded", "error:503"),
        ("auth", "case:08-err-auth"),
        ("unknown_model", "error:404"),
        ("invalid_request", "error:400"),
    ],
)
def test_an_error_is_built_like_a_recorded_one(cause: str, tag: str) -> None:
    ours = got(fail(cause)).data
    assert shape(ours) in [shape(each) for each in bodies("gemini", tag)]


def test_a_bad_key_has_the_details_of_a_recorded_one() -> None:
    ours = got(fail("auth")).data["error"]
    for each in bodies("gemini", "case:08-err-auth", "error:400"):
        recorded = each["error"]["details"]
        assert [shape(detail) for detail in ours["details"]] == [shape(each) for each in recorded]
        assert ours["details"][0]["reason"] == recorded[0]["reason"] == "API_KEY_INVALID"


def test_the_context_limit_is_known_by_its_words() -> None:
    message = got(fail("context_overflow")).data["error"]["message"]
    assert "exceeds the maximum number of tokens allowed" in message


@pytest.mark.parametrize("form", ["sse", "array"])
def test_an_error_can_come_in_mid_stream(form: str) -> None:
    answer = fail("overloaded", "midway", form, after=30)
    assert answer.status == 200
    assert TEXT[:6].encode() in answer.body
    if form == "array":
        assert got(answer).data[-1]["error"]["code"] == 503
    else:
        bare = answer.body.rpartition(b"\r\n\r\n")[2]
        assert json.loads(bare)["error"]["code"] == 503
    assert fail("overloaded", "midway").status == 503


@pytest.mark.parametrize("form", ["sse", "array"])
def test_a_break_leaves_the_end_out(form: str) -> None:
    broken = fail("connection", "midway", form, after=30)
    assert broken.ending is Ending.RESET
    assert b"finishReason" not in broken.body
    assert not broken.body.endswith(b"]")


@pytest.mark.parametrize("form", FORMS)
def test_a_bad_payload_ends_properly_but_is_no_json(form: str) -> None:
    for after in (None, 0):
        cut = fail("bad_payload", form=form, after=after)
        assert (cut.status, cut.ending, cut.promised) == (200, Ending.DONE, None)
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(cut.body.rpartition(b"data: ")[2])
    assert b"<!doctype html>" in fail("bad_payload", "html", form).body
