"""What an HTTP reply that is an error means, for providers of any vendor."""

import json
from collections.abc import Iterator, Mapping

from ..errors import ProviderError
from .causes import Cause
from .retry_after import retry_after

BY_STATUS: Mapping[int, Cause] = {
    401: Cause.AUTH,
    402: Cause.QUOTA_EXHAUSTED,
    403: Cause.FORBIDDEN,
    404: Cause.UNKNOWN_MODEL,  # the one thing that a request names is the model
    407: Cause.AUTH,
    408: Cause.TIMEOUT,
    413: Cause.CONTEXT_OVERFLOW,
    425: Cause.OVERLOADED,
    429: Cause.RATE_LIMITED,
    499: Cause.CONNECTION,
    502: Cause.OVERLOADED,
    503: Cause.OVERLOADED,
    504: Cause.TIMEOUT,
    522: Cause.TIMEOUT,  # a proxy got no answer
    524: Cause.TIMEOUT,
    529: Cause.OVERLOADED,
}
REQUEST_IDS = ("request-id", "x-request-id", "x-correlation-id")
# Long enough for every key that a message may echo: it is masked first and shortened afterwards.
LONGEST_MESSAGE = 16 * 1024
LARGEST_BODY = 1024**2  # bytes or characters that are looked at
LONGEST_HEADER = 200
MOST_HEADERS = 64
DEEPEST = 12  # lists, tables and texts within each other


def provider_error(
    status: int, headers: Mapping[str, str], body: object, *, vendor: str = ""
) -> ProviderError:
    """Return the error that an HTTP reply stands for; nothing in the reply makes it raise.

    status: it decides the cause; 0 for an error within a stream, whose own status was a success.
    headers: in any case of letters, those of httpx for instance. Retry-After and retry-after-ms,
        x-should-retry, the request's id and the rate limits are read.
    body: bytes, text, or the JSON that was parsed from it; the usual places of a message are read.
    vendor: begins the message.
    Where the vendor's own words tell more than the status, set `cause` of what is returned.
    """
    known = _known(headers)
    code = status if isinstance(status, int) and 100 <= status <= 599 else None
    where = f"HTTP {code}" if code else "in the stream"
    said = _message(body) or "no message"
    return ProviderError(
        _cause(code),
        f"{f'{vendor}: ' if vendor else ''}{where}: {said}"[:LONGEST_MESSAGE],
        retry_after=retry_after(known),
        retryable=known.get("x-should-retry", "").strip().lower() != "false",
        status=code,
        request_id=next((known[name] for name in REQUEST_IDS if known.get(name)), None),
        headers=_limits(known),
    )


def _cause(code: int | None) -> Cause:
    if code is None:
        return Cause.SERVER_ERROR
    return BY_STATUS.get(code, Cause.SERVER_ERROR if code >= 500 else Cause.INVALID_REQUEST)


def _known(headers: object) -> dict[str, str]:
    """Return headers with lower-case names; what is no text, or too long for a header, is left."""
    if not isinstance(headers, Mapping):
        return {}
    return {
        name.lower(): value
        for name, value in headers.items()
        if isinstance(name, str) and isinstance(value, str) and len(value) <= LONGEST_HEADER
    }


def _limits(known: Mapping[str, str]) -> dict[str, str]:
    """Keep what speaks of rate limits."""
    speaking = [name for name in known if "ratelimit" in name or "rate-limit" in name]
    return {name: known[name] for name in speaking[:MOST_HEADERS]}


def _message(body: object) -> str:
    """Return what a body says in words; its own text where no place of a message is known."""
    if isinstance(body, bytes | bytearray):
        body = bytes(body[:LARGEST_BODY]).decode("utf-8", "replace")
    if not isinstance(body, str):
        return next(_words(body, DEEPEST), "")
    text = body[:LARGEST_BODY].strip()
    return next(_words(_parsed(text), DEEPEST), text)


def _parsed(text: str) -> object:
    try:
        return json.loads(text) if text.startswith(("{", "[")) else None
    except (ValueError, RecursionError):
        return None


def _words(value: object, depth: int) -> Iterator[str]:
    """List the messages in an error's JSON, the innermost first where a gateway wrapped one.

    `{"error": {"message": …}}`, `{"error": …}`, `{"message": …}`, `{"detail": …}`, `{"msg": …}`,
    `{"errors": […]}`, and lists of these.
    """
    if not depth:
        return
    if isinstance(value, str) and (text := value.strip()):
        yield from _words(_parsed(text), depth - 1)
        yield text
    elif isinstance(value, Mapping):
        for name in ("error", "errors", "message", "detail", "msg"):
            yield from _words(value.get(name), depth - 1)
    elif isinstance(value, list | tuple):
        for item in value[:1]:
            yield from _words(item, depth - 1)
