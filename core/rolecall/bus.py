"""Carries events to those who listen."""

import logging
from collections.abc import Sequence

from .events import Event, Observer

_log = logging.getLogger("rolecall")


class Bus:
    """Passes each event to the keepers, then to the observers.

    A keeper (the run's folder, the ledger) is part of the run: where it raises, the run stops.
    An observer is a plugin's: where it raises, it is logged and dropped.
    """

    def __init__(self, keepers: Sequence[Observer], observers: Sequence[Observer]) -> None:
        self._keepers = list(keepers)
        self._observers = list(observers)

    def __call__(self, event: Event) -> None:
        for keeper in self._keepers:
            keeper.notify(event)
        for observer in list(self._observers):
            try:
                observer.notify(event)
            except (Exception, SystemExit) as error:
                self._observers.remove(observer)
                name = f"{type(observer).__module__}.{type(observer).__qualname__}"
                _log.warning(
                    "the observer %s broke and is dropped: %s: %s",
                    name,
                    type(error).__name__,
                    error,
                    exc_info=_log.isEnabledFor(logging.DEBUG),
                )
