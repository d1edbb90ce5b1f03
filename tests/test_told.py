"""What rate-limit headers tell."""

import pytest

from rolecall_plugins._mirror import Told
from rolecall_plugins._told import told


def test_anthropics_headers_are_read_by_family() -> None:
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
    assert told(headers) == {
        "requests": Told(50.0, 49.0),
        "input-tokens": Told(30_000.0, 29_000.0),
        "output-tokens": Told(8000.0, 8000.0),
    }


def test_openais_order_of_words_is_read_as_well() -> None:
    headers = {
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "500",
        "x-ratelimit-reset-tokens": "30s",
    }
    assert told(headers) == {"tokens": Told(1000.0, 500.0, 60.0)}


def test_a_limit_per_day_is_told_by_how_long_its_reset_takes() -> None:
    headers = {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "999",
        "x-ratelimit-reset-requests": "1m26.4s",
    }
    assert told(headers) == {"requests": Told(1000.0, 999.0, 86_400.0)}


@pytest.mark.parametrize(
    ("limit", "remaining"), [("50", None), (None, "49"), ("0", "0"), ("many", "1"), ("nan", "1")]
)
def test_a_family_that_is_not_told_whole_is_left_out(
    limit: str | None, remaining: str | None
) -> None:
    words = {"limit": limit, "remaining": remaining}
    headers = {f"x-ratelimit-{word}-tokens": text for word, text in words.items() if text}
    assert told(headers) == {}


def test_more_than_the_limit_cannot_remain() -> None:
    headers = {"x-ratelimit-limit-tokens": "10", "x-ratelimit-remaining-tokens": "99"}
    assert told(headers) == {"tokens": Told(10.0, 10.0)}


def test_other_headers_tell_nothing() -> None:
    assert told({"date": "today", "x-ratelimit-mood-tokens": "5"}) == {}
