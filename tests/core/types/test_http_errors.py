"""What a reply that is an error means, whoever sent it."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Cause, provider_error
from rolecall.types.http_errors import LONGEST_HEADER, LONGEST_MESSAGE, MOST_HEADERS
from rolecall.types.retry_after import LONGEST


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (0, "server_error"),
        (307, "invalid_request"),
        (400, "invalid_request"),
        (401, "auth"),
        (402, "quota_exhausted"),
        (403, "forbidden"),
        (404, "unknown_model"),
        (408, "timeout"),
        (413, "context_overflow"),
        (422, "invalid_request"),
        (429, "rate_limited"),
        (500, "server_error"),
        (502, "overloaded"),
        (503, "overloaded"),
        (504, "timeout"),
        (520, "server_error"),
        (529, "overloaded"),
    ],
)
def test_a_status_is_a_cause(status: int, cause: str) -> None:
    error = provider_error(status, {}, b"")
    assert (error.cause, error.status) == (cause, status or None)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too busy", "type": "x"}},
        {"error": "too busy"},
        {"message": "too busy"},
        {"detail": "too busy"},
        {"detail": [{"loc": ["body"], "msg": "too busy"}]},
        {"errors": [{"message": "too busy"}]},
        [{"error": {"message": "too busy"}}],
        {"error": {"message": json.dumps({"error": {"message": "too busy"}})}},
        "too busy",
        b" too busy\n",
    ],
)
def test_the_message_is_found_where_bodies_have_it(body: object) -> None:
    expected = "mini: HTTP 503: too busy"
    assert str(provider_error(503, {}, body, vendor="mini")) == expected
    if not isinstance(body, str | bytes):
        assert str(provider_error(503, {}, json.dumps(body), vendor="mini")) == expected
        assert str(provider_error(503, {}, json.dumps(body).encode(), vendor="mini")) == expected


@pytest.mark.parametrize("body", [b"", None, {}, [], {"error": {}}, 7])
def test_a_body_without_a_message_says_so(body: object) -> None:
    assert str(provider_error(500, {}, body)) == "HTTP 500: no message"


def test_a_page_of_a_proxy_is_shown_as_it_is() -> None:
    assert "<html>" in str(provider_error(502, {}, b"<html>Bad gateway"))


def test_an_error_within_a_stream_says_where_it_was() -> None:
    assert str(provider_error(0, {}, {"error": "oh"})) == "in the stream: oh"


def test_headers_are_read_in_any_case() -> None:
    headers = httpx.Headers(
        {
            "Retry-After": "7",
            "X-Request-Id": "r1",
            "X-RateLimit-Limit-Requests": "60",
            "Content-Type": "application/json",
        }
    )
    error = provider_error(429, headers, b"")
    assert (error.retry_after, error.request_id, error.retryable) == (7.0, "r1", True)
    assert error.headers == {"x-ratelimit-limit-requests": "60"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 1.5),
        (
            {
                "retry-after": "Mon, 23 Nov 2026 10:00:30 GMT",
                "date": "Mon, 23 Nov 2026 10:00:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "9" * 20}, LONGEST),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_the_time_to_wait_is_told(headers: dict[str, str], seconds: float | None) -> None:
    assert provider_error(429, headers, b"").retry_after == seconds


def test_a_vendor_may_say_that_asking_again_is_no_use() -> None:
    assert not provider_error(500, {"X-Should-Retry": "False"}, b"").retryable


def test_what_is_kept_is_bounded() -> None:
    many = {f"x-ratelimit-{number}": "1" for number in range(2 * MOST_HEADERS)}
    error = provider_error(429, many | {"x-request-id": "r" * 10_000}, "x" * 10**6)
    assert len(str(error)) == LONGEST_MESSAGE
    assert len(error.headers) == MOST_HEADERS
    assert error.request_id is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: (
        st.lists(each)
        | st.dictionaries(st.sampled_from(["error", "errors", "message", "detail", "msg"]), each)
    ),
)
BODIES = JSON | st.binary() | st.text() | JSON.map(json.dumps) | st.binary().map(bytearray)


@given(
    status=st.integers() | st.none() | st.text() | st.floats() | st.booleans(),
    headers=st.none()
    | st.dictionaries(
        st.text() | st.sampled_from(["Retry-After", "retry-after-ms", "Date", "x-request-id"]),
        st.text() | st.none() | st.sampled_from(["9" * 400, "Mon, 99 Foo 0000 99:99:99 +9999"]),
    ),
    body=BODIES,
    vendor=st.text(),
)
def test_nothing_that_a_server_sends_makes_it_raise(
    status: Any, headers: Any, body: object, vendor: str
) -> None:
    error = provider_error(status, headers, body, vendor=vendor)
    assert error.cause in set(Cause)
    assert error.retry_after is None or 0 <= error.retry_after <= LONGEST
    assert len(str(error)) <= LONGEST_MESSAGE
    assert error.status is None or 100 <= error.status <= 599
    assert all(len(value) <= LONGEST_HEADER for value in error.headers.values())


@pytest.mark.parametrize("body", [b"[" * 10**5, b'{"error":' * 10**5, b"1" * 10**5, b"\xff\xfe{"])
def test_a_hostile_body_is_only_a_text(body: bytes) -> None:
    assert provider_error(500, {}, body).cause == "server_error"
