"""A limit that a vendor keeps to itself, learned from its refusals."""

import math
from collections import deque

from ._bucket import MINUTE, Bucket, Spent

LESS = 0.9  # of the limit, after it was refused again
MORE = 0.05  # of the limit, in the first minute in which it held calls up and none was refused
STEEPER = 2.0  # for each minute more
FEWEST = 10  # calls; a refusal after fewer tells of somebody else's


class Learned:
    """Guesses a limit per minute: what passed in the minute before a refusal, or what it said.

    Until there was one, everything passes. A further refusal lowers the guess; while the guess
    holds calls up and none is refused, it grows, faster and faster.
    """

    def __init__(self, now: float) -> None:
        self._bucket = Bucket(now)
        self._recent: deque[Spent] = deque()
        self._grown = now
        self._growing = 0.0  # seconds
        self._holds = False

    def wait(self, amount: float, now: float) -> float:
        if self._bucket.capacity == math.inf:
            return 0.0
        self._grow(now)
        wait = self._bucket.wait(amount, now)
        self._holds = wait > 0
        return wait

    def keep(self, amount: float) -> None:
        self._bucket.keep(amount)

    def spend(self, amount: float, now: float) -> Spent:
        while self._recent and self._recent[0].at < now - MINUTE:
            self._recent.popleft()
        spent = self._bucket.spend(amount, now)
        self._recent.append(spent)
        return spent

    def amend(self, spent: Spent, amount: float, now: float) -> None:
        self._bucket.amend(spent, amount, now)

    def refused(self, amount: float, said: float | None, retry_after: float, now: float) -> None:
        """Learn from a refusal of `amount`, and of what it said of the limit itself.

        After `retry_after` seconds such a call may pass again.
        """
        known = self._bucket.capacity
        if said is not None and said < known:
            limit = said
        elif known < math.inf:
            limit = LESS * known
        else:
            limit = self._passed(now)
            if limit < FEWEST * amount:
                return
        limit = max(limit, amount, 1.0)
        self._bucket.limit(limit, limit / MINUTE)
        self._bucket.put(amount - retry_after * self._bucket.rate, now)
        self._grown = now + retry_after
        self._growing = 0.0
        self._holds = False

    def _passed(self, now: float) -> float:
        """Give what passes in a minute, where a full bucket was there at first."""
        recent = [spent for spent in self._recent if spent.at > now - MINUTE]
        if not recent:
            return 0.0
        elapsed = now - recent[0].at
        at_first = 0.0 if recent[0] is not self._recent[0] else MINUTE
        return sum(spent.amount for spent in recent) * MINUTE / max(elapsed + at_first, 1.0)

    def _grow(self, now: float) -> None:
        if now <= self._grown:
            return
        if self._holds:
            elapsed = now - self._grown
            self._growing += elapsed
            steep = MORE * STEEPER ** (self._growing / MINUTE)
            more = self._bucket.capacity * (1 + steep * elapsed / MINUTE)
            self._bucket.refill(now)
            self._bucket.limit(more, more / MINUTE)
        self._grown = now
