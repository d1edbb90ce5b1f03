"""Carries events to those who listen."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ..types.events import Event, Observer

_log = logging.getLogger("rolecall")
PATIENCE = 30.0  # seconds that observers may take to finish, all at once


class EventBus:
    """Passes each event to the keepers, then to the observers.

    A keeper (the run's folder, the ledger) is part of the run: where it raises, the run stops.
    An observer is a plugin's: where it raises, it is logged, dropped and closed.
    """

    def __init__(
        self,
        keepers: Sequence[Observer],
        observers: Sequence[Observer],
        patience: float = PATIENCE,
    ) -> None:
        self._keepers = list(keepers)
        self._observers = list(observers)
        self._patience = patience
        self._dropped: list[Observer] = []
        self._closing: dict[asyncio.Task[None], Observer] = {}

    def keep(self, keeper: Observer) -> None:
        """Add a keeper, which hears every event from now on."""
        self._keepers.append(keeper)

    def __call__(self, event: Event) -> None:
        for keeper in self._keepers:
            keeper.notify(event)
        for observer in list(self._observers):
            try:
                observer.notify(event)
            except (Exception, SystemExit) as error:
                self._observers.remove(observer)
                _warn(observer, "broke and is dropped", error)
                self._close_soon(observer)

    async def aclose(self) -> None:
        """Close the observers once the run is over; one that hangs is not waited for."""
        for observer in (*self._dropped, *self._observers):
            self._start_closing(observer)
        self._dropped, self._observers = [], []
        if not self._closing:
            return
        _, hanging = await asyncio.wait(self._closing, timeout=self._patience)
        for task in hanging:
            # Not awaited: it might not heed that it is cancelled either.
            task.cancel()
            _log.warning(
                "the observer %s did not close within %g s; it is not waited for",
                _name(self._closing[task]),
                self._patience,
            )

    def _close_soon(self, observer: Observer) -> None:
        """Close a dropped observer: nobody else will free what it holds."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._dropped.append(observer)  # the event was emitted outside of any loop
        else:
            self._start_closing(observer)

    def _start_closing(self, observer: Observer) -> None:
        close = getattr(observer, "aclose", None) or getattr(observer, "close", None)
        if close is not None:
            task = asyncio.get_running_loop().create_task(_close(observer, close))
            self._closing[task] = observer
            task.add_done_callback(self._closing.pop)


async def _close(observer: Observer, close: Callable[[], Awaitable[None] | None]) -> None:
    try:
        closing = close()
        if closing is not None:
            await closing
    except (Exception, SystemExit) as error:
        _warn(observer, "did not close", error)


def _warn(observer: Observer, what: str, error: BaseException) -> None:
    _log.warning(
        "the observer %s %s: %s: %s",
        _name(observer),
        what,
        type(error).__name__,
        error,
        exc_info=_log.isEnabledFor(logging.DEBUG),
    )


def _name(observer: Observer) -> str:
    return f"{type(observer).__module__}.{type(observer).__qualname__}"
