"""What one call draws from one bucket: a part when it starts, a part when it ends."""

from collections.abc import Callable, Mapping
from typing import Protocol

from .token_bucket import Spent

Amounts = tuple[int, int]

# What is drawn at the start and at the end, of a call's input and output tokens.
FAMILIES: Mapping[str, Callable[[int, int], Amounts]] = {
    "requests": lambda read, written: (1, 0),
    "tokens": lambda read, written: (read, written),
    "input-tokens": lambda read, written: (read, 0),
    "output-tokens": lambda read, written: (0, written),
}


class Meter(Protocol):
    """Anything that an amount of requests or tokens has to pass: it is kept, and then spent."""

    @property
    def period(self) -> str: ...

    def wait(self, amount: float, now: float) -> float: ...

    def keep(self, amount: float) -> None: ...

    def spend(self, amount: float, now: float) -> Spent: ...

    def amend(self, spent: Spent, amount: float, now: float) -> None: ...


class Charge:
    """Keeps the estimated amounts for a call, spends them as it goes on, and corrects them."""

    __slots__ = ("_amounts", "_meter", "spent")

    def __init__(self, meter: Meter, amounts: Amounts) -> None:
        self.spent: Spent | None = None
        self._meter = meter
        self._amounts = amounts
        meter.keep(sum(amounts))

    def start(self, now: float) -> None:
        """Spend what a call costs as it starts."""
        self._meter.keep(-self._amounts[0])
        self.spent = self._meter.spend(self._amounts[0], now)

    def settle(self, amounts: Amounts, now: float) -> None:
        """Let these be the amounts of a call that started and ended."""
        assert self.spent is not None
        self._meter.amend(self.spent, amounts[0], now)
        self._meter.keep(-self._amounts[1])
        if amounts[1]:
            self._meter.spend(amounts[1], now)

    def give_back(self) -> None:
        """Let nothing be kept for a call that never started."""
        self._meter.keep(-sum(self._amounts))
