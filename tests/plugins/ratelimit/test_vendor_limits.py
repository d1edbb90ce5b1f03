"""What a vendor allows one model: tracked by its headers, learned where it only refuses."""

import pytest

from rolecall_plugins.ratelimit.header_tracker import ROUNDED
from rolecall_plugins.ratelimit.vendor_limits import VendorLimits, VendorReservation

SILENCE: dict[str, str] = {}
CLOSE = 0.01


def headers(**left: float) -> dict[str, str]:
    """Return what a reply says of limits of 60 requests and 6000 tokens a minute."""
    limits = {"requests": 60, "tokens": 6000, "input_tokens": 6000, "output_tokens": 6000}
    said: dict[str, str] = {}
    for family, remaining in left.items():
        name = f"anthropic-ratelimit-{family.replace('_', '-')}"
        said |= {f"{name}-limit": f"{limits[family]}", f"{name}-remaining": f"{remaining:g}"}
    return said


def started(
    limits: VendorLimits, read: int = 100, written: int = 0, now: float = 0.0
) -> VendorReservation:
    reservation = limits.reserve(read, written)
    limits.start(reservation, now)
    return reservation


def answered(limits: VendorLimits, read: int = 100, written: int = 0, **left: float) -> None:
    limits.settle(started(limits, read), read, written, headers(**left), 0.0)


def test_of_a_vendor_without_headers_and_refusals_nothing_is_known() -> None:
    limits = VendorLimits(0.0)
    for _ in range(100):
        limits.settle(started(limits), 10**6, 10**6, SILENCE, 0.0)
    assert limits.wait(10**6, 10**6, 0.0) == ("", 0.0)


def test_the_bucket_that_takes_longest_is_the_reason() -> None:
    limits = VendorLimits(0.0)
    answered(limits, requests=0, tokens=1000)
    reason, wait = limits.wait(2000, 500, 0.0)
    assert reason == "tokens per minute, by the vendor's headers"
    assert wait == pytest.approx((2500 - 1000 + ROUNDED) / 100, rel=CLOSE)
    assert limits.wait(10, 0, 0.0)[0] == "requests per minute, by the vendor's headers"


def test_input_and_output_have_limits_of_their_own() -> None:
    limits = VendorLimits(0.0)
    answered(limits, input_tokens=0, output_tokens=1000)
    assert limits.wait(0, 900, 0.0) == ("", 0.0)
    reason, wait = limits.wait(100, 0, 0.0)
    assert reason == "input tokens per minute, by the vendor's headers"
    assert wait == pytest.approx(1.0, rel=CLOSE)


def test_calls_under_way_when_the_first_headers_come_are_charged() -> None:
    limits = VendorLimits(0.0)
    first, _ = started(limits), started(limits, 3000, 500)
    limits.settle(first, 100, 0, headers(tokens=5900), 0.0)
    assert limits.wait(2300, 0, 0.0)[1] == 0.0
    assert limits.wait(2500, 0, 0.0)[1] == pytest.approx(1.0, rel=CLOSE)


def test_tokens_are_corrected_when_a_call_ends() -> None:
    limits = VendorLimits(0.0)
    answered(limits, tokens=4000)
    call = started(limits, 2000, 1900)
    assert limits.wait(500, 0, 0.0)[1] > 0
    limits.settle(call, 1000, 500, SILENCE, 0.0)
    assert limits.wait(2400, 0, 0.0)[1] == 0.0
    assert limits.wait(2600, 0, 0.0)[1] == pytest.approx(1.0, rel=CLOSE)


def test_what_is_reserved_for_a_call_that_never_starts_is_released() -> None:
    limits = VendorLimits(0.0)
    answered(limits, tokens=1000)
    call = limits.reserve(800, 100)
    assert limits.wait(200, 0, 0.0)[1] > 0
    limits.release(call)
    assert limits.wait(900, 0, 0.0)[1] == 0.0


def test_a_limit_that_a_refusal_names_is_respected() -> None:
    limits = VendorLimits(0.0)
    call = started(limits, 0)
    limits.settle(call, 0, 0, SILENCE, 0.0)
    limits.refused(call, {"requests": 30.0}, 5.0, 0.0)
    assert limits.wait(0, 0, 0.0) == (
        "requests per minute, by what its refusals taught",
        5.0,
    )


def test_a_family_that_only_a_refusal_names_is_learned_as_well() -> None:
    limits = VendorLimits(0.0)
    other, call = started(limits, 300), started(limits, 600)
    limits.settle(call, 0, 0, SILENCE, 0.0)
    limits.refused(call, {"input-tokens": 600.0}, 6.0, 0.0)
    limits.settle(other, 300, 0, SILENCE, 0.0)
    reason, wait = limits.wait(600, 0, 0.0)
    assert reason == "input tokens per minute, by what its refusals taught"
    assert wait == pytest.approx(6.0)


def test_where_headers_say_what_is_left_a_refusal_teaches_nothing() -> None:
    limits = VendorLimits(0.0)
    answered(limits, requests=50)
    call = started(limits)
    limits.settle(call, 0, 0, SILENCE, 0.0)
    limits.refused(call, {"requests": 1.0}, 30.0, 0.0)
    assert limits.wait(0, 0, 0.0)[1] == 0.0


def test_headers_replace_what_was_learned() -> None:
    limits = VendorLimits(0.0)
    call = started(limits, 0)
    limits.settle(call, 0, 0, SILENCE, 0.0)
    limits.refused(call, {"requests": 1.0}, 60.0, 0.0)
    limits.settle(started(limits, 0), 0, 0, headers(requests=50), 0.0)
    assert limits.wait(0, 0, 0.0) == ("", 0.0)
