"""What the Gemini generateContent API says, and what it means.

Source: https://ai.google.dev/api/generate-content, google.rpc.error_details, and recorded traffic
where the two differ.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rolecall import Cause, ProviderError, Response, Stop, Usage

from .reply_reader import Headers, retry_after

# What a quota is about, by a part of its name.
FAMILIES = (("requests", "Requests"), ("input-tokens", "InputTokens"))
# RetryInfo is cut to whole seconds, so waiting exactly that long asks too early; the message
# has the fraction as well.
CUT_MARGIN = 1.0
EXACT_MARGIN = 0.1
# Enums come as numbers where asked to: FinishReason of google.ai.generativelanguage.v1beta.
NUMBERED = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
]
STOPS: Mapping[str, Stop] = {
    "STOP": Stop.END,
    "MAX_TOKENS": Stop.LENGTH,
    "SAFETY": Stop.SAFETY,
    "RECITATION": Stop.SAFETY,
    "LANGUAGE": Stop.SAFETY,
    "BLOCKLIST": Stop.SAFETY,
    "PROHIBITED_CONTENT": Stop.SAFETY,
    "SPII": Stop.SAFETY,
    "MODEL_ARMOR": Stop.SAFETY,
    "IMAGE_SAFETY": Stop.SAFETY,
    "MALFORMED_FUNCTION_CALL": Stop.BAD_TOOL_CALL,
    "UNEXPECTED_TOOL_CALL": Stop.BAD_TOOL_CALL,
    "TOO_MANY_TOOL_CALLS": Stop.BAD_TOOL_CALL,
}
BY_STATUS: Mapping[int, Cause] = {
    400: Cause.INVALID_REQUEST,
    401: Cause.AUTH,
    402: Cause.QUOTA_EXHAUSTED,
    403: Cause.FORBIDDEN,
    404: Cause.UNKNOWN_MODEL,
    408: Cause.TIMEOUT,
    413: Cause.CONTEXT_OVERFLOW,
    429: Cause.RATE_LIMITED,
    499: Cause.CONNECTION,
    503: Cause.OVERLOADED,
    504: Cause.TIMEOUT,
}
_TOO_LONG = re.compile(
    r"token count .*exceeds|exceeds the maximum number of tokens|payload size exceeds",
    re.IGNORECASE | re.DOTALL,
)
_BAD_KEY = re.compile(r"api[ _]key (not valid|not found|expired|is invalid)", re.IGNORECASE)
_NO_KEY = re.compile(r"unregistered callers|without established identity", re.IGNORECASE)
_NO_QUOTA = re.compile(r"\blimit: 0\b")
_RETRY_IN = re.compile(r"retry in ((?:[\d.]+(?:h|ms|m|s))+)", re.IGNORECASE)
_SPAN = re.compile(r"([\d.]+)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class GeminiReply:
    """One answer, plain or streamed; every chunk of a stream has the form of a plain one."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._usage: dict[str, Any] = {}
        self._model = ""
        self._id: str | None = None
        self._stop = ""
        self._detail = ""
        self._blocked = ""
        self._called_tool = False
        self._error: ProviderError | None = None

    def absorb(self, payload: Any) -> str:
        if isinstance(payload, list):  # a stream that was not asked for as server-sent events
            return "".join(self.absorb(each) for each in payload)
        if not isinstance(payload, dict):
            raise ProviderError(Cause.BAD_PAYLOAD, f"the reply is no answer: {str(payload)[:60]}")
        if "error" in payload:
            self._error = self.error(0, {}, payload, str(payload))
            return ""
        self._usage |= payload.get("usageMetadata") or {}
        self._model = payload.get("modelVersion", self._model)
        self._id = payload.get("responseId", self._id)
        reason = (payload.get("promptFeedback") or {}).get("blockReason")
        self._blocked = self._blocked or (str(reason) if reason else "")
        return self._candidate((payload.get("candidates") or [{}])[0])

    def response(self, headers: Headers) -> Response:
        if self._error is not None:
            raise self._error
        text = "".join(self._text)
        if text.strip() and not self._stop and not self._blocked:
            raise ProviderError(Cause.CONNECTION, "the stream ended before the answer did")
        return Response(
            text=text,
            usage=_usage(self._usage),
            model=self._model,
            stop=self._why(text),
            detail=self._detail,
            request_id=self._id,
            headers={},
        )

    def error(self, status: int, headers: Headers, payload: Any, text: str) -> ProviderError:
        payload = payload[0] if isinstance(payload, list) and payload else payload
        body = payload.get("error") if isinstance(payload, dict) else None
        body = body if isinstance(body, dict) else {}
        code = status or int(body.get("code") or 500)
        said = str(body.get("message") or text).strip()
        details = [each for each in body.get("details") or () if isinstance(each, dict)]
        word = str(body.get("status") or "no error status")
        return ProviderError(
            _cause(code, word, said, details),
            f"{f'HTTP {status}' if status else 'in the stream'}, {word}: {scrub(said)[:300]}",
            retry_after=_retry(said, details, headers),
            status=code,
            limits=_limits(details),
        )

    def _candidate(self, candidate: Any) -> str:
        pieces = []
        for part in (candidate.get("content") or {}).get("parts") or ():
            self._called_tool = self._called_tool or "functionCall" in part
            if not part.get("thought"):
                pieces.append(part.get("text") or "")
        self._text += pieces
        reason = candidate.get("finishReason")
        if isinstance(reason, int):
            reason = NUMBERED[reason] if reason < len(NUMBERED) else "OTHER"
        if reason:
            self._stop = reason
            said = candidate.get("finishMessage")
            self._detail = f"finishReason {reason}{f': {said}' if said else ''}"
        return "".join(pieces)

    def _why(self, text: str) -> Stop:
        if self._blocked:
            self._detail = f"the prompt was blocked: {self._blocked}"
            return Stop.SAFETY
        if self._stop in STOPS and STOPS[self._stop] is not Stop.END:
            return STOPS[self._stop]
        if self._called_tool:
            return Stop.BAD_TOOL_CALL
        if self._stop not in ("STOP", "") and text.strip():
            return Stop.LENGTH  # OTHER and its kin: it broke off, and nothing says it is whole
        return Stop.END


def _cause(code: int, word: str, said: str, details: list[Any]) -> Cause:
    cause = BY_STATUS.get(code) or (Cause.SERVER_ERROR if code >= 500 else Cause.INVALID_REQUEST)
    reasons = {each.get("reason") for each in details}
    if "API_KEY_INVALID" in reasons or _BAD_KEY.search(said):
        return Cause.AUTH
    if _NO_KEY.search(said):
        return Cause.MISSING_KEY
    if cause is Cause.INVALID_REQUEST and _TOO_LONG.search(said):
        return Cause.CONTEXT_OVERFLOW
    if cause is Cause.INVALID_REQUEST and word == "FAILED_PRECONDITION":
        return Cause.FORBIDDEN  # no billing, or a country that is not served
    spent = _NO_QUOTA.search(said) or any(_is_spent(*each) for each in _quotas(details))
    return Cause.QUOTA_EXHAUSTED if cause is Cause.RATE_LIMITED and spent else cause


def _quotas(details: list[Any]) -> Iterator[tuple[str, str]]:
    """Give the name and the size of each quota that is told to be exceeded."""
    for each in details:
        for violation in each.get("violations") or ():
            yield str(violation.get("quotaId")), str(violation.get("quotaValue"))
        told = each.get("metadata") or {}
        yield str(told.get("quota_limit")), str(told.get("quota_limit_value"))


def _limits(details: list[Any]) -> dict[str, float]:
    """Give the limits per minute that a refusal names."""
    return {
        family: float(size)
        for quota, size in _quotas(details)
        if "PerMinute" in quota and size.isdigit()
        for family, sign in FAMILIES
        if sign in quota
    }


def _is_spent(quota: str, size: str) -> bool:
    """Tell a quota that no minute's wait restores: one per day, or one of nothing."""
    return "PerDay" in quota or size == "0"


def _retry(said: str, details: list[Any], headers: Headers) -> float | None:
    exact = _RETRY_IN.search(said)
    if exact:
        spans = _SPAN.findall(exact[1])
        return sum(float(number) * _SECONDS[unit] for number, unit in spans) + EXACT_MARGIN
    for each in details:
        delay = re.fullmatch(r"([0-9.]+)s", str(each.get("retryDelay", "")))
        if delay:
            return float(delay[1]) + CUT_MARGIN
    return retry_after(headers)


def _usage(counts: Mapping[str, Any]) -> Usage:
    """Read the counts; Gemini's candidatesTokenCount leaves thinking out."""
    thinking = counts.get("thoughtsTokenCount", 0)
    return Usage(
        input=counts.get("promptTokenCount", 0) + counts.get("toolUsePromptTokenCount", 0),
        output=counts.get("candidatesTokenCount", 0) + thinking,
        thinking=thinking,
        cache_read=counts.get("cachedContentTokenCount", 0),
    )


def scrub(text: str) -> str:
    """Mask what names a project or looks like a key."""
    text = re.sub(r"AIza[\w-]+|ya29\.[\w.-]+", "[key]", text)
    return re.sub(r"\b(projects?[/ :='\"]+|consumer '?)[\w:/-]+", r"\1[id]", text)
