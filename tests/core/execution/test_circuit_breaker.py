"""The circuit of a route that is down or spent is open for a while."""

import pytest

from rolecall import Cause
from rolecall.execution.circuit_breaker import DOWN, SPENT, CircuitBreaker
from rolecall.testing import FakeClock

ROUTE = "one/m"


class Tried:
    """A breaker that opens after two failures for 10 seconds, on a clock of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.breaker = CircuitBreaker(self.clock.now, failures=2, cooldown=10.0)

    def call(self, cause: Cause | None, route: str = ROUTE) -> float | None:
        return self.breaker.ended(route, cause, self.breaker.started(route))

    @property
    def is_open(self) -> bool:
        return self.breaker.why_open(ROUTE) is not None


def test_a_route_that_was_never_asked_may_be_asked() -> None:
    assert not Tried().is_open


@pytest.mark.parametrize("cause", sorted(DOWN))
def test_several_failures_in_a_row_open_a_route(cause: Cause) -> None:
    tried = Tried()
    assert tried.call(cause) is None
    assert not tried.is_open
    assert tried.call(cause) == 10.0
    assert tried.breaker.why_open(ROUTE) is cause


@pytest.mark.parametrize("cause", sorted(SPENT))
def test_what_waiting_does_not_mend_opens_a_route_at_once(cause: Cause) -> None:
    tried = Tried()
    assert tried.call(cause) == 10.0
    assert tried.is_open


@pytest.mark.parametrize("cause", [None, *sorted(set(Cause) - DOWN - SPENT)])
def test_a_route_that_answers_whatever_it_says_is_not_down(cause: Cause | None) -> None:
    tried = Tried()
    tried.call(Cause.TIMEOUT)
    tried.call(cause)
    tried.call(Cause.TIMEOUT)
    assert not tried.is_open


def test_each_route_is_judged_by_itself() -> None:
    tried = Tried()
    tried.call(Cause.AUTH, "other/m")
    assert not tried.is_open


def test_a_route_is_left_alone_until_its_cool_down_is_over() -> None:
    tried = Tried()
    tried.call(Cause.AUTH)
    tried.clock.advance(9.9)
    assert tried.is_open
    tried.clock.advance(0.1)
    assert not tried.is_open


def test_after_the_cool_down_one_call_alone_probes_the_route() -> None:
    tried = Tried()
    tried.call(Cause.AUTH)
    tried.clock.advance(10)
    assert tried.breaker.started(ROUTE)
    assert tried.is_open


def test_a_probe_that_is_answered_closes_the_route() -> None:
    tried = Tried()
    tried.call(Cause.TIMEOUT)
    tried.call(Cause.TIMEOUT)
    tried.clock.advance(10)
    tried.call(None)
    assert not tried.breaker.started(ROUTE)
    assert tried.call(Cause.TIMEOUT) is None  # it counts from one again


def test_each_failed_probe_doubles_the_cool_down_up_to_tenfold() -> None:
    tried = Tried()
    cooldowns = []
    for _ in range(6):
        cooldowns.append(tried.call(Cause.AUTH))
        tried.clock.advance(1000)
    assert cooldowns == [10, 20, 40, 80, 100, 100]


def test_a_probe_that_was_cancelled_makes_room_for_another_one() -> None:
    tried = Tried()
    tried.call(Cause.AUTH)
    tried.clock.advance(10)
    tried.breaker.cancelled(ROUTE, tried.breaker.started(ROUTE))
    assert not tried.is_open


def test_a_call_cancelled_on_its_way_makes_no_room_for_a_second_probe() -> None:
    tried = Tried()
    on_its_way = tried.breaker.started(ROUTE)
    tried.call(Cause.AUTH)
    tried.clock.advance(10)
    assert tried.breaker.started(ROUTE)
    tried.breaker.cancelled(ROUTE, on_its_way)
    assert tried.is_open


def test_a_call_that_was_on_its_way_does_not_open_the_route_a_second_time() -> None:
    tried = Tried()
    on_its_way = tried.breaker.started(ROUTE)
    assert tried.call(Cause.AUTH) == 10.0
    tried.clock.advance(5)
    assert tried.breaker.ended(ROUTE, Cause.AUTH, on_its_way) is None
    tried.clock.advance(5)
    assert not tried.is_open


def test_a_wait_longer_than_anyone_would_wait_opens_a_route_at_once_and_for_as_long() -> None:
    tried = Tried()
    probe = tried.breaker.started(ROUTE)
    assert tried.breaker.ended(ROUTE, Cause.RATE_LIMITED, probe, at_least=300.0) == 300.0
    tried.clock.advance(299.0)
    assert tried.is_open
    tried.clock.advance(1.0)
    assert not tried.is_open
