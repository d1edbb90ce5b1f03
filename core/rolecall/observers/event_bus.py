"""Carries events to those who listen."""

import logging
from collections.abc import Sequence

from ..types.events import Event, Observer
from ..types.messages import Closeable

_log = logging.getLogger("rolecall")


class EventBus:
    """Passes each event to the keepers, then to the observers.

    A keeper (the run's folder, the ledger) is part of the run: where it raises, the run stops.
    An observer is a plugin's: where it raises, it is logged and dropped.
    """

    def __init__(self, keepers: Sequence[Observer], observers: Sequence[Observer]) -> None:
        self._keepers = list(keepers)
        self._observers = list(observers)

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
                self._drop(observer, error)

    async def aclose(self) -> None:
        """Close the observers that have something to finish, once the run is over."""
        for observer in list(self._observers):
            if isinstance(observer, Closeable):
                try:
                    await observer.aclose()
                except (Exception, SystemExit) as error:
                    self._drop(observer, error)

    def _drop(self, observer: Observer, error: BaseException) -> None:
        self._observers.remove(observer)
        _log.warning(
            "the observer %s.%s broke and is dropped: %s: %s",
            type(observer).__module__,
            type(observer).__qualname__,
            type(error).__name__,
            error,
            exc_info=_log.isEnabledFor(logging.DEBUG),
        )
