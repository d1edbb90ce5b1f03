"""What a recorded exchange means, read from its JSON by the vendors' documentation alone.

It shares nothing with the plugins, so that where it agrees with them two have read the same.
Sources: docs.anthropic.com/en/api (messages, streaming, errors, rate limits), ai.google.dev/api
(generate-content), google.rpc (error_details, code), RFC 9110.
"""

import json
import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from attrs import field, frozen

Json = Any
ANY = "any"


@frozen
class Expected:
    """What is to be made of one exchange.

    cause: a word of rolecall.Cause; empty for an answer; ANY where nothing was generated at all,
        so that whatever is said is right unless it is an answer.
    text, usage: what a success brought, also one that is no answer; None with an error. usage is
        None too where a success told none.
    wait: the least and the most seconds to wait, where the vendor asks for any.
    useless: the vendor says that asking again is no use.
    limits: the headers about rate limits.
    turn: the blocks or parts of an answer that wants tools called, as they must go back.
    """

    cause: str
    text: str | None = None
    usage: Mapping[str, int] | None = None
    wait: tuple[float, float] | None = None
    useless: bool = False
    limits: Mapping[str, str] = field(factory=dict)
    turn: tuple[Json, ...] = ()


def expected(exchange: Json) -> Expected:
    claude = exchange["provider"] == "anthropic"
    response = exchange["response"]
    status, body = response["status"], response["body"]
    headers = response["headers"]
    if status >= 400:
        return _claude_error(status, headers, body) if claude else _gemini_error(status, body)
    if claude:
        return _claude_success(body, headers)
    return _gemini_success(body)


def streamed(exchange: Json) -> bool:
    """Tell whether the request asked for a stream."""
    body = exchange["request"]["body"]
    in_body = isinstance(body, dict) and body.get("stream") is True
    return in_body or ":streamGenerateContent" in exchange["request"]["url"]


def event_stream(exchange: Json) -> bool:
    return bool(exchange["response"]["wire"]["body_kind"] == "sse")


def _events(stream: str) -> Iterator[Json]:
    """Parse events as the HTML standard says: fields by line, an event by blank line."""
    for block in re.split(r"\r\n\r\n|\n\n", stream):
        lines = [line for line in re.split(r"\r\n|\n", block) if line.startswith("data:")]
        if lines:
            yield json.loads("\n".join(line.removeprefix("data:") for line in lines))


# Anthropic

CLAUDE_STATUS = {
    400: "invalid_request",
    401: "auth",
    402: "quota_exhausted",
    403: "forbidden",
    404: "unknown_model",  # the one thing that our requests name is the model
    413: "context_overflow",
    429: "rate_limited",
    500: "server_error",
    503: "overloaded",  # undocumented: a proxy's; RFC 9110 calls it temporary overload
    504: "timeout",
    529: "overloaded",
}
CLAUDE_STATUS_OF_TYPE = {"api_error": 500, "overloaded_error": 529, "rate_limit_error": 429}


def _claude_error(status: int, headers: Mapping[str, str], body: Json) -> Expected:
    said = body["error"]["message"] if isinstance(body, dict) else body
    cause = CLAUDE_STATUS[status]
    if status == 400 and said.startswith("Your credit balance is too low"):
        cause = "quota_exhausted"
    if status == 400 and said.startswith("prompt is too long"):
        cause = "context_overflow"
    seconds = _retry_after(headers)
    return Expected(
        cause=cause,
        wait=None if seconds is None else (seconds, seconds),
        useless=headers.get("x-should-retry") == "false",
        limits=_claude_limits(headers),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after")
    if value is None or value.isdigit():
        return None if value is None else float(value)
    wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])
    return wait.total_seconds()


def _claude_limits(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in headers if name.startswith("anthropic-ratelimit-")}


def _claude_success(body: Json, headers: Mapping[str, str]) -> Expected:
    if isinstance(body, str):
        events = list(_events(body))
        broken = next((event for event in events if event["type"] == "error"), None)
        if broken is not None:
            status = CLAUDE_STATUS_OF_TYPE[broken["error"]["type"]]
            return Expected(CLAUDE_STATUS[status], limits=_claude_limits(headers))
        body = _claude_assembled(events)
    if body.get("type") != "message":
        return Expected(ANY)  # counted tokens, models, batches
    if body["stop_reason"] is None:
        return Expected("connection", limits=_claude_limits(headers))
    text = "".join(block["text"] for block in body["content"] if block["type"] == "text")
    usage = body["usage"]
    read = usage.get("cache_read_input_tokens") or 0
    write = usage.get("cache_creation_input_tokens") or 0
    return Expected(
        cause=_claude_cause(body, text),
        text=text,
        # `iterations` lists what else was billed (an advisor); the sums leave it out, and so do we.
        usage={
            "input": usage["input_tokens"] + read + write,
            "output": usage["output_tokens"],
            "thinking": (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0),
            "cache_read": read,
            "cache_write": write,
        },
        limits=_claude_limits(headers),  # retry-after on a success is not for waiting
        turn=_claude_turn(body),
    )


def _claude_turn(message: Json) -> tuple[Json, ...]:
    """Return the blocks where some are calls that can be made: a cut one cannot."""
    blocks = message["content"]
    ended = message["stop_reason"] in ("tool_use", "end_turn", "stop_sequence")
    if not ended or all(block["type"] != "tool_use" for block in blocks):
        return ()
    told = [{key: value for key, value in block.items() if value is not None} for block in blocks]
    return tuple(block for block in told if block.get("text") != "")


def _claude_assembled(events: list[Json]) -> Json:
    """Put the message together that the same request without streaming would have brought."""
    message: Json = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(event["content_block"])
            case "content_block_delta":
                _claude_add(message["content"][event["index"]], event["delta"])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]  # cumulative
    for block in message.get("content", ()):
        if written := block.pop("partial_json", ""):
            block["input"] = json.loads(written)
    return message


def _claude_add(block: Json, delta: Json) -> None:
    match delta["type"]:
        case "text_delta" | "thinking_delta" | "input_json_delta":
            (name,) = set(delta) - {"type", "estimated_tokens"}
            block[name] = block.get(name, "") + delta[name]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        case other:
            raise AssertionError(f"nobody has decided what a {other!r} adds")


def _claude_cause(message: Json, text: str) -> str:
    called = any(block["type"] == "tool_use" for block in message["content"])
    match message["stop_reason"]:
        case "refusal":
            return "refusal"
        case "max_tokens" | "model_context_window_exceeded":
            # Also with a tool call that the limit cut: the documents ask for a larger limit.
            return "truncated" if text.strip() else "thinking_only"
        case "tool_use" | "pause_turn":
            return "bad_tool_call"  # pause_turn: in the middle of the vendor's own tools
        case "end_turn" | "stop_sequence":
            return "bad_tool_call" if called else "" if text.strip() else "empty"
        case other:
            raise AssertionError(f"nobody has decided what stop_reason {other!r} means")


# Gemini

GEMINI_STATUS = {
    400: "invalid_request",
    401: "auth",  # also CREDENTIALS_MISSING: we send a key, so what is missing is another kind
    403: "forbidden",
    404: "unknown_model",
    429: "rate_limited",
    500: "server_error",
    503: "overloaded",
    504: "timeout",
}
# FinishReason of google.ai.generativelanguage.v1beta, where `$alt=json;enum-encoding=int` is asked.
GEMINI_FINISH = {1: "STOP", 2: "MAX_TOKENS"}
GEMINI_BLOCKS = {
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
}
GEMINI_BAD_CALLS = {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"}


def _gemini_error(status: int, body: Json) -> Expected:
    if isinstance(body, str):  # JSON with a comma too many: the status alone can be read
        return Expected(GEMINI_STATUS[status])
    error = body["error"]
    details = {each["@type"].rpartition(".")[2]: each for each in error.get("details", ())}
    info = details.get("ErrorInfo", {})
    cause = GEMINI_STATUS[status]
    if info.get("reason") == "API_KEY_INVALID":
        cause = "auth"
    if "unregistered callers" in error["message"]:
        cause = "missing_key"
    if status == 400 and "exceeds the maximum number of tokens" in error["message"]:
        cause = "context_overflow"
    violations = details.get("QuotaFailure", {}).get("violations", ())
    if any("PerDay" in each["quotaId"] for each in violations):
        cause = "quota_exhausted"
    if info.get("metadata", {}).get("quota_limit_value") == "0" or "limit: 0," in error["message"]:
        cause = "quota_exhausted"  # none per minute: no minute brings any
    said = re.search(r"Please retry in ([0-9.]+)s", error["message"])
    info = details.get("RetryInfo", {}).get("retryDelay", "").removesuffix("s")
    least = float(said[1]) if said else float(info) if info else None
    return Expected(cause, wait=None if least is None else (least, least + 2))


def _gemini_success(body: Json) -> Expected:
    if isinstance(body, str):
        chunks = list(_events(body))
    else:
        chunks = body if isinstance(body, list) else [body]
    generated = [chunk for chunk in chunks if "candidates" in chunk]
    blocked = any("blockReason" in chunk.get("promptFeedback", {}) for chunk in chunks)
    if isinstance(body, dict) and not generated and not blocked and "modelVersion" not in body:
        return Expected(ANY)  # counted tokens, models, caches
    firsts = [
        each
        for chunk in generated
        for each in chunk["candidates"]
        if each.get("index", 0) == 0  # of several candidates, asked for by others, the first
    ]
    parts = [part for each in firsts for part in each.get("content", {}).get("parts", ())]
    shown = [part for part in parts if part.get("thought") is not True]
    text = "".join(part.get("text", "") for part in shown)
    # Every chunk counts all so far, and what is absent is 0, so the last one holds the sums.
    counts: dict[str, int] = next(
        (chunk["usageMetadata"] for chunk in reversed(chunks) if "usageMetadata" in chunk), {}
    )
    finishes = [each["finishReason"] for each in firsts if "finishReason" in each]
    last = finishes[-1] if finishes else None  # an earlier one ended a part, not the answer
    called = any("functionCall" in part for part in parts)
    return Expected(
        cause="safety" if blocked else _gemini_cause(last, called, text),
        text=text,
        usage=_gemini_usage(counts) if counts else None,
        turn=tuple(_gemini_joined(parts)) if called and last in ("STOP", 1) else (),
    )


def _gemini_joined(parts: list[Json]) -> Iterator[Json]:
    """Join the texts that a stream parted; a signature stays in the part that it came in."""
    text = ""
    for part in parts:
        if set(part) == {"text"}:
            text += part["text"]
            continue
        if text:
            yield {"text": text}
        text = ""
        yield part
    if text:
        yield {"text": text}


def _gemini_usage(counts: Mapping[str, int]) -> dict[str, int]:
    thinking = counts.get("thoughtsTokenCount", 0)
    read = counts.get("promptTokenCount", 0) + counts.get("toolUsePromptTokenCount", 0)
    shown = counts.get("candidatesTokenCount", 0)
    # Documented: the total is the sum of all four. Of preview models it is not, for their
    # candidates include the thoughts.
    is_sum = counts.get("totalTokenCount") != read + shown
    return {
        "input": read,
        "output": shown + thinking if is_sum else shown,
        "thinking": thinking,
        "cache_read": counts.get("cachedContentTokenCount", 0),
        "cache_write": 0,
    }


def _gemini_cause(finish: Json, called: bool, text: str) -> str:
    reason = GEMINI_FINISH[finish] if isinstance(finish, int) else finish
    if reason in GEMINI_BLOCKS:
        return "safety"
    if reason in GEMINI_BAD_CALLS:
        return "bad_tool_call"
    if reason == "MAX_TOKENS":
        return "truncated" if text.strip() else "thinking_only"
    if reason is None and (called or text.strip()):
        return "connection"
    if called:
        return "bad_tool_call"
    if not text.strip():
        return "empty"
    assert reason == "STOP", f"nobody has decided what finishReason {reason!r} means"
    return ""
