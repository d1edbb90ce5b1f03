"""A user's limits hold within any minute and any day, over all that share them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall import ProviderSettings
from rolecall.testing import FakeClock
from rolecall_plugins._quota import Booked, Quota
from rolecall_plugins._shelf import LocalShelf, SharedShelf, Shelf

MINUTE = 60.0


def quota(clock: FakeClock, shelf: Shelf | None = None, **limits: int) -> Quota:
    return Quota(ProviderSettings(**limits), shelf or LocalShelf(), clock.now)


def booked(own: Quota, read: int = 0, written: int = 0) -> Booked:
    taken = own.book(read, written)
    assert isinstance(taken, Booked)
    return taken


def refusal(own: Quota, read: int = 0, written: int = 0) -> tuple[str, float]:
    taken = own.book(read, written)
    assert not isinstance(taken, Booked)
    return taken


def test_without_limits_everything_passes() -> None:
    own = quota(FakeClock())
    for _ in range(1000):
        booked(own, 10**6, 10**6)


@pytest.mark.parametrize(
    ("limit", "tokens"),
    [
        ("requests_per_minute", (0, 0)),
        ("tokens_per_minute", (30, 20)),
        ("input_tokens_per_minute", (50, 0)),
        ("output_tokens_per_minute", (0, 50)),
    ],
)
def test_a_full_minute_lets_the_next_call_in_when_its_first_one_is_over(
    limit: str, tokens: tuple[int, int]
) -> None:
    clock = FakeClock()
    own = quota(clock, **{limit: 2 if limit.startswith("requests") else 100})
    booked(own, *tokens)
    clock.advance(10)
    booked(own, *tokens)
    reason, wait = refusal(own, *tokens)
    assert (reason, wait) == (limit.replace("_", " "), pytest.approx(50.0))
    clock.advance(wait)
    booked(own, *tokens)


def test_what_is_larger_than_the_limit_passes_alone() -> None:
    clock = FakeClock()
    own = quota(clock, tokens_per_minute=100)
    booked(own, 5000)
    assert refusal(own, 1)[1] == pytest.approx(MINUTE)
    clock.advance(MINUTE)
    booked(own, 5000)


def test_tokens_are_corrected_after_the_call() -> None:
    clock = FakeClock()
    own = quota(clock, tokens_per_minute=100)
    call = booked(own, 50, 50)
    assert refusal(own, 1)[1] > 0
    own.settle(call, 40, 10)
    booked(own, 50)


def test_what_is_written_counts_from_the_end_of_the_call() -> None:
    clock = FakeClock()
    own = quota(clock, output_tokens_per_minute=100)
    call = booked(own, 0, 100)
    clock.advance(30)
    own.settle(call, 0, 100)
    clock.advance(30)
    assert refusal(own, 0, 1)[1] == pytest.approx(30.0)


def test_a_call_that_never_started_counts_for_nothing() -> None:
    own = quota(FakeClock(), requests_per_minute=1)
    own.give_back(booked(own))
    booked(own)


def test_a_call_counts_from_its_start_not_from_its_place_in_line() -> None:
    clock = FakeClock()
    own = quota(clock, requests_per_minute=1)
    call = booked(own)
    clock.advance(20)
    own.start(call)
    clock.advance(40)
    assert refusal(own)[1] == pytest.approx(20.0)


def test_a_days_requests_are_free_again_after_a_day() -> None:
    clock = FakeClock()
    own = quota(clock, requests_per_day=3)
    for _ in range(3):
        booked(own)
        clock.advance(3600)
    reason, wait = refusal(own)
    assert (reason, wait) == ("requests per day", pytest.approx(21 * 3600))


def test_processes_share_a_limit_through_their_file(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = (
        quota(clock, SharedShelf(tmp_path / "claude", clock.now), requests_per_minute=2)
        for _ in range(2)
    )
    booked(one)
    booked(two)
    assert refusal(one)[0] == refusal(two)[0] == "requests per minute"


Calls = st.lists(
    st.tuples(
        st.floats(0, 20),  # seconds before it asks
        st.integers(0, 60),  # tokens that it reads
        st.integers(0, 60),  # and is expected to write
        st.floats(0, 90),  # seconds until it ends
        st.integers(0, 60),  # tokens that it wrote in fact
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(Calls, st.integers(1, 6), st.integers(60, 150))
def test_no_minute_ever_holds_more_than_the_limits(
    calls: list[tuple[float, int, int, float, int]], requests: int, tokens: int
) -> None:
    clock = FakeClock()
    shelf = LocalShelf()
    limits = {"requests_per_minute": requests, "input_tokens_per_minute": tokens}
    two = [quota(clock, shelf, **limits) for _ in range(2)]
    starts: list[tuple[float, int]] = []
    running: list[tuple[float, Quota, Booked, int, int]] = []
    for number, (pause, read, expected, took, wrote) in enumerate(calls):
        clock.advance(pause)
        own = two[number % 2]
        while not isinstance(taken := own.book(read, expected), Booked):
            assert taken[1] > 0
            clock.advance(taken[1])
        starts.append((clock.now(), read))
        running.append((clock.now() + took, own, taken, read, wrote))
        for each in [each for each in running if each[0] <= clock.now()]:
            running.remove(each)
            each[1].settle(*each[2:])
    for at, _ in starts:
        within = [read for start, read in starts if at - MINUTE + 1e-6 < start <= at]
        assert len(within) <= requests
        assert sum(within) <= tokens
