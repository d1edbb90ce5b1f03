"""Rate-limit headers: `anthropic-ratelimit-requests-remaining` and its kin."""

import math
import re
from collections.abc import Mapping

from .header_tracker import RateLimitHeaders
from .token_bucket import DAY, MINUTE

_NAME = re.compile(
    r"(?:.+-)?ratelimit-(?:(?P<first>limit|remaining|reset)-)?"
    r"(?P<family>(?:(?:in|out)put-)?tokens|requests)(?:-minute)?"
    r"(?:-(?P<last>limit|remaining|reset))?"
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd]?)")
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}


def parse_rate_limit_headers(headers: Mapping[str, str]) -> dict[str, RateLimitHeaders]:
    """Parse headers with lower-case names into each family whose limit and rest they state.

    A family is `requests`, `tokens`, `input-tokens` or `output-tokens`. The kind of value may
    come before the family's name, as with OpenAI, or behind it, as with Anthropic.
    """
    fields: dict[str, dict[str, str]] = {}
    for name, value in headers.items():
        if match := _NAME.fullmatch(name):
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
    return number if math.isfinite(number) and number >= 0 else None


def _period(limit: float, remaining: float, reset: str) -> float | None:
    """Return the seconds of a limit per minute or per day, by how fast the missing part refills.

    A reset that is a date is by another clock than ours, and is ignored.
    """
    parts = _DURATION.findall(reset)
    if not parts or "".join(map("".join, parts)) != reset or remaining >= limit:
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    full = seconds * limit / (limit - remaining)
    return DAY if full > math.sqrt(MINUTE * DAY) else MINUTE
