"""A limit that a vendor keeps to itself, learned from its refusals."""

import math
from collections import deque

from .token_bucket import MINUTE, Bucket, Spent

LESS = 0.9  # of the limit, after it was refused again
MORE = 0.05  # of the limit, in the first minute in which it held calls up and none was refused
STEEPER = 2.0  # for each minute more
FEWEST = 10  # calls; a refusal after fewer tells of somebody else's
STEEPEST = 5.0  # minutes after which growth is no faster any more


class Learned:
    """Guesses a limit per minute: what passed in the minute before a refusal, or what it said.

    Until there was one, everything passes. A further refusal lowers the guess; while the guess
    holds calls up and none is refused, it grows, faster and faster.
    """

    def __init__(self, now: float) -> None:
        self._bucket = Bucket(now)
        self._recent: deque[Spent] = deque()
        self._first = math.inf
        self._grown = now
        self._growing = 0.0  # seconds
        self._held = now  # until when it holds a call up

    @property
    def period(self) -> str:
        return "minute"

    def wait(self, amount: float, now: float) -> float:
        if self._bucket.capacity == math.inf:
            return 0.0
        self._grow(now)
        wait = self._bucket.wait(amount, now)
        if wait > 0:
            self._held = now + min(wait, MINUTE)
        return wait

    def keep(self, amount: float) -> None:
        self._bucket.keep(amount)

    def spend(self, amount: float, now: float) -> Spent:
        while self._recent and self._recent[0].at < now - MINUTE:
            self._recent.popleft()
        self._first = min(self._first, now)
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
            if not limit:
                return
        limit = max(limit, amount, 1.0)
        self._bucket.limit(limit, limit / MINUTE)
        self._bucket.put(amount - retry_after * self._bucket.rate, now)
        self._grown = now + retry_after
        self._growing = 0.0
        self._held = now

    def _passed(self, now: float) -> float:
        """Give what passes in a minute; 0 where too few did to tell."""
        recent = [spent for spent in self._recent if spent.at > now - MINUTE]
        if len(recent) < FEWEST:
            return 0.0
        passed = sum(spent.amount for spent in recent)
        elapsed = now - self._first
        # At first there was what a minute fills, and what came in since.
        return passed if elapsed > MINUTE else passed * MINUTE / (MINUTE + elapsed)

    def _grow(self, now: float) -> None:
        elapsed = min(now, self._held) - self._grown
        self._grown = max(now, self._grown)
        if elapsed <= 0:
            return
        self._growing += elapsed
        steep = MORE * STEEPER ** min(self._growing / MINUTE, STEEPEST)
        more = self._bucket.capacity * (1 + steep * elapsed / MINUTE)
        self._bucket.refill(now)
        self._bucket.limit(more, more / MINUTE)
