"""A bucket that the vendor tells about in its replies."""

import math
from collections import deque

from attrs import frozen

from .token_bucket import MINUTE, Bucket, Spent

CAUTION = 1.5  # deviations that are left standing
NEWEST = 0.03  # share of the newest reply in the deviation
STEADY = 60.0  # seconds over which the drain is averaged
MOST = 0.9  # of the refill, that others are believed to take
LONGEST = 1000  # spendings whose order is remembered
ROUNDED = 0.5  # by which whole numbers may tell too much


@frozen
class Told:
    """What a reply tells of one bucket.

    period: seconds in which the empty bucket would be full, or None where it does not say.
    """

    limit: float
    remaining: float
    period: float | None = None


class Mirror:
    """Reckons a vendor's bucket from its last word on it.

    level(now) = what remained when that call was sent + refill since - own spending since. What
    is still missing in the next word was taken by others. They are expected to go on, and room is
    left for how irregularly they do.
    """

    def __init__(self, now: float) -> None:
        self._bucket = Bucket(now)
        self._log: deque[Spent] = deque()  # since the last word
        self._count = 0
        self._heard = 0
        self._word: tuple[float, float] | None = None  # what was left, and when
        self._variance = 0.0

    @property
    def period(self) -> str:
        rate = self._bucket.rate
        return "day" if rate and self._bucket.capacity / rate > MINUTE else "minute"

    def wait(self, amount: float, now: float) -> float:
        return self._bucket.wait(amount, now)

    def keep(self, amount: float) -> None:
        self._bucket.keep(amount)

    def spend(self, amount: float, now: float) -> Spent:
        self._bucket.refill(now)
        self._count += 1
        spent = Spent(now, amount, self._count, self._bucket.level)
        self._bucket.level -= amount
        self._log.append(spent)
        if len(self._log) > LONGEST:
            self._log.popleft()
            self._word = None
        return spent

    def amend(self, spent: Spent, amount: float, now: float) -> None:
        if spent.number > self._heard:  # else the vendor's word had the true amount
            self._bucket.amend(spent, amount, now)
        spent.amount = amount

    def hear(self, spent: Spent, told: Told, now: float) -> None:
        """Learn what was left right after this was spent; news of before the last are ignored."""
        remaining = told.remaining
        if not self._log or spent.number < self._log[0].number:
            return
        first = self._bucket.capacity == math.inf
        self._bucket.limit(told.limit, told.limit / (told.period or MINUTE))
        level, at = self._word or (remaining, spent.at)
        while self._log and self._log[0].number <= spent.number:
            passed = self._log.popleft()
            if self._word is not None:
                level, at = self._after(level, at, passed)
        # What is less than nothing is told as nothing.
        remaining = remaining - ROUNDED if remaining else min(level, 0.0)
        if not first:
            if self._word is not None:
                self._drained(level - remaining, spent.at - self._word[1])
            self._surprised(spent.before - spent.amount - remaining)
        self._heard, self._word = spent.number, (remaining, spent.at)
        level, at = self._word
        for later in self._log:
            level, at = self._after(level, at, later)
        self._bucket.put(level, at)
        self._bucket.refill(now)

    def _after(self, level: float, at: float, spent: Spent) -> tuple[float, float]:
        refill = (spent.at - at) * (self._bucket.rate - self._bucket.drain)
        return min(self._bucket.capacity, level + refill) - spent.amount, spent.at

    def _drained(self, missing: float, elapsed: float) -> None:
        """Learn what others take, from what was missing by all that is known now."""
        drain = self._bucket.drain + missing / (elapsed + STEADY)
        self._bucket.drain = min(max(0.0, drain), MOST * self._bucket.rate)

    def _surprised(self, missing: float) -> None:
        """Learn how much to leave, from what was missing by what was known then."""
        self._variance += NEWEST * (max(0.0, missing) ** 2 - self._variance)
        self._bucket.reserve = CAUTION * math.sqrt(self._variance)
