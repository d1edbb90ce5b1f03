"""What replies say of limits, and what of it is believed."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Usage
from rolecall_plugins.ratelimit.header_tracker import RateLimitHeaders
from rolecall_plugins.ratelimit.headers import (
    parse_named_limits,
    parse_rate_limit_headers,
    parse_retry_after,
    parse_used,
)


def test_anthropics_headers_are_parsed_by_family() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:01Z",
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "29000",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
        "retry-after": "3",
    }
    assert parse_rate_limit_headers(headers) == {
        "requests": RateLimitHeaders(50.0, 49.0),
        "input-tokens": RateLimitHeaders(30_000.0, 29_000.0),
        "output-tokens": RateLimitHeaders(8000.0, 8000.0),
    }


def test_openais_order_of_words_is_parsed_as_well() -> None:
    headers = {
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "500",
        "x-ratelimit-reset-tokens": "30s",
    }
    assert parse_rate_limit_headers(headers) == {"tokens": RateLimitHeaders(1000.0, 500.0, 60.0)}


def test_a_limit_per_day_is_recognised_by_how_long_its_reset_takes() -> None:
    headers = {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "999",
        "x-ratelimit-reset-requests": "1m26.4s",
    }
    assert parse_rate_limit_headers(headers) == {
        "requests": RateLimitHeaders(1000.0, 999.0, 86_400.0)
    }


@pytest.mark.parametrize(
    ("limit", "remaining"), [("50", None), (None, "49"), ("0", "0"), ("many", "1"), ("nan", "1")]
)
def test_a_family_without_limit_or_rest_is_left_out(
    limit: str | None, remaining: str | None
) -> None:
    words = {"limit": limit, "remaining": remaining}
    headers = {f"x-ratelimit-{word}-tokens": text for word, text in words.items() if text}
    assert parse_rate_limit_headers(headers) == {}


def test_more_than_the_limit_cannot_remain() -> None:
    headers = {"x-ratelimit-limit-tokens": "10", "x-ratelimit-remaining-tokens": "99"}
    assert parse_rate_limit_headers(headers) == {"tokens": RateLimitHeaders(10.0, 10.0)}


def test_other_headers_are_ignored() -> None:
    assert parse_rate_limit_headers({"date": "today", "x-ratelimit-mood-tokens": "5"}) == {}


@pytest.mark.parametrize(
    ("reset", "period"),
    [
        ("30s", 60.0),
        ("30", 60.0),
        ("500ms", 60.0),
        ("12h", 86_400.0),
        ("9" * 400 + "d", None),
        ("100d", None),
        ("11h59m59.5s", 86_400.0),
        ("2026-11-23T12:00:01Z", None),
        ("soon", None),
        ("1x", None),
        ("-5s", None),
        ("", None),
    ],
)
def test_a_reset_that_is_a_duration_tells_minutes_from_days(
    reset: str, period: float | None
) -> None:
    headers = {
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "500",
        "x-ratelimit-reset-tokens": reset,
    }
    assert parse_rate_limit_headers(headers) == {"tokens": RateLimitHeaders(1000.0, 500.0, period)}


@pytest.mark.parametrize("remaining", ["-1", "inf", "1e999", "", "a few"])
def test_a_damaged_number_is_no_number(remaining: str) -> None:
    words = {"limit": "10", "remaining": remaining}
    assert (
        parse_rate_limit_headers(
            {f"x-ratelimit-{word}-tokens": text for word, text in words.items()}
        )
        == {}
    )


VALUES = (
    st.text(max_size=8) | st.floats(allow_subnormal=False).map(str) | st.from_regex(r"\d+[smhd]")
)


@given(VALUES, VALUES, VALUES)
def test_whatever_headers_say_what_is_parsed_makes_sense(
    limit: str, remaining: str, reset: str
) -> None:
    headers = {
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-reset-requests": reset,
    }
    for each in parse_rate_limit_headers(headers).values():
        assert 0 <= each.remaining <= each.limit
        assert each.limit > 0
        assert each.period in (None, 60.0, 86_400.0)


@pytest.mark.parametrize("seconds", [None, -5, -0.1, 0, math.nan, -math.inf, "3", [3], {}])
def test_what_is_no_time_ahead_is_no_word_on_when_to_retry(seconds: Any) -> None:
    assert parse_retry_after(seconds) is None


@pytest.mark.parametrize("seconds", [math.inf, 1e300, 10**400])
def test_an_endless_time_to_wait_is_a_number(seconds: float) -> None:
    waits = parse_retry_after(seconds)
    assert waits is not None
    assert math.isfinite(waits)


def test_a_named_limit_that_makes_no_sense_is_left_out_alone() -> None:
    limits: Any = {
        **{"requests": 60, "tokens": math.nan, "input-tokens": -1, "output-tokens": "8000"},
        **{"images": math.inf, 7: 7.0, "audio": None},
    }
    assert parse_named_limits(limits) == {"requests": 60.0}


@pytest.mark.parametrize("limits", [None, [], "requests", 7])
def test_what_names_no_limits_names_none(limits: Any) -> None:
    assert parse_named_limits(limits) == {}


@pytest.mark.parametrize("odd", [math.nan, math.inf, -5, "7", [7], None, {}, 10**400])
def test_an_odd_number_of_tokens_is_none_beside_one_that_makes_sense(odd: Any) -> None:
    assert parse_used(Usage(odd, 7)) == (0, 7)
    assert parse_used(Usage(7, odd)) == (7, 0)
    assert parse_used(odd) == (0, 0)


def test_an_odd_header_leaves_the_others_as_they_are() -> None:
    headers: Any = {
        **{"anthropic-ratelimit-requests-limit": "50"},
        **{"anthropic-ratelimit-requests-remaining": "49"},
        **{"anthropic-ratelimit-tokens-limit": 9, "anthropic-ratelimit-tokens-remaining": None},
        **{7: "7", None: "anthropic-ratelimit-tokens-limit"},
    }
    assert parse_rate_limit_headers(headers) == {"requests": RateLimitHeaders(50.0, 49.0)}


@pytest.mark.parametrize("headers", [None, [], "anthropic-ratelimit-requests-limit", 7])
def test_what_are_no_headers_say_nothing(headers: Any) -> None:
    assert parse_rate_limit_headers(headers) == {}
