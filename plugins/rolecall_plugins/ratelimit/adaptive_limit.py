"""A limit that a vendor does not publish, learned from its refusals."""

import math
from collections import deque
from copy import copy

from .token_bucket import MINUTE, Spending, TokenBucket

LESS = 0.9  # of the limit, after a further refusal
MORE = 0.05  # of the limit, in the first minute in which it held calls up and none was refused
STEEPER = 2.0  # for each minute more
FEWEST = 10  # calls; a refusal after fewer is likely due to somebody else's
STEEPEST = 5.0  # minutes after which growth is no faster any more


class AdaptiveLimit:
    """Estimates a limit per minute: what a refusal named, or what passed in the minute before.

    Until the first refusal, everything passes. A further refusal lowers the estimate; while the
    estimate holds calls up and none is refused, it grows, faster and faster.
    """

    def __init__(self, now: float) -> None:
        self._bucket = TokenBucket(now)
        self._recent: deque[Spending] = deque()
        self._first = math.inf
        self._grown = now
        self._growing = 0.0  # seconds
        self._holding = now  # until when it holds a call up

    @property
    def period(self) -> str:
        return "minute"

    def wait(self, amount: float, now: float) -> float:
        if self._bucket.capacity == math.inf:
            return 0.0
        self._grow(now)
        wait = self._bucket.wait(amount, now)
        if wait > 0:
            self._holding = now + min(wait, MINUTE)
        return wait

    def room(self, now: float) -> float:
        return self._bucket.room(now)

    def reserve(self, amount: float) -> None:
        self._bucket.reserve(amount)

    def spend(self, amount: float, now: float) -> Spending:
        while self._recent and self._recent[0].at < now - MINUTE:
            self._recent.popleft()
        self._first = min(self._first, now)
        spending = self._bucket.spend(amount, now)
        self._recent.append(spending)
        return spending

    def copy(self) -> "AdaptiveLimit":
        """Return a copy that may go another way."""
        copied = copy(self)
        copied._bucket, copied._recent = copy(self._bucket), copy(self._recent)
        return copied

    def correct(self, spending: Spending, amount: float, now: float) -> None:
        self._bucket.correct(spending, amount, now)

    def refused(self, amount: float, named: float | None, retry_after: float, now: float) -> None:
        """Learn from the refusal of a call of `amount`.

        named: the limit, where the refusal named it.
        retry_after: seconds after which such a call may pass again.
        """
        known = self._bucket.capacity
        if named is not None and named < known:
            limit = named
        elif known < math.inf:
            limit = LESS * known
        else:
            limit = self._passed_per_minute(now)
            if not limit:
                return
        limit = max(limit, amount, 1.0)
        self._bucket.set_limit(limit, limit / MINUTE)
        self._bucket.set_level(amount - retry_after * self._bucket.rate, now)
        self._grown = now + retry_after
        self._growing = 0.0
        self._holding = now

    def _passed_per_minute(self, now: float) -> float:
        """Return what passes in a minute; 0 where there were too few calls to know."""
        recent = [spending for spending in self._recent if spending.at > now - MINUTE]
        if len(recent) < FEWEST:
            return 0.0
        passed = sum(spending.amount for spending in recent)
        elapsed = now - self._first
        # At first there was what a minute fills, and what came in since.
        return passed if elapsed > MINUTE else passed * MINUTE / (MINUTE + elapsed)

    def _grow(self, now: float) -> None:
        elapsed = min(now, self._holding) - self._grown
        self._grown = max(now, self._grown)
        if elapsed <= 0:
            return
        self._growing += elapsed
        steep = MORE * STEEPER ** min(self._growing / MINUTE, STEEPEST)
        more = self._bucket.capacity * (1 + steep * elapsed / MINUTE)
        self._bucket.refill(now)
        self._bucket.set_limit(more, more / MINUTE)
