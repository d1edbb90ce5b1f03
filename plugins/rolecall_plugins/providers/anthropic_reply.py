"""What the Anthropic Messages API says, and what it means.

Source: https://docs.anthropic.com/en/api/messages, /errors, /messages-streaming, and recorded
traffic where the two differ.
"""

import re
from collections.abc import Mapping
from typing import Any

from rolecall import Cause, ProviderError, Response, Stop, Usage

from .reply_reader import Headers, retry_after

STOPS: Mapping[str, Stop] = {
    "end_turn": Stop.END,
    "stop_sequence": Stop.END,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "refusal": Stop.REFUSAL,
    "tool_use": Stop.BAD_TOOL_CALL,
    "pause_turn": Stop.BAD_TOOL_CALL,
}
BY_TYPE: Mapping[str, Cause] = {
    "rate_limit_error": Cause.RATE_LIMITED,
    "overloaded_error": Cause.OVERLOADED,
    "api_error": Cause.SERVER_ERROR,
    "timeout_error": Cause.TIMEOUT,
    "authentication_error": Cause.AUTH,
    "permission_error": Cause.FORBIDDEN,
    "billing_error": Cause.QUOTA_EXHAUSTED,
    "not_found_error": Cause.UNKNOWN_MODEL,
    "request_too_large": Cause.CONTEXT_OVERFLOW,
    "invalid_request_error": Cause.INVALID_REQUEST,
}
BY_STATUS: Mapping[int, Cause] = {
    400: Cause.INVALID_REQUEST,
    401: Cause.AUTH,
    402: Cause.QUOTA_EXHAUSTED,
    403: Cause.FORBIDDEN,
    404: Cause.UNKNOWN_MODEL,
    408: Cause.TIMEOUT,
    413: Cause.CONTEXT_OVERFLOW,
    422: Cause.INVALID_REQUEST,
    429: Cause.RATE_LIMITED,
    503: Cause.OVERLOADED,
    504: Cause.TIMEOUT,
    529: Cause.OVERLOADED,
}
# The API has one type for all bad requests; these two have a cause of their own.
_NO_CREDIT = re.compile(r"credit balance is too low", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"prompt is too long|exceed(s|ed)? (the )?(context|maximum)|context (window|limit)",
    re.IGNORECASE,
)


class ClaudeReply:
    """One message, plain or streamed."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._usage: dict[str, Any] = {}
        self._model = ""
        self._stop: str | None = None
        self._detail = ""
        self._error: ProviderError | None = None
        self._called_tool = False

    def absorb(self, payload: Any) -> str:
        kind = payload.get("type") if isinstance(payload, dict) else None
        match kind:
            case "message":
                return self._message(payload)
            case "message_start":
                return self._message(payload["message"])
            case "content_block_start":
                return self._block(payload["content_block"])
            case "content_block_delta":
                return self._add(payload["delta"].get("text", ""))
            case "message_delta":
                self._finish(payload["delta"], payload.get("usage"))
                return ""
            case "error":
                self._error = self.error(0, {}, payload, str(payload))
                return ""
            case None:
                raise ProviderError(
                    Cause.BAD_PAYLOAD, f"the reply is no message: {str(payload)[:60]}"
                )
            case _:
                return ""  # ping, block ends, and what is added to the API later

    def response(self, headers: Headers) -> Response:
        if self._error is not None:
            self._error.request_id = headers.get("request-id")
            self._error.headers = limit_headers(headers)
            raise self._error
        if self._stop is None:
            raise ProviderError(
                Cause.CONNECTION,
                "the stream ended before the message did",
                request_id=headers.get("request-id"),
                headers=limit_headers(headers),
            )
        text = "".join(self._text)
        return Response(
            text=text,
            usage=_usage(self._usage),
            model=self._model,
            stop=self._why(self._stop, text),
            detail=self._detail,
            request_id=headers.get("request-id"),
            headers=limit_headers(headers),
        )

    def error(self, status: int, headers: Headers, payload: Any, text: str) -> ProviderError:
        body = payload.get("error") if isinstance(payload, dict) else None
        body = body if isinstance(body, dict) else {}
        kind, said = str(body.get("type", "")), str(body.get("message", ""))
        cause = BY_TYPE.get(kind) or BY_STATUS.get(status)
        if cause is None:
            cause = Cause.SERVER_ERROR if status >= 500 or not status else Cause.INVALID_REQUEST
        if cause is Cause.INVALID_REQUEST and _NO_CREDIT.search(said):
            cause = Cause.QUOTA_EXHAUSTED
        if cause is Cause.INVALID_REQUEST and _TOO_LONG.search(said):
            cause = Cause.CONTEXT_OVERFLOW
        return ProviderError(
            cause,
            f"{f'HTTP {status}' if status else 'in the stream'}, "
            f"{kind or 'no error type'}: {scrub(said or text.strip())[:300]}",
            retry_after=retry_after(headers),
            retryable=headers.get("x-should-retry") != "false",
            status=status or None,
            request_id=headers.get("request-id"),
            headers=limit_headers(headers),
        )

    def _why(self, reason: str, text: str) -> Stop:
        if reason not in STOPS:  # new to us: nothing says that what came is whole
            self._detail = f"stop_reason {reason}"
            return Stop.LENGTH if text.strip() else Stop.END
        stop = STOPS[reason]
        return Stop.BAD_TOOL_CALL if self._called_tool and stop is Stop.END else stop

    def _message(self, message: Any) -> str:
        self._model = message.get("model", "")
        text = "".join(self._block(block) for block in message.get("content") or ())
        self._finish(message, message.get("usage"))
        return text

    def _block(self, block: Any) -> str:
        self._called_tool = self._called_tool or block.get("type") == "tool_use"
        return self._add(block.get("text", "") if block.get("type") == "text" else "")

    def _add(self, text: str) -> str:
        self._text.append(text)
        return text

    def _finish(self, ending: Any, usage: Any) -> None:
        self._stop = ending.get("stop_reason") or self._stop
        details = ending.get("stop_details") or {}
        if self._stop == "refusal":
            said = ", ".join(filter(None, (details.get("category"), details.get("explanation"))))
            self._detail = f"the model refused{f': {said}' if said else ''}"
        elif self._stop in ("tool_use", "pause_turn"):
            self._detail = f"stop_reason {self._stop}: a tool was called, and none was offered"
        self._usage |= {name: count for name, count in (usage or {}).items() if count is not None}


def _usage(counts: Mapping[str, Any]) -> Usage:
    """Read the counts; Anthropic's input_tokens leave the cached parts out."""
    read = counts.get("cache_read_input_tokens", 0)
    write = counts.get("cache_creation_input_tokens", 0)
    details = counts.get("output_tokens_details") or {}
    return Usage(
        input=counts.get("input_tokens", 0) + read + write,
        output=counts.get("output_tokens", 0),
        thinking=details.get("thinking_tokens", 0),
        cache_read=read,
        cache_write=write,
    )


def limit_headers(headers: Headers) -> dict[str, str]:
    """Keep what speaks of limits, but retry-after, which comes on successes too."""
    limits = "anthropic-ratelimit-"
    return {name: value for name, value in headers.items() if name.startswith(limits)}


def scrub(text: str) -> str:
    """Mask what names an organization or looks like a key."""
    uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    text = re.sub(r"sk-ant-[\w-]+", "[key]", text)
    text = re.sub(rf"(organization(?:'s)?[^.]{{0,60}}?)\(?{uuid}\)?", r"\1[id]", text)
    return re.sub(rf"{uuid}|\b(org|wrkspc)[-_][\w-]{{6,}}", "[id]", text)
