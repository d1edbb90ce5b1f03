"""What an error of the Anthropic Messages API means.

Source: https://docs.anthropic.com/en/api/errors, and recorded traffic where the two differ.
"""

import re
from collections.abc import Mapping

from rolecall import Cause, ProviderError, retry_after

from .error_bodies import bounded_message, inner_error
from .error_causes import by_status, classified
from .fields import table_or_empty, text_or_empty

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
LIMITS = "anthropic-ratelimit-"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def anthropic_error(
    status: int, headers: Mapping[str, str], payload: object, text: str
) -> ProviderError:
    """Read an error.

    status: 0 within a stream. payload: its JSON, or None where it is none. text: what came instead.
    """
    whole = table_or_empty(payload)
    body = inner_error(whole)
    kind = text_or_empty(body.get("type"))
    message = text_or_empty(body.get("message"))
    cause = BY_TYPE.get(kind) or by_status(status or 500)
    where = f"HTTP {status}" if status else "in the stream"
    shown = scrub(message or text.strip())
    return ProviderError(
        classified(cause, message),
        bounded_message(f"{where}, {kind or 'no error type'}: {shown}"),
        retry_after=retry_after(headers),
        retryable=headers.get("x-should-retry", "").strip().lower() != "false",
        status=status or None,
        request_id=headers.get("request-id") or text_or_empty(whole.get("request_id")) or None,
        headers=limit_headers(headers),
    )


def limit_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep what speaks of limits, but retry-after, which comes on successes too."""
    return {name: value for name, value in headers.items() if name.startswith(LIMITS)}


def scrub(text: str) -> str:
    """Mask what names an organization or looks like a key; words like org-wide stay."""
    text = re.sub(r"sk-ant-[\w-]+", "[key]", text)
    text = re.sub(rf"(organization(?:'s)?[^.]{{0,60}}?)\(?{_UUID}\)?", r"\1[id]", text)
    return re.sub(rf"{_UUID}|\b(?:org|wrkspc)[-_](?=[\w-]*[\dA-Z])[\w-]{{6,}}", "[id]", text)
