"""What the headers of a reply ask to wait is bounded, and sensible."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.types.retry_after import LONGEST, retry_after

NOW = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)


def wait(value: str, **more: str) -> float | None:
    headers = {
        "retry-after": value,
        **{name.replace("_", "-"): each for name, each in more.items()},
    }
    return retry_after(headers, lambda: NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30.0),
        ("Monday, 23-Nov-26 10:00:30 GMT", 30.0),
        ("Mon Nov 23 10:00:30 2026", 30.0),
        ("Mon, 23 Nov 2026 10:00:00 GMT", 0.0),
        ("5, 10", 10.0),
        ("5, Mon, 23 Nov 2026 10:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 10:00:30 GMT, 40", 40.0),
        ("-5, 10", 10.0),
        ("soon, 10", 10.0),
        ("99999999", LONGEST),
        ("9" * 400, LONGEST),
    ],
)
def test_seconds_and_dates_are_read_and_the_longest_counts(value: str, seconds: float) -> None:
    assert wait(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "-5", "-0.1", "nan", "inf", "-inf", "1e400", "1_000", "0x10", "NaN, inf"),
        *("Mon, 23 Nov 2026 09:59:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"),
        *("Mon, 99 Nov 2026 10:00:00 GMT", "Mon, 23 Nov 99999 10:00:00 GMT", "Mon, x"),
    ],
)
def test_what_makes_no_sense_says_nothing_and_never_that_the_time_has_come(value: str) -> None:
    assert wait(value) is None


def test_a_date_is_taken_from_the_date_of_the_reply() -> None:
    assert wait("Mon, 23 Nov 2026 10:00:30 GMT", date="Mon, 23 Nov 2026 10:00:10 GMT") == 20.0


def test_a_date_of_the_reply_that_cannot_be_read_is_none() -> None:
    assert wait("Mon, 23 Nov 2026 10:00:30 GMT", date="yesterday") == 30.0


@pytest.mark.parametrize(
    ("value", "seconds"), [("1500", 1.5), ("0", 0.0), ("-1", 7.0), ("nan", 7.0), ("", 7.0)]
)
def test_milliseconds_go_first_where_they_make_sense(value: str, seconds: float) -> None:
    assert wait("7", retry_after_ms=value) == seconds


@given(st.text(), st.text(), st.text())
def test_no_header_makes_the_reading_fail(value: str, date: str, milliseconds: str) -> None:
    seconds = wait(value, date=date, retry_after_ms=milliseconds)
    assert seconds is None or 0 <= seconds <= LONGEST
