"""What routes are expected to take."""

import pytest

from rolecall.execution.route_speeds import TOKENS, RouteSpeeds
from rolecall.storage.history import USUAL, AgentHistory, Past, RouteHistory
from rolecall.testing import FakeClock

PAST = Past(
    agents={"short": AgentHistory(calls=2, output=200), "long": AgentHistory(calls=1, output=1000)},
    routes={"slow": RouteHistory(20.0, 1000), "fast": RouteHistory(5.0, 1000)},
)


def test_nothing_known_is_the_usual() -> None:
    speeds = RouteSpeeds(FakeClock().now, Past())
    assert speeds.seconds("a", "one") == pytest.approx(USUAL)
    assert speeds.tokens("a") == TOKENS


def test_an_agent_that_writes_more_takes_longer_on_the_same_route() -> None:
    speeds = RouteSpeeds(FakeClock().now, PAST)
    assert speeds.seconds("short", "slow") == pytest.approx(2.0)
    assert speeds.seconds("long", "slow") == pytest.approx(20.0)
    assert speeds.seconds("long", "fast") == pytest.approx(5.0)


def test_an_unknown_agent_writes_as_others_do_and_an_unknown_route_takes_as_others_do() -> None:
    speeds = RouteSpeeds(FakeClock().now, PAST)
    assert speeds.tokens("new") == pytest.approx(550)
    assert speeds.seconds("long", "new") == pytest.approx(12.5)


def test_calls_that_end_teach_and_the_latest_teach_most() -> None:
    clock = FakeClock()
    speeds = RouteSpeeds(clock.now, PAST)
    for number in range(10):
        speeds.started(number, "long", "fast")
        clock.advance(15.0)
        speeds.ended(number, 1000)
    assert 14.0 < speeds.seconds("long", "fast") < 15.0
    assert speeds.seconds("long", "slow") == pytest.approx(20.0)


def test_a_call_that_wrote_nothing_teaches_nothing() -> None:
    clock = FakeClock()
    speeds = RouteSpeeds(clock.now, PAST)
    speeds.started(1, "long", "fast")
    clock.advance(100.0)
    speeds.ended(1, 0)
    assert speeds.seconds("long", "fast") == pytest.approx(5.0)


def test_a_call_under_way_counts_once_it_takes_longer_than_was_expected() -> None:
    clock = FakeClock()
    speeds = RouteSpeeds(clock.now, PAST)
    speeds.started(1, "long", "fast")
    clock.advance(4.0)
    assert speeds.seconds("long", "fast") == pytest.approx(5.0)
    clock.advance(41.0)
    assert speeds.seconds("long", "fast") == pytest.approx(25.0)
    assert speeds.seconds("long", "slow") == pytest.approx(20.0)
