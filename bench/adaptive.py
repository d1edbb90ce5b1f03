"""Measures limiters against a vendor whose limits they do not know: who fills them, unrefused.

    python bench/adaptive.py [--seeds N] [--only LIMITER]

A seeded simulation on simulated time: the vendor has two buckets that refill evenly, rolecall's
row is its built-in limiter itself, the others are what is common elsewhere. All of them serve the
same callers for ten minutes; the oracle sees into the buckets.
"""

import argparse
import asyncio
import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from attrs import frozen

from rolecall import Call, Cause, Limiter, Outcome, Settings, Usage
from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.interval import LocalInterval
from rolecall_plugins.ratelimit.limiter import PacingLimiter

SECONDS = 600.0
REQUESTS = 120  # per minute
TOKENS = 150_000  # per minute
CALLERS = 30
CROWD = 100_000
READ, WRITTEN = 850.0, 400.0  # tokens, means
SPREAD = 0.6  # sigma of their logarithms
ANSWER = (2.0, 6.0)  # seconds
REFUSAL = 0.05  # seconds
ROUNDING = 1e-4  # seconds


@frozen
class Served:
    """What came of ten minutes: tokens of answered calls, refusals, and seconds to each answer."""

    tokens: int
    answered: int
    refused: int
    waits: list[float]


@frozen
class Case:
    """What a vendor states, and who else there is.

    headers: what is left, with every reply. limit: the limit itself, with a refusal.
    tenant: the share of the limits that somebody else uses.
    """

    headers: bool = True
    limit: bool = False
    tenant: float = 0.0


CASES = {
    "headers state what is left": Case(),
    "the same, another tenant takes half": Case(tenant=0.5),
    "refusals name the limit": Case(headers=False, limit=True),
    "the same, another tenant takes half ": Case(headers=False, limit=True, tenant=0.5),
    "refusals name only when to retry": Case(headers=False),
    "the same, another tenant takes half  ": Case(headers=False, tenant=0.5),
}


class Vendor:
    """Two buckets that refill evenly; output is charged when it is written, and may be a debt."""

    def __init__(self, case: Case, now: Callable[[], float]) -> None:
        self._case = case
        self._now = now
        self._at = now()
        self._capacity = {"requests": float(REQUESTS), "tokens": float(TOKENS)}
        self._level = dict(self._capacity)

    def wait(self, read: int) -> tuple[str, float]:
        """Return what refuses a call now, and the seconds until it would not."""
        self._refill()
        needs = {"requests": 1.0, "tokens": float(read)}
        waits = {
            name: (needs[name] - level) * 60.0 / self._capacity[name]
            for name, level in self._level.items()
        }
        name = max(waits, key=lambda name: waits[name])
        return name, max(0.0, waits[name])

    def take(self, requests: int, tokens: int) -> None:
        self._refill()
        self._level["requests"] -= requests
        self._level["tokens"] -= tokens

    def limits(self, refusing: str) -> Mapping[str, float]:
        """Return what a refusal names."""
        return {refusing: self._capacity[refusing]} if self._case.limit else {}

    def headers(self) -> Mapping[str, str]:
        headers = {}
        if self._case.headers:
            self._refill()
            for name, level in self._level.items():
                headers[f"anthropic-ratelimit-{name}-limit"] = f"{self._capacity[name]:.0f}"
                headers[f"anthropic-ratelimit-{name}-remaining"] = f"{max(0.0, level):.0f}"
        return headers

    def _refill(self) -> None:
        now = self._now()
        for name, capacity in self._capacity.items():
            gained = (now - self._at) * capacity / 60.0
            self._level[name] = min(capacity, self._level[name] + gained)
        self._at = now


class Strategy(Protocol):
    async def acquire(self, call: Call) -> None: ...

    def ended(self, call: Call, outcome: Outcome) -> None: ...


class Backoff:
    """No limiter: each refused call comes back after a random, doubling time."""

    def __init__(self, clock: FakeClock, vendor: Vendor, rng: random.Random) -> None:
        self._rng = rng
        self._refused: dict[int, int] = {}

    async def acquire(self, call: Call) -> None:
        if times := self._refused.get(call.number):
            await asyncio.sleep(self._rng.uniform(0, min(60.0, 2.0 ** (times - 1))))

    def ended(self, call: Call, outcome: Outcome) -> None:
        if outcome.cause:
            self._refused[call.number] = self._refused.get(call.number, 0) + 1


class RetryAfter:
    """No limiter: each refused call comes back when the vendor asked it to."""

    def __init__(self, clock: FakeClock, vendor: Vendor, rng: random.Random) -> None:
        self._now = clock.now
        self._until: dict[int, float] = {}

    async def acquire(self, call: Call) -> None:
        await asyncio.sleep(max(0.0, self._until.get(call.number, 0.0) - self._now()))

    def ended(self, call: Call, outcome: Outcome) -> None:
        if outcome.retry_after is not None:
            self._until[call.number] = self._now() + outcome.retry_after


class GlobalPause(RetryAfter):
    """All callers wait as long as the vendor asked any of them to."""

    async def acquire(self, call: Call) -> None:
        while (wait := self._until.get(0, 0.0) - self._now()) > 0:
            await asyncio.sleep(wait)

    def ended(self, call: Call, outcome: Outcome) -> None:
        if outcome.retry_after is not None:
            self._until[0] = max(self._until.get(0, 0.0), self._now() + outcome.retry_after)


class Aimd:
    """A rate that grows by a little each second, and is cut at each refusal."""

    MORE, LESS = 0.02, 0.8

    def __init__(self, clock: FakeClock, vendor: Vendor, rng: random.Random) -> None:
        self._now = clock.now
        self._rate = 1.0
        self._at = self._next = clock.now()
        self._cut = -math.inf

    async def acquire(self, call: Call) -> None:
        now = self._now()
        self._rate += self.MORE * (now - self._at)
        self._at = now
        self._next = max(now, self._next) + 1 / self._rate
        await asyncio.sleep(self._next - now)

    def ended(self, call: Call, outcome: Outcome) -> None:
        if outcome.cause and self._now() - self._cut > 1.0:
            self._rate, self._cut = max(0.1, self._rate * self.LESS), self._now()


class Oracle:
    """Sees into the buckets: lets each call in at the first moment that it would not be refused."""

    def __init__(self, clock: FakeClock, vendor: Vendor, rng: random.Random) -> None:
        self._vendor = vendor
        self._turn = asyncio.Lock()

    async def acquire(self, call: Call) -> None:
        async with self._turn:
            while (wait := self._vendor.wait(call.input_tokens)[1]) > ROUNDING:
                await asyncio.sleep(wait)

    def ended(self, call: Call, outcome: Outcome) -> None: ...


def rolecall(clock: FakeClock, vendor: Vendor, rng: random.Random) -> Limiter:
    return PacingLimiter(Settings(interval=0.0), LocalInterval(clock.now), clock.now)


LIMITERS: Mapping[str, Callable[[FakeClock, Vendor, random.Random], Strategy]] = {
    "(oracle)": Oracle,
    "rolecall": rolecall,
    "pause of all until retry-after": GlobalPause,
    "retry-after of each": RetryAfter,
    "exponential backoff": Backoff,
    "AIMD": Aimd,
}


def simulate(
    make: Callable[[FakeClock, Vendor, random.Random], Strategy], case: Case, seed: int
) -> Served:
    """Serve the callers for ten minutes."""
    clock = FakeClock()
    rng = random.Random(seed)
    vendor = Vendor(case, clock.now)

    async def run() -> Served:
        limiter = make(clock, vendor, random.Random(seed + 1))
        numbers = itertools.count(1)
        until = clock.now() + SECONDS
        counts = [0, 0, 0]
        waits: list[float] = []

        async def caller() -> None:
            while True:
                asked = clock.now()
                read, written = _tokens(rng, READ), _tokens(rng, WRITTEN)
                call = Call(next(numbers), "bench", "vendor", "m", read, 8192, asked=asked)
                while not await attempt(limiter, call, written):
                    counts[2] += clock.now() < until
                if clock.now() < until:
                    counts[0] += read + written
                    counts[1] += 1
                    waits.append(clock.now() - asked)

        async def attempt(limiter: Strategy, call: Call, written: int) -> bool:
            await limiter.acquire(call)
            refusing, wait = vendor.wait(call.input_tokens)
            if wait > ROUNDING:
                headers, limits = vendor.headers(), vendor.limits(refusing)
                await asyncio.sleep(REFUSAL)
                limiter.ended(
                    call,
                    Outcome(True, Cause.RATE_LIMITED, wait, headers=headers, limits=limits),
                )
                return False
            vendor.take(1, call.input_tokens)
            headers = vendor.headers()
            await asyncio.sleep(rng.uniform(*ANSWER))
            vendor.take(0, written)
            usage = Usage(input=call.input_tokens, output=written)
            limiter.ended(call, Outcome(usage=usage, headers=headers))
            return True

        async def tenant() -> None:
            pace = case.tenant * min(REQUESTS, TOKENS / (READ + WRITTEN)) / 60
            while True:
                await asyncio.sleep(rng.expovariate(pace))
                vendor.take(1, _tokens(rng, READ))
                asyncio.get_running_loop().call_later(
                    rng.uniform(*ANSWER), vendor.take, 0, _tokens(rng, WRITTEN)
                )

        callers = round(CALLERS * (1 - case.tenant))
        tasks = [asyncio.ensure_future(caller()) for _ in range(callers)]
        if case.tenant:
            tasks.append(asyncio.ensure_future(tenant()))
        await asyncio.sleep(SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return Served(*counts, waits)

    return clock.run(run())


def crowd(callers: int) -> str:
    """Serve very many callers that all ask rolecall's limiter at once."""
    clock = FakeClock()
    vendor = Vendor(Case(), clock.now)
    refused = 0

    async def run() -> tuple[int, float]:
        limiter = rolecall(clock, vendor, random.Random(0))
        order: list[int] = []

        async def caller(number: int) -> None:
            nonlocal refused
            call = Call(number, "bench", "vendor", "m", 500, 8192, asked=float(number))
            while True:
                await limiter.acquire(call)
                if (wait := vendor.wait(500)[1]) > ROUNDING:
                    refused += 1
                    limiter.ended(call, Outcome(True, Cause.RATE_LIMITED, wait))
                    continue
                order.append(number)
                vendor.take(1, 500)
                headers = vendor.headers()
                await asyncio.sleep(3.0)
                limiter.ended(call, Outcome(usage=Usage(input=500, output=100), headers=headers))
                return

        began = clock.now()
        await asyncio.gather(*(caller(number) for number in range(callers)))
        swapped = sum(later < sooner for sooner, later in itertools.pairwise(order))
        return swapped, clock.now() - began

    before = time.process_time()
    swapped, took = clock.run(run())
    cpu = (time.process_time() - before) / callers * 1000
    ideal = (callers - REQUESTS) * 60.0 / REQUESTS + 3.0
    return (
        f"{callers:,} callers at once: {refused} refused, {swapped} out of order, "
        f"total / ideal {took / ideal:.4f}, {cpu:.2f} ms of CPU for each (simulated calls included)"
    )


def _tokens(rng: random.Random, mean: float) -> int:
    return max(1, round(rng.lognormvariate(math.log(mean) - SPREAD**2 / 2, SPREAD)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--only", action="append", choices=LIMITERS)
    options = parser.parse_args()
    print("| | limiter | tokens / oracle | 429s per 100 answered | p99 s |")
    print("|---|---|--:|--:|--:|")
    for title, case in CASES.items():
        best = [simulate(Oracle, case, seed).tokens for seed in range(options.seeds)]
        for name in options.only or LIMITERS:
            runs = [simulate(LIMITERS[name], case, seed) for seed in range(options.seeds)]
            share = statistics.mean(run.tokens / one for run, one in zip(runs, best, strict=True))
            refused = 100 * sum(r.refused for r in runs) / sum(r.answered for r in runs)
            waits = sorted(wait for run in runs for wait in run.waits)
            p99 = waits[int(0.99 * len(waits))]
            print(
                f"| {title.strip()} | {name} | {share:.3f} | {refused:.1f} | {p99:.1f} |",
                flush=True,
            )
    print(f"\n{crowd(CROWD)}")


if __name__ == "__main__":
    main()
