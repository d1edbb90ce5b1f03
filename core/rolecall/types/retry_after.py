"""How long a reply's headers ask to wait."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A longer wait is as good as this one: nobody waits for either.
LONGEST = 24 * 3600.0
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_DATE = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s[^,]+")


def retry_after(
    headers: Mapping[str, str], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> float | None:
    """Return the seconds to wait; None where nothing sensible is said.

    `retry-after-ms` goes first; it is no standard, and finer. Retry-After is seconds or a date (RFC
    9110, section 10.2.3). What is negative, past or no number says nothing; of several the longest
    counts, and of a longer wait than a day a day.

    headers: with lower-case names. now: the time, for a date where the reply tells no time of its
    own.
    """
    milliseconds = _longest(_numbers(headers.get("retry-after-ms", "")))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    value = headers.get("retry-after", "")
    waits = _numbers(_DATE.sub("", value))
    sent = _date(headers.get("date", "")) or now()
    for written in _DATE.findall(value):
        date = _date(written)
        if date is not None:
            waits.append((date - sent).total_seconds())
    return _bounded(_longest(waits))


def _bounded(seconds: float | None) -> float | None:
    """Return a wait that is not absurd; None where it is none."""
    return min(seconds, LONGEST) if seconds is not None and seconds >= 0 else None


def _numbers(value: str) -> list[float]:
    words = (word.strip() for word in value.split(","))
    return [float(word) for word in words if _NUMBER.fullmatch(word)]


def _longest(waits: list[float]) -> float | None:
    return max((wait for wait in waits if wait >= 0), default=None)


def _date(written: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(written)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
