"""The queue of callers, on a clock that needs no waiting."""

import asyncio
import gc
import threading
import time
from itertools import pairwise

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.wait_queue import FOREVER, WaitQueue, _Waiter

INTERVAL = 0.5
ROUNDING = 1e-5


class Turnstile:
    """A gate that lets one caller pass in each interval; closed, nobody until it is opened."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.closed = False
        self.asked = 0
        self.passed: list[float] = []

    def __call__(self) -> float:
        self.asked += 1
        if self.closed:
            return FOREVER
        now = self._clock.now()
        wait = self.passed[-1] + INTERVAL - now if self.passed else 0.0
        if wait <= 0:
            self.passed.append(now)
        return wait


@frozen
class Caller:
    comes: float
    gives_up_after: float | None


@frozen
class Stall:
    at: float
    seconds: float


MOMENTS = st.integers(0, 60).map(lambda tenths: tenths / 10)
CALLERS = st.lists(
    st.builds(Caller, comes=MOMENTS, gives_up_after=st.none() | MOMENTS), min_size=1, max_size=12
)
STALLS = st.lists(st.builds(Stall, at=MOMENTS, seconds=MOMENTS), max_size=3)


def watch(callers: list[Caller], stalls: list[Stall]) -> tuple[list[int], list[int], list[float]]:
    """Return who came, who passed, each in that order, and when they passed."""
    clock = FakeClock()
    gate = Turnstile(clock)
    queue = WaitQueue()
    came: list[int] = []
    passed: list[int] = []

    async def come(name: int, caller: Caller) -> None:
        await asyncio.sleep(caller.comes)
        came.append(name)
        try:
            async with asyncio.timeout(caller.gives_up_after):
                await queue.wait(gate)
                passed.append(name)
        except TimeoutError:
            pass

    async def stall(stall: Stall) -> None:
        await asyncio.sleep(stall.at)
        clock.advance(stall.seconds)

    async def all_of_them() -> None:
        await asyncio.gather(*map(stall, stalls), *(come(*each) for each in enumerate(callers)))

    clock.run(all_of_them())
    return came, passed, gate.passed


@given(CALLERS, STALLS)
def test_callers_pass_in_the_order_they_came(callers: list[Caller], stalls: list[Stall]) -> None:
    came, passed, _ = watch(callers, stalls)
    assert passed == [name for name in came if name in passed]


@given(CALLERS, STALLS)
def test_only_who_gives_up_does_not_pass(callers: list[Caller], stalls: list[Stall]) -> None:
    _, passed, times = watch(callers, stalls)
    patient = {name for name, caller in enumerate(callers) if caller.gives_up_after is None}
    assert patient <= set(passed)
    assert len(times) == len(passed)


@given(CALLERS, STALLS)
def test_no_stall_lets_callers_pass_together(callers: list[Caller], stalls: list[Stall]) -> None:
    _, _, times = watch(callers, stalls)
    assert all(later - sooner > INTERVAL - ROUNDING for sooner, later in pairwise(times))


@given(CALLERS)
def test_a_caller_that_gave_up_costs_nobody_time(callers: list[Caller]) -> None:
    came, passed, times = watch(callers, [])
    arrivals = [1000 + callers[name].comes for name in passed]
    free = float("-inf")
    for came_at, passed_at in zip(arrivals, times, strict=True):
        assert passed_at <= max(came_at, free) + len(came) * ROUNDING
        free = passed_at + INTERVAL


def test_those_behind_the_first_do_not_ask() -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    queue = WaitQueue()

    async def wait() -> None:
        await asyncio.gather(*(queue.wait(gate) for _ in range(100)))

    clock.run(wait())
    assert gate.asked < 4 * 100


def test_a_wait_too_short_for_the_clock_comes_to_an_end() -> None:
    clock = FakeClock()
    due = clock.now() + 1e-12
    clock.run(WaitQueue().wait(lambda: due - clock.now()))


def test_who_waits_behind_a_closed_gate_asks_again_when_woken() -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    gate.closed = True
    queue = WaitQueue()

    async def wait() -> int:
        waiting = asyncio.ensure_future(queue.wait(gate))
        await asyncio.sleep(3600)
        asked = gate.asked
        gate.closed = False
        queue.wake_first()
        await waiting
        return asked

    assert clock.run(wait()) == 1


def test_those_who_left_are_not_kept() -> None:
    gate = Turnstile(FakeClock())
    gate.closed = True
    queue = WaitQueue()

    async def wait() -> int:
        first = asyncio.ensure_future(queue.wait(gate))
        for _ in range(20):
            others = [asyncio.ensure_future(queue.wait(gate)) for _ in range(50)]
            await asyncio.sleep(0)
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        del others, other
        waiters = sum(isinstance(each, _Waiter) for each in gc.get_objects())
        first.cancel()
        return waiters

    assert asyncio.run(wait()) < 100


def test_a_caller_of_another_thread_is_woken_there() -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    gate.closed = True
    queue = WaitQueue()
    asked = threading.Event()
    passed: list[int] = []

    def ask() -> float:
        asked.set()
        return gate()

    async def wait() -> None:
        await queue.wait(ask)
        passed.append(threading.get_ident())

    thread = threading.Thread(target=asyncio.run, args=(wait(),))
    thread.start()
    asked.wait()
    gate.closed = False
    queue.wake_first()
    thread.join()
    assert passed == [thread.ident]


def test_who_waited_in_a_loop_that_was_closed_holds_nobody_up() -> None:
    gate = Turnstile(FakeClock())
    gate.closed = True
    queue = WaitQueue()
    loop = asyncio.new_event_loop()
    left = loop.create_task(queue.wait(gate))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gate.closed = False
    asyncio.run(queue.wait(gate))
    assert len(gate.passed) == 1
    assert not left.done()
    left._log_destroy_pending = False  # type: ignore[attr-defined]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_the_lowest_key_passes_first_and_equals_in_the_order_they_came(keys: list[int]) -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    passed: list[tuple[int, int]] = []

    async def wait(queue: WaitQueue, number: int, key: int) -> None:
        await queue.wait(gate, (float(key),))
        passed.append((key, number))

    async def run() -> None:
        queue = WaitQueue()
        gate.closed = True
        waiting = [
            asyncio.ensure_future(wait(queue, number, key)) for number, key in enumerate(keys)
        ]
        await asyncio.sleep(1)
        gate.closed = False
        queue.wake_first()
        await asyncio.gather(*waiting)

    clock.run(run())
    assert passed == sorted((key, number) for number, key in enumerate(keys))


def test_a_lower_key_overtakes_even_the_one_that_watches_the_time() -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    passed: list[str] = []

    async def wait(queue: WaitQueue, name: str, key: float) -> None:
        await queue.wait(gate, (key,))
        passed.append(name)

    async def run() -> None:
        queue = WaitQueue()
        await wait(queue, "before", 0.0)
        first = asyncio.ensure_future(wait(queue, "patient", 5.0))
        await asyncio.sleep(0.2)
        second = asyncio.ensure_future(wait(queue, "urgent", 1.0))
        await asyncio.gather(first, second)

    clock.run(run())
    assert passed == ["before", "urgent", "patient"]
    assert gate.passed == pytest.approx([1000.0, 1000.5, 1001.0])


@settings(max_examples=20)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_the_order_holds_over_threads_with_event_loops_of_their_own(keys: list[int]) -> None:
    queue, is_open = WaitQueue(), False
    passed: list[int] = []

    async def wait(key: int) -> None:
        def gate() -> float:
            if not is_open:
                return FOREVER
            passed.append(key)
            return 0.0

        await queue.wait(gate, (float(key),))

    threads = [threading.Thread(target=asyncio.run, args=(wait(key),)) for key in keys]
    for thread in threads:
        thread.start()
    while len(queue) < len(keys):
        time.sleep(0.0005)
    is_open = True
    queue.wake_first()
    for thread in threads:
        thread.join()
    assert passed == sorted(keys)


@given(
    st.lists(st.tuples(MOMENTS, st.integers(0, 5), st.none() | MOMENTS), min_size=1, max_size=12)
)
def test_nobody_passes_while_a_lower_key_waits(
    callers: list[tuple[float, int, float | None]],
) -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    queue = WaitQueue()
    waiting: list[int] = []

    async def come(comes: float, key: int, gives_up_after: float | None) -> None:
        def ask() -> float:
            wait = gate()
            if not wait:
                assert key == min(waiting)
            return wait

        await asyncio.sleep(comes)
        waiting.append(key)
        try:
            async with asyncio.timeout(gives_up_after):
                await queue.wait(ask, (float(key),))
        except TimeoutError:
            pass
        finally:
            waiting.remove(key)

    async def all_of_them() -> None:
        await asyncio.gather(*(come(*each) for each in callers))

    clock.run(all_of_them())
    assert waiting == []
