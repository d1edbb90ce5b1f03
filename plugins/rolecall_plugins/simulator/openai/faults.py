"""How chat completions fail: every cause, in every form, in OpenAI's framing."""

from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from ..breaks import broken_off, cut_json, html, midway, unanswered
from ..cases import Case
from ..content.answers import UNINVITED, many_calls, some_call, unfitting_call
from ..exchange import Chunk, Ending, FunctionCall, HttpReply
from .service import OpenAIFraming, event

Build = Callable[[OpenAIFraming, Case], HttpReply]

_PER_MINUTE = 450_000
_WAIT = 7.0
_CONTEXT = 400_000


def _content(text: str | None, finish: str) -> Build:
    return lambda framing, case: framing.message(case.query, text, finish)


def _error(status: int, kind: str, message: str, code: str | None = None) -> Build:
    return lambda framing, _case: framing.error(status, kind, message, code)


def _cut(finish: str) -> Build:
    return lambda framing, case: framing.message(case.query, case.beginning, finish)


def _thinking(finish: str) -> Build:
    return lambda framing, case: framing.message(
        case.query, None, finish, thinking=case.query.max_tokens or 64
    )


def _refused(framing: OpenAIFraming, case: Case) -> HttpReply:
    why = "The simulator was told to refuse this request."
    return framing.message(case.query, None, "stop", refusal=why)


def _calls(make: Callable[[Case], Sequence[FunctionCall]]) -> Build:
    return lambda framing, case: framing.message(case.query, None, "tool_calls", make(case))


def _malformed(framing: OpenAIFraming, case: Case) -> HttpReply:
    """Call a tool with arguments that are no JSON."""
    name = some_call(case.query).name
    function = {"name": name, "arguments": '{"path": "README.md", "lines": [1, 2'}
    call = {"index": 0, "id": framing.id("call"), "type": "function", "function": function}
    return framing.message(case.query, None, "tool_calls", tool_calls=[call])


def _same_id(framing: OpenAIFraming, case: Case) -> HttpReply:
    call = evolve(some_call(case.query), id=framing.id("call"))
    return framing.message(case.query, None, "tool_calls", [call, call])


def _written_out(framing: OpenAIFraming, case: Case) -> HttpReply:
    """Write a call as text: nothing of it was called."""
    name = some_call(case.query).name
    return framing.reply(case.query, f'<tool_call>{{"name": "{name}"}}</tool_call> (Simulated.)')


def _rate_limited(framing: OpenAIFraming, case: Case) -> HttpReply:
    return framing.refusal(case.query.model, "tokens", _PER_MINUTE, case.wait(_WAIT))


def _no_retry(framing: OpenAIFraming, case: Case) -> HttpReply:
    return framing.refusal(case.query.model, "tokens", _PER_MINUTE, None)


def _overflow(framing: OpenAIFraming, case: Case) -> HttpReply:
    message = (
        f"This model's maximum context length is {_CONTEXT} tokens. However, your messages "
        f"resulted in {_CONTEXT + case.query.input_tokens} tokens. (Simulated.)"
    )
    return framing.error(400, "invalid_request_error", message, "context_length_exceeded")


def _unknown_model(framing: OpenAIFraming, case: Case) -> HttpReply:
    message = f"The model `{case.query.model}` does not exist or you do not have access to it."
    return framing.error(404, "invalid_request_error", message, "model_not_found")


def _in_stream(code: str, message: str, *, text: bool, plain: Build) -> Build:
    """Send an error inside a 200 stream; a caller who does not stream gets the plain one."""

    def build(framing: OpenAIFraming, case: Case) -> HttpReply:
        if case.query.form == "json":
            return plain(framing, case)
        begun = broken_off(framing.reply(case.query, case.beginning, case.calls), Ending.DONE)
        error = {"message": message, "type": code, "code": code}
        chunks = begun.chunks if text else ()
        return evolve(begun, chunks=(*chunks, Chunk(event({"error": error}))))

    return build


_OVERLOADED = _error(503, "overloaded_error", "The engine is currently overloaded (simulated).")
_SERVER_ERROR = _error(500, "server_error", "The server had an error (simulated).", "server_error")

FAULTS: Mapping[str, Mapping[str, Build]] = {
    "empty": {
        "no_content": _content(None, "stop"),
        "newline": _content("\n", "stop"),
        "stop_sequence": _content("", "stop"),
    },
    "thinking_only": {"max_tokens": _thinking("length"), "end_turn": _thinking("length")},
    "truncated": {"max_tokens": _cut("length")},
    "safety": {"filter": _content("", "content_filter"), "midway": _cut("content_filter")},
    "refusal": {"refusal": _refused},
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
    },
    "quota_exhausted": {
        "credit": _error(
            429,
            "insufficient_quota",
            "You exceeded your current quota, please check your plan (simulated).",
            "insufficient_quota",
        )
    },
    "overloaded": {
        "status": _OVERLOADED,
        "first_event": _in_stream("overloaded_error", "Overloaded", text=False, plain=_OVERLOADED),
        "midway": _in_stream("overloaded_error", "Overloaded", text=True, plain=_OVERLOADED),
    },
    "server_error": {
        "status": _SERVER_ERROR,
        "midway": _in_stream("server_error", "Internal error", text=True, plain=_SERVER_ERROR),
    },
    "timeout": {
        "silent": unanswered(Ending.HANG),
        "stall": midway(Ending.HANG),
        "gateway": _error(504, "server_error", "Request timed out"),
    },
    "connection": {"reset": unanswered(Ending.RESET), "midway": midway(Ending.RESET)},
    "bad_payload": {"cut_json": cut_json, "html": html},
    "auth": {
        "key": _error(
            401,
            "invalid_request_error",
            "Incorrect API key provided (simulated).",
            "invalid_api_key",
        )
    },
    "forbidden": {
        "permission": _error(
            403, "permission_error", "Your project does not have permission for this (simulated)."
        )
    },
    "unknown_model": {"not_found": _unknown_model},
    "context_overflow": {"prompt": _overflow},
    "invalid_request": {
        "field": _error(400, "invalid_request_error", "Unrecognized request argument (simulated).")
    },
}
