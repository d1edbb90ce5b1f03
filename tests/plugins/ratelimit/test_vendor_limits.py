"""What a vendor allows one model: mirrored where it tells, learned where it only refuses."""

import pytest

from rolecall_plugins.ratelimit.header_tracker import ROUNDED
from rolecall_plugins.ratelimit.vendor_limits import Account, Drawn

SILENCE: dict[str, str] = {}
CLOSE = 0.01


def headers(**left: float) -> dict[str, str]:
    """Give what a reply tells of limits of 60 requests and 6000 tokens a minute."""
    limits = {"requests": 60, "tokens": 6000, "input_tokens": 6000, "output_tokens": 6000}
    said: dict[str, str] = {}
    for family, remaining in left.items():
        name = f"anthropic-ratelimit-{family.replace('_', '-')}"
        said |= {f"{name}-limit": f"{limits[family]}", f"{name}-remaining": f"{remaining:g}"}
    return said


def started(account: Account, read: int = 100, written: int = 0, now: float = 0.0) -> Drawn:
    drawn = account.draw(read, written)
    account.start(drawn, now)
    return drawn


def answered(account: Account, read: int = 100, written: int = 0, **left: float) -> None:
    account.settle(started(account, read), read, written, headers(**left), 0.0)


def test_of_a_vendor_that_never_said_a_word_nothing_is_known() -> None:
    account = Account(0.0)
    for _ in range(100):
        account.settle(started(account), 10**6, 10**6, SILENCE, 0.0)
    assert account.wait(10**6, 10**6, 0.0) == ("", 0.0)


def test_the_bucket_that_takes_longest_is_the_reason() -> None:
    account = Account(0.0)
    answered(account, requests=0, tokens=1000)
    reason, wait = account.wait(2000, 500, 0.0)
    assert reason == "tokens per minute, by the vendor's headers"
    assert wait == pytest.approx((2500 - 1000 + ROUNDED) / 100, rel=CLOSE)
    assert account.wait(10, 0, 0.0)[0] == "requests per minute, by the vendor's headers"


def test_input_and_output_are_told_apart() -> None:
    account = Account(0.0)
    answered(account, input_tokens=0, output_tokens=1000)
    assert account.wait(0, 900, 0.0) == ("", 0.0)
    reason, wait = account.wait(100, 0, 0.0)
    assert reason == "input tokens per minute, by the vendor's headers"
    assert wait == pytest.approx(1.0, rel=CLOSE)


def test_calls_under_way_when_the_first_word_comes_are_charged() -> None:
    account = Account(0.0)
    first, _ = started(account), started(account, 3000, 500)
    account.settle(first, 100, 0, headers(tokens=5900), 0.0)
    assert account.wait(2300, 0, 0.0)[1] == 0.0
    assert account.wait(2500, 0, 0.0)[1] == pytest.approx(1.0, rel=CLOSE)


def test_tokens_are_corrected_when_a_call_ends() -> None:
    account = Account(0.0)
    answered(account, tokens=4000)
    call = started(account, 2000, 1900)
    assert account.wait(500, 0, 0.0)[1] > 0
    account.settle(call, 1000, 500, SILENCE, 0.0)
    assert account.wait(2400, 0, 0.0)[1] == 0.0
    assert account.wait(2600, 0, 0.0)[1] == pytest.approx(1.0, rel=CLOSE)


def test_what_is_kept_for_a_call_that_never_starts_is_given_back() -> None:
    account = Account(0.0)
    answered(account, tokens=1000)
    call = account.draw(800, 100)
    assert account.wait(200, 0, 0.0)[1] > 0
    account.give_back(call)
    assert account.wait(900, 0, 0.0)[1] == 0.0


def test_a_limit_that_a_refusal_names_is_kept() -> None:
    account = Account(0.0)
    call = started(account, 0)
    account.settle(call, 0, 0, SILENCE, 0.0)
    account.refused(call, {"requests": 30.0}, 5.0, 0.0)
    assert account.wait(0, 0, 0.0) == ("requests per minute, by what its refusals taught", 5.0)


def test_a_family_that_only_a_refusal_names_is_learned_as_well() -> None:
    account = Account(0.0)
    other, call = started(account, 300), started(account, 600)
    account.settle(call, 0, 0, SILENCE, 0.0)
    account.refused(call, {"input-tokens": 600.0}, 6.0, 0.0)
    account.settle(other, 300, 0, SILENCE, 0.0)
    reason, wait = account.wait(600, 0, 0.0)
    assert reason == "input tokens per minute, by what its refusals taught"
    assert wait == pytest.approx(6.0)


def test_where_the_vendor_tells_what_is_left_a_refusal_teaches_nothing() -> None:
    account = Account(0.0)
    answered(account, requests=50)
    call = started(account)
    account.settle(call, 0, 0, SILENCE, 0.0)
    account.refused(call, {"requests": 1.0}, 30.0, 0.0)
    assert account.wait(0, 0, 0.0)[1] == 0.0


def test_what_is_mirrored_replaces_what_was_learned() -> None:
    account = Account(0.0)
    call = started(account, 0)
    account.settle(call, 0, 0, SILENCE, 0.0)
    account.refused(call, {"requests": 1.0}, 60.0, 0.0)
    account.settle(started(account, 0), 0, 0, headers(requests=50), 0.0)
    assert account.wait(0, 0, 0.0) == ("", 0.0)
