"""What an error in OpenAI's format means, also where another vendor or a gateway speaks it.

Source: https://platform.openai.com/docs/guides/error-codes, the documents of Azure OpenAI, Mistral,
DeepSeek, Groq, OpenRouter and vLLM, and recorded traffic where these differ.
"""

import re
from collections.abc import Mapping

from rolecall import Cause, ProviderError, retry_after

from .error_bodies import bounded_message, inner_error
from .error_causes import by_status, classified
from .fields import items_or_empty, table_or_empty, text_or_empty

# `code`, or `type` where there is no code; of those that are not here, status and words say enough.
BY_CODE: Mapping[str, Cause] = {
    "insufficient_quota": Cause.QUOTA_EXHAUSTED,
    "billing_hard_limit_reached": Cause.QUOTA_EXHAUSTED,
    "billing_not_active": Cause.QUOTA_EXHAUSTED,
    "access_terminated": Cause.FORBIDDEN,
    "account_deactivated": Cause.FORBIDDEN,
    "unsupported_country_region_territory": Cause.FORBIDDEN,
    "permission_error": Cause.FORBIDDEN,
    "invalid_api_key": Cause.AUTH,
    "invalid_issuer": Cause.AUTH,
    "authentication_error": Cause.AUTH,
    "context_length_exceeded": Cause.CONTEXT_OVERFLOW,
    "string_above_max_length": Cause.CONTEXT_OVERFLOW,
    "request_too_large": Cause.CONTEXT_OVERFLOW,
    "model_not_found": Cause.UNKNOWN_MODEL,
    "model_not_active": Cause.UNKNOWN_MODEL,
    "model_decommissioned": Cause.UNKNOWN_MODEL,
    "DeploymentNotFound": Cause.UNKNOWN_MODEL,
    "content_filter": Cause.SAFETY,
    "content_policy_violation": Cause.SAFETY,
    "rate_limit_exceeded": Cause.RATE_LIMITED,
    "rate_limit_error": Cause.RATE_LIMITED,
    "engine_overloaded": Cause.OVERLOADED,
    "overloaded_error": Cause.OVERLOADED,
    "NoCapacity": Cause.OVERLOADED,
}
# What a limit is about, by how refusals write it: "on tokens per min (TPM): Limit 30000".
FAMILIES = {"RPM": "requests", "TPM": "tokens"}
WAIT_MARGIN = 0.1  # seconds; the time in a message is rounded
LONGEST_WAIT = 24 * 3600.0  # seconds; nobody waits for more
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
_LIMIT = re.compile(r"\((RPM|TPM|RPD|TPD)\):? *Limit:? *([0-9]{1,15})", re.IGNORECASE)
_REQUESTED = re.compile(r"\bRequested:? *([0-9]{1,15})", re.IGNORECASE)
_AGAIN = re.compile(
    rf"\b(?:try|retry)(?:\ again)?\ (?:in|after)\ ((?:{_NUMBER}\ *"
    r"(?:h(?:ours?)?|ms|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)(?![a-z])\ *)+)",
    re.IGNORECASE | re.VERBOSE,
)
_SPAN = re.compile(rf"({_NUMBER}) *(h|ms|m|s)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_REQUEST_IDS = ("x-request-id", "apim-request-id", "request-id", "x-groq-id")


def openai_error(
    status: int, headers: Mapping[str, str], payload: object, text: str
) -> ProviderError:
    """Read an error.

    status: 0 within a stream. payload: its JSON, or None where it is none. text: what came instead.
    """
    if isinstance(payload, list):
        payload = payload[0] if payload else None
    whole = table_or_empty(payload)
    body = inner_error(whole)
    names = [text_or_empty(body.get(name)) for name in ("code", "type")]
    message = _message(whole, body)
    code = status or _status(names[0])
    name = next((name for name in names if name in BY_CODE), "")
    cause = classified(BY_CODE.get(name) or by_status(code or 500), f"{message} {_said(body)}")
    limits = {kind.upper(): float(size) for kind, size in _LIMIT.findall(message)}
    if cause is Cause.RATE_LIMITED and limits.keys() & {"RPD", "TPD"}:
        cause = Cause.QUOTA_EXHAUSTED
    where = f"HTTP {status}" if status else "in the stream"
    what = next(filter(None, (name, *names)), "no error code")
    return ProviderError(
        cause,
        bounded_message(f"{where}, {what}: {scrub(message or text.strip())}"),
        retry_after=_wait(message, headers),
        retryable=_may_fit(message, limits)
        and headers.get("x-should-retry", "").strip().lower() != "false",
        status=code or None,
        request_id=request_id(headers) or text_or_empty(whole.get("request_id")) or None,
        headers=limit_headers(headers),
        limits={FAMILIES[kind]: size for kind, size in limits.items() if kind in FAMILIES},
    )


def limit_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep what speaks of limits, but retry-after."""
    return {name: value for name, value in headers.items() if "ratelimit-" in name}


def request_id(headers: Mapping[str, str]) -> str | None:
    return next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)


def scrub(text: str) -> str:
    """Mask what names an organization or looks like a key."""
    text = re.sub(r"\b(sk|gsk|xai|pplx)[-_][\w*.-]{8,}", "[key]", text)
    return re.sub(r"\b(org|proj)-[A-Za-z0-9]{8,}", "[id]", text)


def _message(whole: Mapping[str, object], body: Mapping[str, object]) -> str:
    """Return what an error says in words, also where a validator wrote it."""
    message = text_or_empty(body.get("message"))
    if message:
        return message
    for detail in (whole.get("detail"), body.get("message"), whole.get("message")):
        if isinstance(detail, str):
            return text_or_empty(detail)
        inner = table_or_empty(detail)
        for item in items_or_empty(inner.get("detail") if inner else detail)[:1]:
            return text_or_empty(table_or_empty(item).get("msg"))
    return ""


def _said(body: Mapping[str, object]) -> str:
    """Return what the vendor behind a gateway said."""
    return text_or_empty(table_or_empty(body.get("metadata")).get("raw"))


def _status(code: str) -> int:
    """Return the HTTP status that an error within a stream calls its code, or 0."""
    return int(code) if re.fullmatch(r"[45][0-9]{2}", code) else 0


def _may_fit(message: str, limits: Mapping[str, float]) -> bool:
    """Check whether waiting may help: not where one request is larger than a minute's limit."""
    requested = _REQUESTED.search(message)
    most = min(limits.values(), default=0.0)
    return not (requested and most and "TPM" in limits and float(requested[1]) > most)


def _wait(message: str, headers: Mapping[str, str]) -> float | None:
    told = retry_after(headers)
    again = _AGAIN.search(message)
    if again is None:
        return told
    exact = sum(float(n) * _SECONDS[unit.lower()] for n, unit in _SPAN.findall(again[1]))
    return min(max(told or 0.0, exact + WAIT_MARGIN), LONGEST_WAIT)
