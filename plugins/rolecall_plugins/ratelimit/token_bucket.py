"""A vendor's bucket, as far as it can be reckoned from what was spent."""

import math

from attrs import define

MINUTE = 60.0
DAY = 86400.0
ROUNDING = 1e-6  # of the capacity


@define(eq=False)
class Spent:
    """An amount that was spent, and when.

    number: its place in the order of all that was spent, from 1 on.
    before: what the bucket held right before.
    """

    at: float
    amount: float
    number: int = 0
    before: float = math.inf


class Bucket:
    """A bucket that refills evenly and is never fuller than its capacity.

    Until a capacity is known, everything passes. Times are seconds, amounts are requests or
    tokens.

    level: what the vendor counts, what is kept for calls on their way included; may be a debt.
    reserve: what a call has to leave in it.
    drain: what others take, per second.
    """

    def __init__(self, now: float) -> None:
        self.capacity = math.inf
        self.rate = 0.0
        self.level = 0.0
        self.reserve = 0.0
        self.drain = 0.0
        self._kept = 0.0
        self._at = now

    def limit(self, capacity: float, rate: float) -> None:
        """Hold at most `capacity`, and refill `rate` per second."""
        self.capacity, self.rate = capacity, rate
        self.level = min(self.level, capacity)

    def put(self, level: float, now: float) -> None:
        """Hold this much at this moment."""
        self.level, self._at = min(level, self.capacity), now

    def refill(self, now: float) -> None:
        self.put(self.level + max(0.0, now - self._at) * (self.rate - self.drain), now)

    def wait(self, amount: float, now: float) -> float:
        """Give the seconds until `amount` may be kept; infinite until another call ends.

        What is larger than the whole bucket waits until it is full, and then passes alone.
        """
        if self.capacity == math.inf:
            return 0.0
        self.refill(now)
        wanted = self._kept + min(amount + self.reserve, self.capacity)
        missing = wanted - self.level
        if missing <= ROUNDING * self.capacity:
            return 0.0
        if wanted > self.capacity:
            return math.inf
        return missing / (self.rate - self.drain)

    def keep(self, amount: float) -> None:
        """Keep an amount for a call on its way; a negative one gives it back."""
        self._kept += amount

    def spend(self, amount: float, now: float) -> Spent:
        self.refill(now)
        self.level -= amount
        return Spent(now, amount)

    def amend(self, spent: Spent, amount: float, now: float) -> None:
        """Let `amount` be what was spent then."""
        self.refill(now)
        self.put(self.level + spent.amount - amount, now)
        spent.amount = amount
