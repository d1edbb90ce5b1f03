"""A vendor's bucket of requests or tokens, estimated from what was spent."""

import math

from attrs import define

MINUTE = 60.0
DAY = 86400.0
ROUNDING = 1e-6  # of the capacity


@define(eq=False)
class Spending:
    """An amount that was spent, and when.

    number: its place in the order of all spendings, from 1 on.
    before: the bucket's level right before.
    """

    at: float
    amount: float
    number: int = 0
    before: float = math.inf


class TokenBucket:
    """A bucket that refills evenly up to its capacity.

    Until a capacity is set, everything passes. Times are seconds; amounts are requests or tokens,
    for vendors limit both alike.

    level: what the vendor counts, reserved amounts included; negative is a debt.
    margin: what every caller has to leave in it.
    drain: what other users of the same limit take, per second.
    """

    def __init__(self, now: float) -> None:
        self.capacity = math.inf
        self.rate = 0.0
        self.level = 0.0
        self.margin = 0.0
        self.drain = 0.0
        self._reserved = 0.0
        self._at = now

    def set_limit(self, capacity: float, rate: float) -> None:
        """Hold at most `capacity`, and refill `rate` per second."""
        self.capacity, self.rate = capacity, rate
        self.level = min(self.level, capacity)

    def set_level(self, level: float, now: float) -> None:
        self.level, self._at = min(level, self.capacity), now

    def refill(self, now: float) -> None:
        self.set_level(self.level + max(0.0, now - self._at) * (self.rate - self.drain), now)

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` can be reserved; infinite until another call ends.

        An amount above the capacity waits for the full bucket, and then passes alone: a vendor
        that accepts such a call at all accepts it then.
        """
        if self.capacity == math.inf:
            return 0.0
        self.refill(now)
        wanted = self._reserved + min(amount + self.margin, self.capacity)
        missing = wanted - self.level
        if missing <= ROUNDING * self.capacity:
            return 0.0
        if wanted > self.capacity:
            return math.inf
        return missing / (self.rate - self.drain)

    def room(self, now: float) -> float:
        """Return which share of it is free; 1 where its capacity is not known."""
        if self.capacity == math.inf:
            return 1.0
        self.refill(now)
        return (self.level - self._reserved) / self.capacity

    def reserve(self, amount: float) -> None:
        """Reserve an amount for a call on its way; a negative one is released."""
        self._reserved += amount

    def spend(self, amount: float, now: float) -> Spending:
        self.refill(now)
        self.level -= amount
        return Spending(now, amount)

    def correct(self, spending: Spending, amount: float, now: float) -> None:
        """Replace a spending's estimate by the true amount."""
        self.refill(now)
        self.set_level(self.level + spending.amount - amount, now)
        spending.amount = amount
