"""What is made when it is first needed, by whichever thread needs it first."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Makes a value once: each run of a team prepares its providers, and all share connections.

    value: None until it is made.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = Lock()
        self.value: T | None = None

    def get(self) -> T:
        """Return the value, made now if it was not yet."""
        with self._lock:
            if self.value is None:
                self.value = self._make()
            return self.value
