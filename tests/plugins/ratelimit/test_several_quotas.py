"""Calls to one provider with three quotas, each limited as the simulator limits a vendor's."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from attrs import evolve

from rolecall import (
    Agent,
    Call,
    CallContext,
    Deployment,
    Dispatcher,
    Limiter,
    Message,
    ProviderError,
    ProviderSettings,
    Request,
    Response,
    RolecallError,
    Settings,
    Usage,
)
from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.interval import LocalInterval
from rolecall_plugins.ratelimit.limiter import PacingLimiter
from rolecall_plugins.ratelimit.shared_state import FileState
from rolecall_plugins.simulator.limits import Limits, QuotaMeter

PER_MINUTE = {"A": 10, "B": 20, "C": 60}
MINUTES = 5
WORKERS = 13
SECONDS = 4.0  # that a call takes
REQUEST = Request("", (Message("user", "?"),))


class Metered:
    """A provider whose deployments are limited each for itself, and shows it in headers or not."""

    name = "one"
    model = "m"

    def __init__(self, clock: FakeClock, shows: bool, keys: Mapping[str, str]) -> None:
        self.deployments = [Deployment(key, f"one@{key}", key) for key in keys]
        self.answers: Counter[str] = Counter()
        self.refusals = 0
        self._keys = keys
        self._shows = shows
        limits = {name: Limits(requests_per_minute=most) for name, most in PER_MINUTE.items()}
        self._meters = {name: QuotaMeter(each, clock.now) for name, each in limits.items()}

    async def complete(self, request: Request) -> Response:
        await request.progress.sending()
        quota = self._keys[request.deployment]
        meter = self._meters[quota]
        denial = meter.enter(1)
        level = next(each for each in meter.levels() if each.family == "requests")
        told = {
            "x-ratelimit-limit-requests": level.limit,
            "x-ratelimit-remaining-requests": level.remaining,
        }
        headers = {name: str(value) for name, value in told.items()} if self._shows else {}
        if denial is not None:
            self.refusals += 1
            raise ProviderError(
                "rate_limited", "slow down", retry_after=denial.wait, headers=headers
            )
        await asyncio.sleep(SECONDS)
        meter.leave(1)
        self.answers[quota] += 1
        return Response("text", Usage(1, 1), headers=headers)


class Rotation(Metered):
    """The same, where each call takes the next key, as naive clients do."""

    def __init__(self, clock: FakeClock, shows: bool, keys: Mapping[str, str]) -> None:
        super().__init__(clock, shows, keys)
        self._names, self._numbers = [*keys], count()
        self.deployments = []

    async def complete(self, request: Request) -> Response:
        name = self._names[next(self._numbers) % len(self._names)]
        return await super().complete(evolve(request, deployment=name))


def serve(
    kind: type[Metered] = Metered, shows: bool = True, keys: Mapping[str, str] | None = None
) -> Metered:
    """Ask as much as there is room for, for some minutes."""
    clock = FakeClock()
    provider = kind(clock, shows, keys or {name: name for name in PER_MINUTE})
    settings = Settings(interval=0.01, max_wait=1e6, attempts=100, breaker_failures=1000)
    pacing: Limiter = PacingLimiter(settings, LocalInterval(clock.now), clock.now)
    context = CallContext(
        providers={"one": provider},
        limiters=[pacing] if kind is Metered else [],
        settings=settings,
        clock=clock,
        rng=random.Random(1),
    )
    dispatcher = Dispatcher(context)
    agent = Agent("a", "A", "a", "", ("one",))

    async def work(until: float) -> None:
        while clock.now() < until:
            with suppress(RolecallError):
                await dispatcher.run(agent, REQUEST)

    async def all_work() -> None:
        tasks = [work(clock.now() + 60 * MINUTES) for _ in range(WORKERS)]
        await asyncio.wait_for(asyncio.gather(*tasks), 60 * MINUTES + 120)

    clock.run(all_work())
    return provider


def per_hundred(provider: Metered) -> float:
    return 100 * provider.refusals / provider.answers.total()


@pytest.mark.parametrize(("shows", "most"), [(True, 0.5), (False, 2.0)])
def test_calls_fill_each_quota_and_are_hardly_refused(shows: bool, most: float) -> None:
    served = serve(shows=shows)
    assert per_hundred(served) <= most
    room = {name: each * (MINUTES + 1) for name, each in PER_MINUTE.items()}
    filled = {name: served.answers[name] / room[name] for name in room}
    assert min(filled.values()) > 0.75, filled


def test_keys_in_turn_are_refused_far_more_often() -> None:
    assert per_hundred(serve(Rotation)) > 10 * per_hundred(serve())


def test_two_keys_of_one_quota_that_are_taken_for_two_cost_few_refusals() -> None:
    served = serve(keys={"C": "C", "D": "C"})
    assert per_hundred(served) < 2
    assert served.answers["C"] > 0.9 * PER_MINUTE["C"] * MINUTES


def test_processes_share_each_quota_and_not_its_neighbour(tmp_path: Path) -> None:
    clock = FakeClock()
    own = ProviderSettings(keys=("A", "B"), requests_per_day=1)
    settings = Settings(interval=0.0, max_wait=1.0, providers={"one": own})

    def process() -> PacingLimiter:
        return PacingLimiter(
            settings,
            LocalInterval(clock.now),
            clock.now,
            lambda quota: FileState(tmp_path / f"{quota}.json", clock.now),
        )

    async def ask(limiter: PacingLimiter, quota: str) -> None:
        await limiter.acquire(Call(number=1, agent="a", provider="one", model="m", quota=quota))

    async def run() -> None:
        first, second = process(), process()
        await ask(first, "one@A")
        with pytest.raises(ProviderError) as caught:
            await ask(second, "one@A")
        assert caught.value.cause == "quota_exhausted"
        await ask(second, "one@B")
        room = Call(number=1, agent="a", provider="one", model="m", quota="one@A")
        assert (first.room(room), second.room(room)) == (0.0, 0.0)

    clock.run(run())
