"""A user's limits hold within any minute and any day, over all that share them."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rolecall import ProviderSettings
from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.quota import SLOTS, Quota, QuotaReservation
from rolecall_plugins.ratelimit.shared_state import FileState, LocalState, SharedState

MINUTE = 60.0
DAY = 86400.0


def quota(clock: FakeClock, state: SharedState | None = None, **limits: Any) -> Quota:
    return Quota(ProviderSettings(**limits), state or LocalState(), clock.now)


def reserved(own: Quota, read: int = 0, written: int = 0) -> QuotaReservation:
    taken = own.reserve(read, written)
    assert isinstance(taken, QuotaReservation)
    return taken


def started(own: Quota, read: int = 0, written: int = 0) -> QuotaReservation:
    taken = reserved(own, read, written)
    own.start(taken)
    return taken


def refusal(own: Quota, read: int = 0, written: int = 0) -> tuple[str, float]:
    taken = own.reserve(read, written)
    assert not isinstance(taken, QuotaReservation)
    return taken


def test_without_limits_everything_passes() -> None:
    own = quota(FakeClock())
    for _ in range(1000):
        reserved(own, 10**6, 10**6)


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
    own = quota(clock, None, **{limit: 2 if limit.startswith("requests") else 100})
    own.settle(started(own, *tokens), *tokens)
    clock.advance(10)
    own.settle(started(own, *tokens), *tokens)
    reason, wait = refusal(own, *tokens)
    assert reason == limit.replace("_", " ")
    assert wait == pytest.approx(50.0)
    clock.advance(wait)
    started(own, *tokens)


def test_what_is_larger_than_the_limit_passes_alone() -> None:
    clock = FakeClock()
    own = quota(clock, tokens_per_minute=100)
    started(own, 5000)
    assert refusal(own, 1)[1] == pytest.approx(MINUTE)
    clock.advance(MINUTE)
    started(own, 5000)


def test_tokens_are_corrected_after_the_call() -> None:
    clock = FakeClock()
    own = quota(clock, tokens_per_minute=100)
    call = started(own, 50, 50)
    assert refusal(own, 1)[1] > 0
    own.settle(call, 40, 10)
    started(own, 50)


def test_what_is_written_counts_from_the_end_of_the_call() -> None:
    clock = FakeClock()
    own = quota(clock, output_tokens_per_minute=100)
    call = reserved(own, 0, 100)
    clock.advance(30)
    own.settle(call, 0, 100)
    clock.advance(30)
    assert refusal(own, 0, 1)[1] == pytest.approx(30.0)


def test_a_call_that_never_started_counts_for_nothing() -> None:
    own = quota(FakeClock(), requests_per_minute=1)
    own.release(reserved(own))
    reserved(own)


def test_a_call_counts_from_its_start_not_from_its_reservation() -> None:
    clock = FakeClock()
    own = quota(clock, requests_per_minute=1)
    call = reserved(own)
    clock.advance(20)
    own.start(call)
    clock.advance(40)
    assert refusal(own)[1] == pytest.approx(20.0)


def test_a_days_requests_are_free_again_after_a_day() -> None:
    clock = FakeClock()
    own = quota(clock, requests_per_day=3)
    for _ in range(3):
        started(own)
        clock.advance(3600)
    reason, wait = refusal(own)
    assert reason == "requests per day"
    assert wait == pytest.approx(21 * 3600)


def test_processes_share_a_limit_through_their_file(tmp_path: Path) -> None:
    clock = FakeClock()
    one, two = (
        quota(clock, FileState(tmp_path / "claude", clock.now), requests_per_minute=2)
        for _ in range(2)
    )
    reserved(one)
    reserved(two)
    assert refusal(one)[0] == refusal(two)[0] == "requests per minute"


def test_a_corrected_call_takes_nothing_of_what_others_reserved_since() -> None:
    clock = FakeClock()
    own = quota(clock, input_tokens_per_minute=100)
    early = started(own, 60)
    clock.advance(30)
    started(own, 40)
    own.settle(early, 10, 0)
    clock.advance(30)
    started(own, 60)
    assert refusal(own, 1)[1] == pytest.approx(30.0)


def test_a_call_that_is_released_takes_nothing_of_what_others_reserved_since() -> None:
    clock = FakeClock()
    own = quota(clock, requests_per_minute=2)
    early = reserved(own)
    clock.advance(30)
    started(own)
    own.release(early)
    clock.advance(30)
    started(own)
    assert refusal(own)[1] == pytest.approx(30.0)


def test_a_call_that_waits_for_longer_than_a_minute_keeps_its_reservation() -> None:
    clock = FakeClock()
    own = quota(clock, requests_per_minute=1)
    early = reserved(own)
    clock.advance(MINUTE + 10)
    assert refusal(own)[1] > 0
    own.start(early)
    assert refusal(own)[1] == pytest.approx(MINUTE)


def test_what_a_call_of_more_than_a_minute_will_write_is_reserved_until_it_ends() -> None:
    clock = FakeClock()
    own = quota(clock, output_tokens_per_minute=100)
    reserved(own, 0, 100)
    clock.advance(MINUTE + 10)
    assert refusal(own, 0, 100)[1] > 0


def test_a_steady_stream_has_room_again_as_its_first_calls_grow_old() -> None:
    clock = FakeClock()
    own = quota(clock, requests_per_day=250)
    for _ in range(250):
        started(own)
        clock.advance(300)
    assert refusal(own)[1] == pytest.approx(DAY - 250 * 300, abs=2 * DAY / SLOTS)


def test_the_record_of_many_calls_stays_small() -> None:
    clock = FakeClock()
    state = LocalState()
    own = quota(clock, state, requests_per_minute=10**6)
    for _ in range(10_000):
        reserved(own)
        clock.advance(0.01)
    assert len(state.peek().used["requests per minute"]) <= SLOTS + 2


@frozen
class Caller:
    """A call that asks after a pause, and starts and ends later; or it gives up before.

    Of what it is expected to read and write it uses a share.
    """

    pause: float
    read: int
    written: int
    share: float
    in_queue: float
    takes: float
    gives_up: bool


CALLERS = st.lists(
    st.builds(
        Caller,
        pause=st.floats(0, 20),
        read=st.integers(0, 60),
        written=st.integers(0, 60),
        share=st.floats(0, 1),
        in_queue=st.floats(0, 25),
        takes=st.floats(0, 30),
        gives_up=st.booleans(),
    ),
    max_size=20,
)
LIMITS = st.builds(
    ProviderSettings,
    requests_per_minute=st.integers(1, 6),
    tokens_per_minute=st.none() | st.integers(120, 250),
    input_tokens_per_minute=st.none() | st.integers(60, 150),
    output_tokens_per_minute=st.none() | st.integers(60, 150),
)


def serve(
    callers: list[Caller], limits: ProviderSettings, clock: FakeClock, states: list[SharedState]
) -> list[tuple[float, int, int, int]]:
    """Return what a vendor sees: when, and how many requests, tokens read, and tokens written."""
    seen: list[tuple[float, int, int, int]] = []
    ahead: list[tuple[float, int, Callable[[], None]]] = []
    numbers = count()
    quotas = [Quota(limits, state, clock.now) for state in states]

    def later(seconds: float, do: Callable[[], None]) -> None:
        heappush(ahead, (clock.now() + seconds, next(numbers), do))

    def pass_by(seconds: float) -> None:
        until = clock.now() + seconds
        while ahead and ahead[0][0] <= until:
            at, _, do = heappop(ahead)
            clock.advance(at - clock.now())
            do()
        clock.advance(max(0.0, until - clock.now()))

    def let_in(own: Quota, caller: Caller, call: QuotaReservation) -> None:
        read, written = int(caller.share * caller.read), int(caller.share * caller.written)

        def start() -> None:
            own.start(call)
            seen.append((clock.now(), 1, read, 0))
            later(caller.takes, end)

        def end() -> None:
            own.settle(call, read, written)
            seen.append((clock.now(), 0, 0, written))

        later(caller.in_queue, (lambda: own.release(call)) if caller.gives_up else start)

    for number, caller in enumerate(callers):
        pass_by(caller.pause)
        own = quotas[number % len(quotas)]
        while not isinstance(taken := own.reserve(caller.read, caller.written), QuotaReservation):
            assert 0 < taken[1] <= MINUTE + 1e-9
            pass_by(taken[1])
        let_in(own, caller, taken)
    pass_by(10 * MINUTE)
    return seen


def check(seen: list[tuple[float, int, int, int]], limits: ProviderSettings) -> None:
    for last, *_ in seen:
        minute = [each[1:] for each in seen if last - MINUTE + 1e-6 < each[0] <= last]
        requests, read, written = (sum(each) for each in zip(*minute, strict=True))
        assert requests <= (limits.requests_per_minute or requests)
        assert read + written <= (limits.tokens_per_minute or read + written)
        assert read <= (limits.input_tokens_per_minute or read)
        assert written <= (limits.output_tokens_per_minute or written)


@settings(max_examples=150)
@given(CALLERS, LIMITS)
def test_no_minute_ever_holds_more_than_the_limits(
    callers: list[Caller], limits: ProviderSettings
) -> None:
    clock, state = FakeClock(), LocalState()
    check(serve(callers, limits, clock, [state, state]), limits)


@settings(max_examples=400, phases=[Phase.generate])  # to look for a smaller example takes minutes
@given(CALLERS, LIMITS)
def test_no_minute_of_all_processes_ever_holds_more_than_the_limits(
    callers: list[Caller], limits: ProviderSettings
) -> None:
    clock, path = FakeClock(), Path("state")
    path.unlink(missing_ok=True)
    check(serve(callers, limits, clock, [FileState(path, clock.now) for _ in range(2)]), limits)
