"""The line of callers, on a clock that needs no waiting; and the alarms that wake its first."""

import asyncio
import gc
import os
import sys
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.timers import LATE, Alarm, KernelAlarm, LoopAlarm, precise_alarm
from rolecall_plugins.ratelimit.wait_queue import FOREVER, Line, _Place

INTERVAL = 0.5
ROUNDING = 1e-5

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="a kind of timer of Linux")


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
    """Give who came, who passed, each in that order, and when they passed."""
    clock = FakeClock()
    gate = Turnstile(clock)
    line = Line()
    came: list[int] = []
    passed: list[int] = []

    async def come(name: int, caller: Caller) -> None:
        await asyncio.sleep(caller.comes)
        came.append(name)
        try:
            async with asyncio.timeout(caller.gives_up_after):
                await line.wait(gate)
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
def test_a_place_that_was_given_up_costs_nobody_time(callers: list[Caller]) -> None:
    came, passed, times = watch(callers, [])
    arrivals = [1000 + callers[name].comes for name in passed]
    free = float("-inf")
    for came_at, passed_at in zip(arrivals, times, strict=True):
        assert passed_at <= max(came_at, free) + len(came) * ROUNDING
        free = passed_at + INTERVAL


def test_those_behind_the_first_do_not_ask() -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    line = Line()

    async def wait() -> None:
        await asyncio.gather(*(line.wait(gate) for _ in range(100)))

    clock.run(wait())
    assert gate.asked < 4 * 100


def test_a_wait_too_short_for_the_clock_comes_to_an_end() -> None:
    clock = FakeClock()
    due = clock.now() + 1e-12
    clock.run(Line().wait(lambda: due - clock.now()))


def test_who_waits_behind_a_closed_gate_asks_again_when_poked() -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    gate.closed = True
    line = Line()

    async def wait() -> int:
        waiting = asyncio.ensure_future(line.wait(gate))
        await asyncio.sleep(3600)
        asked = gate.asked
        gate.closed = False
        line.poke()
        await waiting
        return asked

    assert clock.run(wait()) == 1


def test_those_who_left_are_not_kept() -> None:
    gate = Turnstile(FakeClock())
    gate.closed = True
    line = Line()

    async def wait() -> int:
        first = asyncio.ensure_future(line.wait(gate))
        for _ in range(20):
            others = [asyncio.ensure_future(line.wait(gate)) for _ in range(50)]
            await asyncio.sleep(0)
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        del others, other
        places = sum(isinstance(each, _Place) for each in gc.get_objects())
        first.cancel()
        return places

    assert asyncio.run(wait()) < 100


def test_a_caller_of_another_thread_is_woken_there() -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    gate.closed = True
    line = Line()
    asked = threading.Event()
    passed: list[int] = []

    def ask() -> float:
        asked.set()
        return gate()

    async def wait() -> None:
        await line.wait(ask)
        passed.append(threading.get_ident())

    thread = threading.Thread(target=asyncio.run, args=(wait(),))
    thread.start()
    asked.wait()
    gate.closed = False
    line.poke()
    thread.join()
    assert passed == [thread.ident]


def test_who_waited_in_a_loop_that_was_closed_holds_nobody_up() -> None:
    gate = Turnstile(FakeClock())
    gate.closed = True
    line = Line()
    loop = asyncio.new_event_loop()
    left = loop.create_task(line.wait(gate))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gate.closed = False
    asyncio.run(line.wait(gate))
    assert len(gate.passed) == 1
    assert not left.done()
    left._log_destroy_pending = False  # type: ignore[attr-defined]


def test_the_loops_alarm_rings_on_the_loops_time() -> None:
    clock = FakeClock()
    assert clock.run(rung(LoopAlarm, 7200, clock.now)) == pytest.approx(7200)


@only_linux
def test_the_kernels_alarm_rings_when_it_is_due_or_a_little_before() -> None:
    assert asyncio.run(rung(KernelAlarm, 0.02, time.monotonic)) > 0.019


@only_linux
@pytest.mark.parametrize("seconds", [1e-9, LATE, LATE + 1e-12])
def test_the_kernels_alarm_rings_after_the_shortest_of_times(seconds: float) -> None:
    asyncio.run(rung(KernelAlarm, seconds, time.monotonic))


@only_linux
def test_the_kernels_alarm_forgets_the_time_before(caplog: pytest.LogCaptureFixture) -> None:
    async def ring() -> list[str]:
        rings: list[str] = []
        alarm = KernelAlarm()
        alarm.set(0.001, lambda: rings.append("first"))
        time.sleep(0.005)
        asyncio.get_running_loop().call_soon(alarm.set, 0.001, lambda: rings.append("second"))
        await asyncio.sleep(0.02)
        alarm.set(0.001, lambda: rings.append("third"))
        alarm.close()
        await asyncio.sleep(0.02)
        return rings

    assert asyncio.run(ring()) == ["second"]
    assert caplog.records == []


@only_linux
def test_one_alarm_after_another_leaves_no_file_open() -> None:
    async def use() -> tuple[int, int]:
        KernelAlarm().close()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            KernelAlarm().close()
        line = Line(precise_alarm)
        gate = iter([0.001, 0.0, 0.001, 0.0])
        await asyncio.gather(line.wait(gate.__next__), line.wait(gate.__next__))
        return before, len(os.listdir("/proc/self/fd"))

    before, after = asyncio.run(use())
    assert before == after


def test_an_event_loop_that_watches_no_files_uses_its_own_timers() -> None:
    class Blind(asyncio.SelectorEventLoop):
        def add_reader(self, *_: object) -> None:
            raise NotImplementedError

    with asyncio.Runner(loop_factory=Blind) as runner:
        assert isinstance(runner.run(make_precise()), LoopAlarm)


def test_an_event_loop_with_a_time_of_its_own_uses_its_own_timers() -> None:
    assert isinstance(FakeClock().run(make_precise()), LoopAlarm)


@only_linux
def test_on_linux_the_kernel_is_more_precise() -> None:
    assert isinstance(asyncio.run(make_precise()), KernelAlarm)


async def make_precise() -> Alarm:
    alarm = precise_alarm()
    alarm.close()
    return alarm


async def rung(alarm: type[LoopAlarm | KernelAlarm], seconds: float, now: Any) -> float:
    """Set an alarm, and give how long it took to ring."""
    done = asyncio.Event()
    one = alarm()
    before = now()
    one.set(seconds, done.set)
    await done.wait()
    one.close()
    return float(now() - before)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_the_lowest_key_passes_first_and_equals_in_the_order_they_came(keys: list[int]) -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    passed: list[tuple[int, int]] = []

    async def wait(line: Line, number: int, key: int) -> None:
        await line.wait(gate, (float(key),))
        passed.append((key, number))

    async def run() -> None:
        line = Line()
        gate.closed = True
        waiting = [
            asyncio.ensure_future(wait(line, number, key)) for number, key in enumerate(keys)
        ]
        await asyncio.sleep(1)
        gate.closed = False
        line.poke()
        await asyncio.gather(*waiting)

    clock.run(run())
    assert passed == sorted((key, number) for number, key in enumerate(keys))


def test_a_lower_key_overtakes_even_the_one_that_watches_the_time() -> None:
    clock = FakeClock()
    gate = Turnstile(clock)
    passed: list[str] = []

    async def wait(line: Line, name: str, key: float) -> None:
        await line.wait(gate, (key,))
        passed.append(name)

    async def run() -> None:
        line = Line()
        await wait(line, "before", 0.0)
        first = asyncio.ensure_future(wait(line, "patient", 5.0))
        await asyncio.sleep(0.2)
        second = asyncio.ensure_future(wait(line, "urgent", 1.0))
        await asyncio.gather(first, second)

    clock.run(run())
    assert passed == ["before", "urgent", "patient"]
    assert gate.passed == pytest.approx([1000.0, 1000.5, 1001.0])


@settings(max_examples=20)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_the_order_holds_over_threads_with_event_loops_of_their_own(keys: list[int]) -> None:
    line, is_open = Line(), False
    passed: list[int] = []

    async def wait(key: int) -> None:
        def gate() -> float:
            if not is_open:
                return FOREVER
            passed.append(key)
            return 0.0

        await line.wait(gate, (float(key),))

    threads = [threading.Thread(target=asyncio.run, args=(wait(key),)) for key in keys]
    for thread in threads:
        thread.start()
    while len(line) < len(keys):
        time.sleep(0.0005)
    is_open = True
    line.poke()
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
    line = Line()
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
                await line.wait(ask, (float(key),))
        except TimeoutError:
            pass
        finally:
            waiting.remove(key)

    async def all_of_them() -> None:
        await asyncio.gather(*(come(*each) for each in callers))

    clock.run(all_of_them())
    assert waiting == []
