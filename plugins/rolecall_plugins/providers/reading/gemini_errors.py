"""What an error of the Gemini API means.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting, google.rpc.error_details,
google.api.ErrorReason, google.rpc.Code, and recorded traffic where these differ.
"""

import re
from collections.abc import Iterator, Mapping

from rolecall import Cause, ProviderError, retry_after

from .error_bodies import bounded_message, inner_error
from .error_causes import by_status, classified
from .fields import items_or_empty, table_or_empty, text_or_empty

# google.rpc.Code in its order, and the HTTP status that each stands for.
CODES: Mapping[str, int] = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
# ErrorInfo.reason says more than a status; of those that are not here the status says enough.
BY_REASON: Mapping[str, Cause] = {
    "API_KEY_INVALID": Cause.AUTH,
    "API_KEY_EXPIRED": Cause.AUTH,
    "ACCESS_TOKEN_EXPIRED": Cause.AUTH,
    "BILLING_DISABLED": Cause.QUOTA_EXHAUSTED,
    "QUOTA_EXHAUSTED": Cause.QUOTA_EXHAUSTED,
    "CONSUMER_SUSPENDED": Cause.FORBIDDEN,
    "CONSUMER_INVALID": Cause.FORBIDDEN,
    "SERVICE_DISABLED": Cause.FORBIDDEN,
    "MODEL_CAPACITY_EXHAUSTED": Cause.OVERLOADED,
}
# What a quota is about, by a part of its name.
FAMILIES = (("requests", "Requests"), ("input-tokens", "InputTokens"))
# RetryInfo is cut to whole seconds, so waiting exactly that long asks too early; the message
# has the fraction as well.
CUT_MARGIN = 1.0
EXACT_MARGIN = 0.1
_NO_KEY = re.compile(r"unregistered callers|without established identity", re.IGNORECASE)
_LONG = re.compile(r"per[ _-]?(day|week|month)", re.IGNORECASE)
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_UNIT = r"(?:h(?:ours?)?|ms|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)(?![a-z])"
_RETRY_IN = re.compile(
    rf"\b(?:retry|try again|reset)\s+(?:in|after)\s+((?:{_NUMBER}\s*{_UNIT}\s*)+)", re.IGNORECASE
)
_SPAN = re.compile(rf"({_NUMBER})\s*(h|ms|m|s)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PROJECT = r"""(?x)
    \b(projects/)[\w:.-]+                                  # projects/acme-production
    | \b(project_number:)\d+
    | \b(consumer\ '?)(?:[\w-]+:)[\w:/-]+                  # consumer 'api_key:…'
    | \b(projects?(?:\s*(?:id|number|\#)\s*|\s*[:='"`]+\s*|\s+))
      (?=[a-z0-9-]*(?:\d|[a-z0-9]-[a-z0-9]))[a-z0-9][a-z0-9-]{4,}   # project 4711, acme-production
"""


def gemini_error(
    status: int, headers: Mapping[str, str], payload: object, text: str
) -> ProviderError:
    """Read an error.

    status: 0 within a stream. payload: its JSON, or None where it is none. text: what came instead.
    """
    if isinstance(payload, list):
        payload = payload[0] if payload else None
    body = inner_error(table_or_empty(payload))
    word = text_or_empty(body.get("status"))
    code = status or _code(body.get("code"), word)
    message = text_or_empty(body.get("message")).strip()
    details = [table_or_empty(detail) for detail in items_or_empty(body.get("details"))]
    where = f"HTTP {status}" if status else "in the stream"
    shown = scrub(message or text.strip())
    return ProviderError(
        _cause(code, word, message, details),
        bounded_message(f"{where}, {word or 'no error status'}: {shown}"),
        retry_after=_retry(message, details, headers),
        status=code,
        request_id=_request_id(details),
        limits=_limits(details),
    )


def scrub(text: str) -> str:
    """Mask what names a project or looks like a key; words behind "project" stay."""
    text = re.sub(r"AIza[\w-]+|ya29\.[\w.-]+|\bAQ\.[\w-]{8,}", "[key]", text)
    return re.sub(_PROJECT, lambda match: f"{next(filter(None, match.groups()))}[id]", text)


def _code(code: object, word: str) -> int:
    """Return the HTTP status of an error within a stream, whose code may be gRPC's or a word."""
    if isinstance(code, int | float) and 400 <= code < 600:
        return int(code)
    if isinstance(code, int) and 0 < code < len(CODES):
        return list(CODES.values())[code]
    name = word or text_or_empty(code)
    return int(name) if re.fullmatch(r"[45]\d\d", name, re.ASCII) else CODES.get(name, 500)


def _cause(code: int, word: str, message: str, details: list[Mapping[str, object]]) -> Cause:
    cause = by_status(code)
    for detail in details:
        reason = text_or_empty(detail.get("reason"))
        if reason in BY_REASON:
            return BY_REASON[reason]
    if cause in (Cause.FORBIDDEN, Cause.AUTH) and _NO_KEY.search(message):
        return Cause.MISSING_KEY
    if cause is Cause.RATE_LIMITED and any(_is_spent(*quota) for quota in _quotas(details)):
        return Cause.QUOTA_EXHAUSTED
    meant = classified(cause, message)
    if meant is Cause.INVALID_REQUEST and word == "FAILED_PRECONDITION":
        return Cause.FORBIDDEN  # a country that is not served
    return meant


def _quotas(details: list[Mapping[str, object]]) -> Iterator[tuple[str, str]]:
    """Yield the name and the size of each quota that is said to be exceeded."""
    for detail in details:
        for violation in map(table_or_empty, items_or_empty(detail.get("violations"))):
            yield text_or_empty(violation.get("quotaId")), _size(violation.get("quotaValue"))
        metadata = table_or_empty(detail.get("metadata"))
        yield text_or_empty(metadata.get("quota_limit")), _size(metadata.get("quota_limit_value"))


def _size(value: object) -> str:
    size = text_or_empty(value)
    return size if re.fullmatch(r"[0-9]{1,15}", size) else ""


def _is_spent(quota: str, size: str) -> bool:
    """Check whether no minute's wait restores a quota: one per day, or one of nothing."""
    return _LONG.search(quota) is not None or size == "0"


def _limits(details: list[Mapping[str, object]]) -> dict[str, float]:
    """Return the limits per minute that a refusal names."""
    return {
        family: float(size)
        for quota, size in _quotas(details)
        if "PerMinute" in quota and size
        for family, sign in FAMILIES
        if sign in quota
    }


LONGEST_WAIT = 24 * 3600.0  # seconds; nobody waits for more


def _retry(
    message: str, details: list[Mapping[str, object]], headers: Mapping[str, str]
) -> float | None:
    exact = _RETRY_IN.search(message)
    waits = [_seconds(exact[1]) + EXACT_MARGIN] if exact else []
    for detail in details:
        delay = _delay(detail.get("retryDelay"))
        if delay is not None and not (waits and delay <= waits[0]):  # else it is the same, cut
            waits.append(delay + CUT_MARGIN)
    return min(max(waits), LONGEST_WAIT) if waits else retry_after(headers)


def _delay(value: object) -> float | None:
    """Read a google.protobuf.Duration: "47s", or as an object with seconds and nanos."""
    if isinstance(value, dict):
        value = f"{text_or_empty(value.get('seconds')) or 0}s"
    if isinstance(value, str) and re.fullmatch(rf"{_NUMBER}s", value):
        return float(value[:-1])
    return None


def _seconds(spans: str) -> float:
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _SPAN.findall(spans))


def _request_id(details: list[Mapping[str, object]]) -> str | None:
    """Return the id of google.rpc.RequestInfo."""
    return next(filter(None, (text_or_empty(detail.get("requestId")) for detail in details)), None)
