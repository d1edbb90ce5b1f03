"""What replies say of limits: `anthropic-ratelimit-requests-remaining` and its kin, and refusals.

Vendors, gateways and providers' plugins say all kinds of things. Each value is believed only where
it makes sense, and left out by itself otherwise.
"""

import math
import re
from collections.abc import Iterator, Mapping

from .header_tracker import RateLimitHeaders
from .token_bucket import DAY, MINUTE

_NAME = re.compile(
    r"(?:.+-)?ratelimit-(?:(?P<first>limit|remaining|reset)-)?"
    r"(?P<family>(?:(?:in|out)put-)?tokens|requests)(?:-minute)?"
    r"(?:-(?P<last>limit|remaining|reset))?"
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd]?)")
LARGEST = 1e12  # of an amount or a time
LONGEST = 7 * DAY  # until a limit per day would be full, whatever is rounded
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}


def parse_rate_limit_headers(headers: Mapping[str, str]) -> dict[str, RateLimitHeaders]:
    """Parse headers with lower-case names into each family whose limit and rest they state.

    A family is `requests`, `tokens`, `input-tokens` or `output-tokens`. The kind of value may
    come before the family's name, as with OpenAI, or behind it, as with Anthropic.
    """
    fields: dict[str, dict[str, str]] = {}
    for name, value in _items(headers):
        if isinstance(value, str) and (match := _NAME.fullmatch(name)):
            kind = match["first"] or match["last"]
            fields.setdefault(match["family"], {})[kind] = value
    parsed = {family: _parse_family(values) for family, values in fields.items()}
    return {family: each for family, each in parsed.items() if each is not None}


def _parse_family(values: Mapping[str, str]) -> RateLimitHeaders | None:
    limit, remaining = _parse_number(values.get("limit")), _parse_number(values.get("remaining"))
    if not limit or remaining is None:
        return None
    period = _period(limit, remaining, values.get("reset", ""))
    return RateLimitHeaders(limit, min(remaining, limit), period)


def _parse_number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < LARGEST else None


def _period(limit: float, remaining: float, reset: str) -> float | None:
    """Return the seconds of a limit per minute or per day, by how fast the missing part refills.

    A reset that is a date is by another clock than ours, and is ignored.
    """
    parts = _DURATION.findall(reset)
    if not parts or "".join(map("".join, parts)) != reset or remaining >= limit:
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    full = seconds * limit / (limit - remaining)
    if full > LONGEST:
        return None
    return DAY if full > math.sqrt(MINUTE * DAY) else MINUTE


def parse_retry_after(seconds: object) -> float | None:
    """Return how long a refusal asks to wait; None where that is no time, or no time ahead."""
    if not isinstance(seconds, int | float) or not seconds > 0:
        return None
    return float(min(seconds, LARGEST))


def parse_named_limits(limits: Mapping[str, float]) -> dict[str, float]:
    """Return the limits per minute that a refusal named."""
    return {
        family: float(limit)
        for family, limit in _items(limits)
        if isinstance(limit, int | float) and 0 < limit < LARGEST
    }


def parse_used(usage: object) -> tuple[int, int]:
    """Return the tokens that a `Usage` says were read and written; 0 where it makes no sense."""
    return _parse_tokens(getattr(usage, "input", 0)), _parse_tokens(getattr(usage, "output", 0))


def _parse_tokens(tokens: object) -> int:
    return int(tokens) if isinstance(tokens, int | float) and 0 < tokens < LARGEST else 0


def _items(values: object) -> Iterator[tuple[str, object]]:
    if isinstance(values, Mapping):
        yield from ((name, value) for name, value in values.items() if isinstance(name, str))
