"""How the Anthropic Messages API fails: every cause, in every form, in its own framing."""

from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from ..breaks import broken_off, cut_json, html, midway, unanswered
from ..cases import Case
from ..content.answers import UNINVITED, many_calls, some_call, unfitting_call
from ..exchange import Chunk, Ending, FunctionCall, HttpReply
from ..limits import BucketLevel
from .events import Block, event, text_block, thinking_block, tool_block
from .service import THOUGHT, AnthropicFraming, over_limit

Build = Callable[[AnthropicFraming, Case], HttpReply]

_CONTEXT = 200_000
_PER_MINUTE = 450_000
_WAIT = 7.0


def _content(*blocks: Block, stop: str, sequence: str | None = None) -> Build:
    return lambda framing, case: framing.message(case.query, blocks, stop, stop_sequence=sequence)


def _error(status: int, kind: str, message: str, *, retry: bool = False) -> Build:
    return lambda framing, _case: framing.error(status, kind, message, retry=retry)


def _truncated(framing: AnthropicFraming, case: Case) -> HttpReply:
    return framing.message(case.query, [text_block(case.beginning)], "max_tokens")


def _refused(framing: AnthropicFraming, case: Case, *blocks: Block) -> HttpReply:
    explanation = "The simulator was told to refuse this request."
    details = {"type": "refusal", "category": "cyber", "explanation": explanation}
    return framing.message(case.query, blocks, "refusal", stop_details=details)


def _refused_midway(framing: AnthropicFraming, case: Case) -> HttpReply:
    return _refused(framing, case, text_block(case.beginning))


def _calls(make: Callable[[Case], Sequence[FunctionCall]]) -> Build:
    return lambda framing, case: framing.reply(case.query, "", make(case))


def _malformed(framing: AnthropicFraming, case: Case) -> HttpReply:
    """Call a tool with arguments that are no JSON; a plain reply has their text in their place."""
    block = tool_block(framing.call_id(), some_call(case.query).name, {})
    block["input"] = '{"path": "README.md", "lines": [1, 2'
    return framing.message(case.query, [block], "tool_use")


def _same_id(framing: AnthropicFraming, case: Case) -> HttpReply:
    call = evolve(some_call(case.query), id=framing.call_id())
    return framing.reply(case.query, "", [call, call])


def _written_out(framing: AnthropicFraming, case: Case) -> HttpReply:
    """Write a call, and the result it would like, as text: nothing of it was called."""
    name = some_call(case.query).name
    text = (
        f'<function_calls>\n<invoke name="{name}">\n<parameter name="path">README.md</parameter>\n'
        "</invoke>\n</function_calls>\n<function_results>\nAll tests passed. (Simulated.)\n"
        "</function_results>"
    )
    return framing.reply(case.query, text)


def _rate_limited(framing: AnthropicFraming, case: Case) -> HttpReply:
    wait = case.wait(_WAIT)
    # The bucket is full again only some time after the wait is over.
    return _refusal(framing, case, BucketLevel("input-tokens", _PER_MINUTE, 0, wait + 7), wait)


def _full_quota(framing: AnthropicFraming, case: Case) -> HttpReply:
    # Seen in the wild: a 429 whose headers say that nothing is used, with a reset in 1970.
    full = BucketLevel("input-tokens", _PER_MINUTE, _PER_MINUTE, -framing.now)
    return _refusal(framing, case, full, case.wait(_WAIT))


def _no_retry(framing: AnthropicFraming, case: Case) -> HttpReply:
    return _refusal(framing, case, BucketLevel("input-tokens", _PER_MINUTE, _PER_MINUTE, 0), None)


def _refusal(
    framing: AnthropicFraming, case: Case, level: BucketLevel, wait: float | None
) -> HttpReply:
    levels = [level if own.family == level.family else own for own in framing.levels]
    message = over_limit(level.limit, level.family, case.query.model)
    return framing.refusal(message, levels, wait)


def _overflow(framing: AnthropicFraming, case: Case) -> HttpReply:
    tokens = _CONTEXT + case.query.input_tokens
    message = f"prompt is too long: {tokens} tokens > {_CONTEXT} maximum"
    return framing.error(400, "invalid_request_error", message)


def _unknown_model(framing: AnthropicFraming, case: Case) -> HttpReply:
    return framing.error(404, "not_found_error", f"model: {case.query.model}")


def _proxy(_framing: AnthropicFraming, _case: Case) -> HttpReply:
    text = b"upstream connect error or disconnect/reset before headers (simulated)"
    return HttpReply(status=503, headers=(("content-type", "text/plain"),), chunks=(Chunk(text),))


def _error_event(kind: str, message: str, *, text: bool, plain: Build) -> Build:
    """Send an error inside a 200 stream; a caller who does not stream gets the plain one."""

    def build(framing: AnthropicFraming, case: Case) -> HttpReply:
        if case.query.form == "json":
            return plain(framing, case)
        error = {"details": None, "type": kind, "message": message}
        begun = broken_off(framing.reply(case.query, case.beginning, case.calls), Ending.DONE)
        chunks = begun.chunks if text else ()
        return evolve(begun, chunks=(*chunks, Chunk(event("error", error=error))))

    return build


_OVERLOADED = _error(529, "overloaded_error", "Overloaded", retry=True)
_SERVER_ERROR = _error(500, "api_error", "Internal server error", retry=True)

FAULTS: Mapping[str, Mapping[str, Build]] = {
    "empty": {
        "no_content": _content(stop="end_turn"),
        "newline": _content(text_block("\n"), stop="end_turn"),
        "stop_sequence": _content(stop="stop_sequence", sequence="END"),
    },
    "thinking_only": {
        "max_tokens": _content(thinking_block(THOUGHT), stop="max_tokens"),
        "end_turn": _content(thinking_block(THOUGHT), stop="end_turn"),
    },
    "truncated": {"max_tokens": _truncated},
    # Claude has no filter beside the model; its refusal comes closest.
    "safety": {"refusal": _refused, "midway": _refused_midway},
    "refusal": {"refusal": _refused, "midway": _refused_midway},
    "bad_tool_call": {
        "uninvited": _calls(lambda _case: [UNINVITED]),
        "malformed": _malformed,
        "unfitting": _calls(lambda case: [unfitting_call(case.query)]),
        "endless": _calls(lambda case: [some_call(case.query)]),
        "parallel": _calls(lambda case: many_calls(case.query)),
        "same_id": _same_id,
        "written_out": _written_out,
    },
    "rate_limited": {
        "retry_after": _rate_limited,
        "concurrency": lambda framing, _case: framing.crowded(),
        "no_retry": _no_retry,
        "full_quota": _full_quota,
    },
    "quota_exhausted": {
        "credit": _error(
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API (simulated).",
        )
    },
    "overloaded": {
        "status": _OVERLOADED,
        "first_event": _error_event(
            "overloaded_error", "Overloaded", text=False, plain=_OVERLOADED
        ),
        "midway": _error_event("overloaded_error", "Overloaded", text=True, plain=_OVERLOADED),
    },
    "server_error": {
        "status": _SERVER_ERROR,
        "no_retry": _error(500, "api_error", "Internal server error"),
        "proxy": _proxy,
        "midway": _error_event(
            "api_error", "Internal server error", text=True, plain=_SERVER_ERROR
        ),
    },
    "timeout": {
        "silent": unanswered(Ending.HANG),
        "stall": midway(Ending.HANG),
        "gateway": _error(504, "timeout_error", "Request timed out", retry=True),
    },
    "connection": {"reset": unanswered(Ending.RESET), "midway": midway(Ending.RESET)},
    "bad_payload": {"cut_json": cut_json, "html": html},
    "auth": {"key": _error(401, "authentication_error", "invalid x-api-key")},
    "forbidden": {
        "permission": _error(
            403, "permission_error", "Your API key does not have permission to use this model."
        )
    },
    "unknown_model": {"not_found": _unknown_model},
    "context_overflow": {"prompt": _overflow},
    "invalid_request": {
        "field": _error(
            400, "invalid_request_error", "messages.0.content: Input should be a valid list"
        )
    },
}
