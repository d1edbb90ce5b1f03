"""Calls to a provider with several keys or endpoints: where each goes, and what closes one."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from attrs import evolve
from building import DEFAULTS, Dispatching, failing

from rolecall import (
    Action,
    AllRoutesFailed,
    Call,
    CallEnded,
    CallFailed,
    Cause,
    Deployment,
    DeploymentClosed,
    FellBack,
    Outcome,
    ProviderError,
    Request,
    Response,
    Retrying,
    RouteOpened,
    Settings,
)
from rolecall.testing import FakeProvider


class Several(FakeProvider):
    """Answers each deployment by a script of its own."""

    def __init__(self, *deployments: Deployment, **scripts: Sequence[Any]) -> None:
        super().__init__("one")
        self.deployments = deployments
        self.order: list[str] = []
        self._by_name = {
            each.name: FakeProvider("one", scripts.get(each.name, ())) for each in deployments
        }

    async def complete(self, request: Request) -> Response:
        self.order.append(request.deployment)
        return await self._by_name[request.deployment].complete(request)


class Roomy:
    """A limiter that forecasts waits and tells room, by quota."""

    name = "roomy"

    def __init__(
        self, waits: Mapping[str, float] | None = None, rooms: Mapping[str, float] | None = None
    ) -> None:
        self.waits = dict(waits or {})
        self.rooms = dict(rooms or {})
        self.quotas: list[str] = []

    async def acquire(self, call: Call) -> None:
        self.quotas.append(call.quota)

    def ended(self, call: Call, outcome: Outcome) -> None:
        pass

    def forecast(self, call: Call) -> float:
        return self.waits.get(call.quota, 0.0)

    def room(self, call: Call) -> float:
        return self.rooms.get(call.quota, 1.0)


def deployment(name: str, quota: str = "") -> Deployment:
    return Deployment(name, f"one@{quota or name}", key=name)


A, B, C = deployment("A"), deployment("B"), deployment("C")


def dispatching(provider: Several, *others: FakeProvider, **more: Any) -> Dispatching:
    return Dispatching(provider, *others, **more)


def test_calls_take_turns_where_nothing_is_known_of_the_limits() -> None:
    provider = Several(A, B, C)
    steps = dispatching(provider)
    for _ in range(6):
        steps.step()
    assert Counter(provider.order) == {"A": 2, "B": 2, "C": 2}


def test_a_call_goes_where_it_waits_least() -> None:
    provider = Several(A, B, C)
    dispatching(provider, limiters=[Roomy({"one@A": 9.0, "one@B": 1.0, "one@C": 4.0})]).step()
    assert provider.order == ["B"]


def test_where_none_waits_a_call_goes_where_most_room_is_left() -> None:
    provider = Several(A, B, C)
    dispatching(provider, limiters=[Roomy(rooms={"one@A": 0.2, "one@B": 0.5, "one@C": 0.9})]).step()
    assert provider.order == ["C"]


def test_calls_count_on_their_quota() -> None:
    limiter = Roomy()
    steps = dispatching(Several(A, B), limiters=[limiter])
    steps.step()
    steps.step()
    assert limiter.quotas == ["one@A", "one@B"]
    assert [event.quota for event in steps.events.of(CallEnded)] == ["one@A", "one@B"]


def test_keys_of_one_quota_do_not_take_turns() -> None:
    provider = Several(deployment("A", "acme"), deployment("B", "acme"))
    steps = dispatching(provider)
    for _ in range(3):
        steps.step()
    assert provider.order == ["A", "A", "A"]


@pytest.mark.parametrize("cause", ["rate_limited", "quota_exhausted", "auth", "forbidden"])
def test_where_one_refuses_another_is_asked_at_once(cause: str) -> None:
    provider = Several(A, B, A=[*failing(cause)], B=["text"])
    steps = dispatching(provider)
    assert steps.step().response.text == "text"
    assert [at for _, at in steps.calls] == [0.0, 0.0]
    assert provider.order == ["A", "B"]
    (retry,) = steps.events.of(Retrying)
    assert (retry.cause, retry.delay, retry.route) == (cause, 0.0, "one")


def test_a_refusal_is_not_repeated_with_another_key_of_the_same_quota() -> None:
    provider = Several(deployment("A", "acme"), deployment("B", "acme"), A=[limited(5.0), "text"])
    steps = dispatching(provider)
    assert steps.step().response.text == "text"
    assert provider.order == ["A", "A"]
    assert [at for _, at in steps.calls] == [0.0, 5.0]


def limited(seconds: float) -> ProviderError:
    return ProviderError("rate_limited", "slow down", retry_after=seconds)


def test_where_all_refuse_the_first_that_is_free_again_is_waited_for() -> None:
    provider = Several(A, B, A=[limited(3.0), "text"], B=[limited(60.0)])
    steps = dispatching(provider)
    assert steps.step().response.text == "text"
    assert [at for _, at in steps.calls] == [0.0, 0.0, 3.0]


def test_one_that_is_used_up_is_left_to_its_circuit_breaker_and_the_other_goes_on() -> None:
    provider = Several(A, B, A=[*failing("quota_exhausted")])
    steps = dispatching(provider)
    for _ in range(4):
        steps.step()
    assert provider.order == ["A", "B", "B", "B", "B"]
    (opened,) = steps.events.of(RouteOpened)
    assert opened.route == "one@A"


@pytest.mark.parametrize("cause", ["auth", "forbidden"])
def test_a_dead_key_closes_that_key_alone_for_good_and_is_told_once(cause: str) -> None:
    keys = deployment("A", "acme"), deployment("B", "acme")
    provider = Several(*keys, A=[1.0, *failing(cause, 9)])
    steps = dispatching(provider)

    async def many() -> None:
        await asyncio.gather(*(steps.stepping() for _ in range(3)))

    steps.clock.run(many())
    steps.clock.advance(3600)
    steps.step()
    assert provider.order.count("A") == 2
    assert provider.order[-1] == "B"
    (closed,) = steps.events.of(DeploymentClosed)
    assert (closed.provider, closed.deployment, closed.cause) == ("one", "A", cause)
    assert not steps.events.of(RouteOpened)


def test_the_next_route_is_asked_where_no_key_is_left() -> None:
    provider = Several(A, B, A=[*failing("auth", 9)], B=[*failing("auth", 9)])
    other = FakeProvider("two")
    steps = dispatching(provider, other)
    steps.step()
    steps.step()
    assert provider.order == ["A", "B"]
    first, second = steps.events.of(FellBack)
    assert (first.cause, first.asked, second.asked) == ("auth", True, False)


def test_keys_that_all_fail_are_tried_no_more_often_than_a_route_is() -> None:
    provider = Several(A, B, A=[*failing("timeout", 99)], B=[*failing("timeout", 99)])
    with pytest.raises(AllRoutesFailed):
        dispatching(provider, settings=evolve(DEFAULTS, breaker_failures=100)).step()
    assert len(provider.order) == DEFAULTS.attempts
    assert set(provider.order) == {"A", "B"}


def test_a_cause_that_is_to_stop_stops_also_where_there_are_other_keys() -> None:
    provider = Several(A, B, A=[*failing("rate_limited")])
    with pytest.raises(CallFailed):
        dispatching(provider, settings=Settings(on={Cause.RATE_LIMITED: Action.STOP})).step()
    assert provider.order == ["A"]
