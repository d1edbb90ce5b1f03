"""Who hears an event, and what becomes of those who break."""

import asyncio
import logging

import pytest
from building import Heard

from rolecall import Event, RunError
from rolecall.observers.event_bus import EventBus

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


class Finishing(Heard):
    finished = 0

    async def aclose(self) -> None:
        self.finished += 1


class BreaksAtTheEnd(Heard):
    async def aclose(self) -> None:
        raise ZeroDivisionError("oh")


def test_observers_with_work_to_finish_do_so_once_the_run_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    finishing = Finishing()
    asyncio.run(EventBus([], [BreaksAtTheEnd(), finishing, Heard()]).aclose())
    assert finishing.finished == 1
    assert "BreaksAtTheEnd broke and is dropped: ZeroDivisionError: oh" in caplog.text
