"""How the Gemini API fails: every cause, in every form, in its own framing."""

from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from ..breaks import broken_off, cut_json, html, midway, unanswered
from ..cases import Case
from ..content.answers import UNINVITED, many_calls, some_call, unfitting_call
from ..exchange import Chunk, Ending, FunctionCall, HttpReply
from .bodies import Body, candidate, detail, plain
from .requests import not_found
from .service import THOUGHT_TOKENS, GeminiFraming

Build = Callable[[GeminiFraming, Case], HttpReply]

_CONTEXT = 1_048_576
_PER_MINUTE = 1_000_000
_PER_DAY = 250
_WAIT = 6.418273905
_DAY_WAIT = 50_842.806758221
_THOUGHT = {"text": "A model would think here; the simulator only says so.", "thought": True}
_SERVICE = "generativelanguage.googleapis.com"


def _one(made: Body | None, *, thoughts: int = 0, **first: object) -> Build:
    """Answer with a single response; without a candidate it has none."""

    def build(framing: GeminiFraming, case: Case) -> HttpReply:
        candidates = {} if made is None else {"candidates": [made]}
        usage = framing.usage(case.query, thoughts=thoughts)
        return framing.answer([framing.body(usage, **candidates, **first)], output_tokens=thoughts)

    return build


def _blocked(finish: str, content: Body | None, **rest: object) -> Body:
    return {
        **({} if content is None else {"content": content}),
        "finishReason": finish,
        "index": 0,
        **rest,
    }


def _ratings() -> list[Body]:
    harms = ("HATE_SPEECH", "DANGEROUS_CONTENT", "HARASSMENT", "SEXUALLY_EXPLICIT")
    ratings: list[Body] = [
        {"category": f"HARM_CATEGORY_{harm}", "probability": "NEGLIGIBLE"} for harm in harms
    ]
    ratings[1] |= {"probability": "MEDIUM", "blocked": True}
    return ratings


def _error(code: int, status: str, message: str, *details: Body) -> Build:
    return lambda framing, _case: framing.error(code, status, message, details)


def _text(finish: str) -> Build:
    return lambda framing, case: framing.text(case.query, case.beginning, finish)


def _declined(framing: GeminiFraming, case: Case) -> HttpReply:
    return framing.text(case.query, "I can't help with that request. (Simulated.)", "STOP")


def _calls(make: Callable[[Case], Sequence[FunctionCall]]) -> Build:
    return lambda framing, case: framing.reply(case.query, "", make(case))


def _same_id(framing: GeminiFraming, case: Case) -> HttpReply:
    call = evolve(some_call(case.query), id=framing.call_id())
    return framing.reply(case.query, "", [call, call])


def _written_out(framing: GeminiFraming, case: Case) -> HttpReply:
    """Write a call, and the result it would like, as text: nothing of it was called."""
    name = some_call(case.query).name
    text = (
        f"```tool_code\nprint(default_api.{name}(path='README.md'))\n```\n"
        "```tool_output\nAll tests passed. (Simulated.)\n```"
    )
    return framing.reply(case.query, text)


def _rate_limited(framing: GeminiFraming, case: Case) -> HttpReply:
    return framing.over_quota("input-tokens", _PER_MINUTE, case.wait(_WAIT))


def _over_day(framing: GeminiFraming, case: Case) -> HttpReply:
    return framing.over_quota("requests-per-day", _PER_DAY, case.wait(_DAY_WAIT))


def _overflow(framing: GeminiFraming, case: Case) -> HttpReply:
    tokens = _CONTEXT + case.query.input_tokens
    message = (
        f"The input token count ({tokens}) exceeds the maximum number of tokens "
        f"allowed ({_CONTEXT})."
    )
    return framing.error(400, "INVALID_ARGUMENT", message)


def _unknown_model(framing: GeminiFraming, _case: Case) -> HttpReply:
    return framing.error(404, "NOT_FOUND", not_found(framing.model, framing.version))


def _proxy(_framing: GeminiFraming, _case: Case) -> HttpReply:
    page = b"<!DOCTYPE html>\n<title>Error 502 (Server Error)!!1</title>\n<p>Simulated.</p>\n"
    headers = (("content-type", "text/html; charset=UTF-8"),)
    return HttpReply(status=502, headers=headers, chunks=(Chunk(page),))


def _error_midway(code: int, status: str, message: str) -> Build:
    """Break a stream off with a bare error; a caller who does not stream gets the plain one."""

    def build(framing: GeminiFraming, case: Case) -> HttpReply:
        error = framing.error(code, status, message)
        if not framing.streamed:
            return error
        begun = broken_off(framing.reply(case.query, case.beginning, case.calls), Ending.DONE)
        body = plain({"error": {"code": code, "message": message, "status": status}})
        closed = b",\r\n" + body + b"]" if framing.form == "array" else body
        return evolve(begun, chunks=(*begun.chunks, Chunk(closed)))

    return build


_OVERLOADED = (503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
_INTERNAL = (500, "INTERNAL", "An internal error has occurred. (Simulated.)")
_BAD_KEY = "API key not valid. Please pass a valid API key."
_NO_PERMISSION = "The caller does not have permission to use project 000000000000 (simulated)."

FAULTS: Mapping[str, Mapping[str, Build]] = {
    "empty": {
        "no_parts": _one(candidate(finishReason="STOP")),
        "blank_text": _one(candidate({"text": ""}, finishReason="STOP")),
        "no_candidates": _one(None),
        "thoughts": _one(candidate(_THOUGHT, finishReason="STOP"), thoughts=THOUGHT_TOKENS),
    },
    "thinking_only": {
        "max_tokens": _one(candidate(finishReason="MAX_TOKENS"), thoughts=THOUGHT_TOKENS),
        "thoughts": _one(candidate(_THOUGHT, finishReason="MAX_TOKENS"), thoughts=THOUGHT_TOKENS),
    },
    "truncated": {"max_tokens": _text("MAX_TOKENS")},
    "safety": {
        "candidate": _one(_blocked("SAFETY", {}, safetyRatings=_ratings())),
        "prompt": _one(None, promptFeedback={"blockReason": "SAFETY", "safetyRatings": _ratings()}),
        "model_armor": _one(_blocked("MODEL_ARMOR", None)),
        "recitation": _one(_blocked("RECITATION", None)),
        "prohibited": _one(_blocked("PROHIBITED_CONTENT", {})),
        "midway": _text("SAFETY"),
    },
    # Gemini has no sign for the model's own refusal: it declines in plain words.
    "refusal": {"words": _declined},
    "bad_tool_call": {
        "malformed": _one(
            _blocked(
                "MALFORMED_FUNCTION_CALL",
                {},
                finishMessage="Malformed function call: call:a_tool_nobody_offered{path:",
            )
        ),
        "unexpected": _one(
            _blocked(
                "UNEXPECTED_TOOL_CALL",
                {},
                finishMessage="Unexpected tool call: a_tool_nobody_offered(path='README.md')",
            )
        ),
        "uninvited": _calls(lambda _case: [UNINVITED]),
        "unfitting": _calls(lambda case: [unfitting_call(case.query)]),
        "endless": _calls(lambda case: [some_call(case.query)]),
        "parallel": _calls(lambda case: many_calls(case.query)),
        "same_id": _same_id,
        "written_out": _written_out,
    },
    "rate_limited": {
        "per_minute": _rate_limited,
        "bare": lambda framing, _case: framing.exhausted(),
    },
    "quota_exhausted": {"per_day": _over_day},
    "overloaded": {"status": _error(*_OVERLOADED), "midway": _error_midway(*_OVERLOADED)},
    "server_error": {
        "status": _error(*_INTERNAL),
        "proxy": _proxy,
        "midway": _error_midway(*_INTERNAL),
    },
    "timeout": {
        "silent": unanswered(Ending.HANG),
        "stall": midway(Ending.HANG),
        "gateway": _error(504, "DEADLINE_EXCEEDED", "Deadline expired. (Simulated.)"),
    },
    "connection": {"reset": unanswered(Ending.RESET), "midway": midway(Ending.RESET)},
    "bad_payload": {"cut_json": cut_json, "html": html},
    "auth": {
        "key": _error(
            400,
            "INVALID_ARGUMENT",
            _BAD_KEY,
            detail(
                "ErrorInfo",
                reason="API_KEY_INVALID",
                domain="googleapis.com",
                metadata={"service": _SERVICE},
            ),
            detail("LocalizedMessage", locale="en-US", message=_BAD_KEY),
        )
    },
    "forbidden": {
        "permission": _error(
            403,
            "PERMISSION_DENIED",
            _NO_PERMISSION,
            detail(
                "ErrorInfo",
                reason="SERVICE_DISABLED",
                domain="googleapis.com",
                metadata={"service": _SERVICE, "consumer": "projects/000000000000"},
            ),
        )
    },
    "unknown_model": {"not_found": _unknown_model},
    "context_overflow": {"prompt": _overflow},
    "invalid_request": {
        "field": _error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
    },
}
