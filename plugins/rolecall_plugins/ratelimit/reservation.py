"""What one call takes from a limit: expected before it starts, corrected when it ends."""

from collections.abc import Callable, Mapping
from typing import Protocol

from rolecall import Call

from .token_bucket import Spending

SHARE = 8  # of its output budget: the first guess
NEWEST = 0.25  # share of the newest answer in the mean

Amounts = tuple[int, int]

# What is spent at the start and at the end, of a call's input and output tokens: a vendor counts
# output as it is written, so it is certain only at the end.
FAMILIES: Mapping[str, Callable[[int, int], Amounts]] = {
    "requests": lambda input_tokens, output_tokens: (1, 0),
    "tokens": lambda input_tokens, output_tokens: (input_tokens, output_tokens),
    "input-tokens": lambda input_tokens, output_tokens: (input_tokens, 0),
    "output-tokens": lambda input_tokens, output_tokens: (0, output_tokens),
}


class UsageLimit(Protocol):
    """A limit on requests or tokens, from which an amount is reserved, spent and corrected."""

    @property
    def period(self) -> str: ...

    def wait(self, amount: float, now: float) -> float: ...

    def room(self, now: float) -> float: ...

    def reserve(self, amount: float) -> None: ...

    def spend(self, amount: float, now: float) -> Spending: ...

    def correct(self, spending: Spending, amount: float, now: float) -> None: ...

    def copy(self) -> "UsageLimit": ...


class Reservation:
    """Reserves a call's estimated amounts, spends them as the call proceeds, and corrects them."""

    __slots__ = ("_amounts", "_limit", "spending")

    def __init__(self, limit: UsageLimit, amounts: Amounts) -> None:
        self.spending: Spending | None = None
        self._limit = limit
        self._amounts = amounts
        limit.reserve(sum(amounts))

    def start(self, now: float) -> None:
        """Spend what a call costs as it starts."""
        self._limit.reserve(-self._amounts[0])
        self.spending = self._limit.spend(self._amounts[0], now)

    def settle(self, amounts: Amounts, now: float) -> None:
        """Spend the true amounts of a call that started and ended."""
        assert self.spending is not None
        self._limit.correct(self.spending, amounts[0], now)
        self._limit.reserve(-self._amounts[1])
        if amounts[1]:
            self._limit.spend(amounts[1], now)

    def release(self) -> None:
        """Reserve nothing for a call that never started."""
        self._limit.reserve(-sum(self._amounts))

    def copy(self, limit: UsageLimit) -> "Reservation":
        """Return the same reservation of a copied limit; its spending may only be confirmed."""
        copied = Reservation.__new__(Reservation)
        copied._limit, copied._amounts, copied.spending = limit, self._amounts, self.spending
        return copied


class TokenForecast:
    """Expects an agent to write the mean of its last answers; a new one, that of all."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def copy(self) -> "TokenForecast":
        copied = TokenForecast()
        copied._means = dict(self._means)
        return copied

    def expect(self, call: Call) -> int:
        mean = self._means.get(call.agent, self._means.get(""))
        most = call.max_output_tokens
        if mean is None:
            return -(-most // SHARE)
        return min(round(mean), most) if most else round(mean)

    def learn(self, call: Call, output: int) -> None:
        for name in (call.agent, ""):
            mean = self._means.get(name, output)
            self._means[name] = mean + NEWEST * (output - mean)
