"""A vendor's bucket, tracked by the rate-limit headers of its replies."""

import math
from collections import deque
from copy import copy

from attrs import frozen

from .token_bucket import MINUTE, Spending, TokenBucket

CAUTION = 1.5  # standard deviations of the estimate's error that are left as a margin
NEWEST = 0.03  # share of the newest reply in the deviation
STEADY = 60.0  # seconds over which the drain is averaged
MOST = 0.9  # of the refill, that others are believed to take
LONGEST = 1000  # spendings whose order is remembered
ROUNDED = 0.5  # by which whole numbers may say too much


@frozen
class RateLimitHeaders:
    """What one reply's headers say of one family of limits.

    period: seconds in which the empty bucket would be full, or None where it does not say.
    """

    limit: float
    remaining: float
    period: float | None = None


class HeaderTracker:
    """Estimates a vendor's bucket from the last headers that described it.

    level(now) = what remained when that call was sent + refill since - own spending since. What
    is missing in the next headers was taken by others: they are expected to go on, and a margin
    is left for how irregularly they do.
    """

    def __init__(self, now: float) -> None:
        self._bucket = TokenBucket(now)
        self._log: deque[Spending] = deque()  # since the last headers
        self._count = 0
        self._described = 0  # the number of the spending that the last headers followed
        self._last: tuple[float, float] | None = None  # what remained then, and when
        self._variance = 0.0

    @property
    def period(self) -> str:
        rate = self._bucket.rate
        return "day" if rate and self._bucket.capacity / rate > MINUTE else "minute"

    def wait(self, amount: float, now: float) -> float:
        return self._bucket.wait(amount, now)

    def room(self, now: float) -> float:
        return self._bucket.room(now)

    def reserve(self, amount: float) -> None:
        self._bucket.reserve(amount)

    def spend(self, amount: float, now: float) -> Spending:
        self._bucket.refill(now)
        self._count += 1
        spending = Spending(now, amount, self._count, self._bucket.level)
        self._bucket.level -= amount
        self._log.append(spending)
        if len(self._log) > LONGEST:
            self._log.popleft()
            self._last = None
        return spending

    def copy(self) -> "HeaderTracker":
        """Return a copy that may go another way."""
        copied = copy(self)
        copied._bucket, copied._log = copy(self._bucket), copy(self._log)
        return copied

    def correct(self, spending: Spending, amount: float, now: float) -> None:
        # What the headers described already has the true amount in it.
        if spending.number > self._described:
            self._bucket.correct(spending, amount, now)
        spending.amount = amount

    def update(self, spending: Spending, headers: RateLimitHeaders, now: float) -> None:
        """Learn what remained right after a spending; headers older than the last are ignored."""
        remaining = headers.remaining
        if not self._log or spending.number < self._log[0].number:
            return
        first = self._bucket.capacity == math.inf
        self._bucket.set_limit(headers.limit, headers.limit / (headers.period or MINUTE))
        level, at = self._last or (remaining, spending.at)
        while self._log and self._log[0].number <= spending.number:
            passed = self._log.popleft()
            if self._last is not None:
                level, at = self._after(level, at, passed)
        # Vendors show a debt as zero, and round to whole numbers.
        remaining = remaining - ROUNDED if remaining else min(level, 0.0)
        if not first:
            if self._last is not None:
                self._learn_drain(level - remaining, spending.at - self._last[1])
            self._learn_margin(spending.before - spending.amount - remaining)
        self._described, self._last = spending.number, (remaining, spending.at)
        level, at = self._last
        for later in self._log:
            level, at = self._after(level, at, later)
        self._bucket.set_level(level, at)
        self._bucket.refill(now)

    def _after(self, level: float, at: float, spending: Spending) -> tuple[float, float]:
        refill = (spending.at - at) * (self._bucket.rate - self._bucket.drain)
        return min(self._bucket.capacity, level + refill) - spending.amount, spending.at

    def _learn_drain(self, missing: float, elapsed: float) -> None:
        """Learn what others take, from what is missing by all that is known now."""
        drain = self._bucket.drain + missing / (elapsed + STEADY)
        self._bucket.drain = min(max(0.0, drain), MOST * self._bucket.rate)

    def _learn_margin(self, missing: float) -> None:
        """Learn how much to leave, from what was missing by what was known then."""
        self._variance += NEWEST * (max(0.0, missing) ** 2 - self._variance)
        self._bucket.margin = CAUTION * math.sqrt(self._variance)
