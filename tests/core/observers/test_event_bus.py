"""Who hears an event, and what becomes of those who break."""

import asyncio
import logging
from contextlib import suppress

import pytest
from building import Heard

from rolecall import Event, RunError
from rolecall.observers.event_bus import EventBus
from rolecall.testing import FakeClock

FIRST, SECOND = Event(at=1.0), Event(at=2.0)


class Broken:
    def __init__(self, error: BaseException) -> None:
        self.heard = 0
        self._error = error

    def notify(self, event: Event) -> None:
        self.heard += 1
        raise self._error


def test_everyone_hears_every_event_in_order() -> None:
    keeper, observer = Heard(), Heard()
    bus = EventBus([keeper], [observer])
    bus(FIRST)
    bus(SECOND)
    assert keeper == observer == [FIRST, SECOND]


def test_keepers_hear_before_observers() -> None:
    order: list[str] = []

    class Noting:
        def __init__(self, name: str) -> None:
            self._name = name

        def notify(self, event: Event) -> None:
            order.append(self._name)

    EventBus([Noting("folder"), Noting("ledger")], [Noting("terminal")])(FIRST)
    assert order == ["folder", "ledger", "terminal"]


def test_an_observer_that_raises_is_dropped_and_named(caplog: pytest.LogCaptureFixture) -> None:
    broken, well = Broken(ZeroDivisionError("oh")), Heard()
    bus = EventBus([], [broken, well])
    bus(FIRST)
    bus(SECOND)
    assert (broken.heard, well) == (1, [FIRST, SECOND])
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("the observer ")
    assert message.endswith("test_event_bus.Broken broke and is dropped: ZeroDivisionError: oh")
    assert not caplog.records[0].exc_info


def test_where_an_observer_broke_is_shown_when_debugging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "rolecall"):
        EventBus([], [Broken(ZeroDivisionError("oh"))])(FIRST)
    assert caplog.records[0].exc_info


def test_a_keeper_that_raises_stops_the_run() -> None:
    observer = Heard()
    with pytest.raises(RunError, match="the disk is full"):
        EventBus([Broken(RunError("the disk is full"))], [observer])(FIRST)
    assert observer == []


def test_an_interrupt_is_no_fault_of_the_observer() -> None:
    with pytest.raises(KeyboardInterrupt):
        EventBus([], [Broken(KeyboardInterrupt())])(FIRST)


class Finishing(Broken):
    """An observer that takes no event, and has work to finish."""

    def __init__(self, error: BaseException | None = None, closing: float = 0.0) -> None:
        super().__init__(error or ZeroDivisionError("oh"))
        self.finished = 0
        self._closing = closing

    async def aclose(self) -> None:
        await asyncio.sleep(self._closing)
        self.finished += 1


class Releasing(Broken):
    released = 0

    def close(self) -> None:
        self.released += 1


class BreaksAtTheEnd(Heard):
    async def aclose(self) -> None:
        raise ZeroDivisionError("oh")


class ExitsAtTheEnd(Heard):
    def close(self) -> None:
        raise SystemExit(1)


class Deaf(Heard):
    """An observer that goes on closing although it is cancelled."""

    async def aclose(self) -> None:
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)


def test_observers_with_work_to_finish_do_so_once_the_run_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    finishing, releasing = Finishing(), Releasing(ZeroDivisionError("oh"))
    observers = [BreaksAtTheEnd(), ExitsAtTheEnd(), finishing, releasing, Heard()]
    asyncio.run(EventBus([], observers).aclose())
    assert (finishing.finished, releasing.released) == (1, 1)
    assert "BreaksAtTheEnd did not close: ZeroDivisionError: oh" in caplog.text
    assert "ExitsAtTheEnd did not close: SystemExit: 1" in caplog.text


def test_a_dropped_observer_is_closed_while_the_run_goes_on() -> None:
    finishing, releasing = Finishing(), Releasing(ZeroDivisionError("oh"))

    async def run() -> None:
        bus = EventBus([], [finishing, releasing])
        bus(FIRST)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (finishing.finished, releasing.released) == (1, 1)
        await bus.aclose()

    FakeClock().run(run())
    assert (finishing.finished, releasing.released) == (1, 1)


def test_a_run_waits_for_dropped_observers_that_take_a_while_to_close() -> None:
    finishing = Finishing(closing=5.0)

    async def run() -> None:
        bus = EventBus([], [finishing])
        bus(FIRST)
        await bus.aclose()

    FakeClock().run(run())
    assert finishing.finished == 1


def test_an_observer_that_is_dropped_outside_of_a_loop_is_closed_at_the_end() -> None:
    finishing = Finishing()
    bus = EventBus([], [finishing])
    bus(FIRST)
    asyncio.run(bus.aclose())
    assert finishing.finished == 1


def test_an_observer_that_hangs_keeps_no_run_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    slow = Finishing(closing=4.0)

    async def run() -> float:
        began = clock.now()
        await EventBus([], [Deaf(), slow], patience=5.0).aclose()
        return clock.now() - began

    assert clock.run(run()) == 5.0
    assert slow.finished == 1
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.endswith("Deaf did not close within 5 s; it is not waited for")
