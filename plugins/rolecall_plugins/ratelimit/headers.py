"""What rate-limit headers tell: `anthropic-ratelimit-requests-remaining` and its kin."""

import math
import re
from collections.abc import Mapping

from .header_tracker import Told
from .token_bucket import DAY, MINUTE

_NAME = re.compile(
    r"(?:.+-)?ratelimit-(?:(?P<first>limit|remaining|reset)-)?"
    r"(?P<family>(?:(?:in|out)put-)?tokens|requests)(?:-minute)?"
    r"(?:-(?P<last>limit|remaining|reset))?"
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd]?)")
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}


def told(headers: Mapping[str, str]) -> dict[str, Told]:
    """Read headers with lower-case names; give what they tell of each family they name whole.

    A family is `requests`, `tokens`, `input-tokens` or `output-tokens`. The word that says what is
    told may come before it, as with OpenAI, or behind it, as with Anthropic.
    """
    words: dict[str, dict[str, str]] = {}
    for name, value in headers.items():
        if match := _NAME.fullmatch(name):
            kind = match["first"] or match["last"]
            words.setdefault(match["family"], {})[kind] = value
    read = {family: _told(each) for family, each in words.items()}
    return {family: each for family, each in read.items() if each is not None}


def _told(words: Mapping[str, str]) -> Told | None:
    limit, remaining = _number(words.get("limit")), _number(words.get("remaining"))
    if not limit or remaining is None:
        return None
    return Told(limit, min(remaining, limit), _period(limit, remaining, words.get("reset", "")))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _period(limit: float, remaining: float, reset: str) -> float | None:
    """Tell limits per minute from those per day, by how long the missing part takes.

    A reset that is a date is of another clock, and tells nothing here.
    """
    spans = _SPAN.findall(reset)
    if not spans or "".join(map("".join, spans)) != reset or remaining >= limit:
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in spans)
    full = seconds * limit / (limit - remaining)
    return DAY if full > math.sqrt(MINUTE * DAY) else MINUTE
