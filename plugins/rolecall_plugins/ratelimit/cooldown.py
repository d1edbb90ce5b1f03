"""The pause after a rate limit, and the one call that goes first after it."""

import math
from collections.abc import Callable

from .shared_state import Record, Shelf

FIRST = 1.0  # seconds, where a vendor says that it is too much and not for how long
DOUBLINGS = 10
SOON = 1.0  # seconds in which a refusal is expected, until one was timed


class Pause:
    """Holds a provider's calls up until its word; then one goes first.

    The others follow once it is answered, or not refused within the time that a refusal takes.
    All processes of the user pause; in each of them one call goes first.

    longest: seconds; whoever must not wait longer asks another provider.
    """

    def __init__(self, shelf: Shelf, now: Callable[[], float], longest: float) -> None:
        self._shelf = shelf
        self._now = now
        self._longest = longest
        self._began = -math.inf
        self._told = -math.inf  # until when, by the shelf
        self._until = -math.inf  # and by how long anyone may wait
        self._in_a_row = 0
        self._soon = SOON
        self._probing = False
        self._probe: object = None
        self._probed = math.inf  # when it started

    @property
    def probing(self) -> bool:
        """Tell whether one call goes first."""
        return self._probing

    def wait(self, call: object = None) -> tuple[str, float]:
        """Give the reason and the seconds for which a call has to wait; 0 where it may go."""
        now, record = self._now(), self._shelf.look()
        if record.paused != self._told:
            self._told, self._until = record.paused, min(record.paused, now + self._longest)
            if now < self._until:
                self._probing, self._probe = True, None
        if now < self._until:
            return record.why, self._until - now
        if not self._probing or self._probe in (None, call):
            return "", 0.0
        left = self._probed + 2 * self._soon - now
        if left <= 0:
            self._probing = False
            return "", 0.0
        return "429, one call goes first", left

    def took(self, call: object) -> None:
        """Note that a call is let in."""
        if self._probing and self._probe is None:
            self._probe, self._probed = call, math.inf

    def started(self, call: object) -> None:
        if call is self._probe:
            self._probed = self._now()

    def given_up(self, call: object) -> None:
        if call is self._probe:
            self._probe = None

    def ended(self, call: object) -> None:
        """Note that a call was not refused."""
        self._in_a_row = 0
        if call is self._probe:
            self._probe, self._probing = None, False

    def refused(self, call: object, started: float, retry_after: float | None) -> float:
        """Begin a pause, or prolong it; give its seconds, or 0 where that was known.

        A call that started before the last refusal was heard tells nothing new.
        """
        now = self._now()
        new = started > self._began
        self._soon += 0.25 * (now - started - self._soon)
        if call is self._probe:
            self._probe = None
        if new:
            self._began = now
            self._in_a_row += 1
        elif retry_after is None:
            return 0.0
        doubled = FIRST * 2.0 ** min(self._in_a_row - 1, DOUBLINGS)
        asked = doubled if retry_after is None else retry_after
        seconds = min(asked, self._longest)
        said = f"retry after {seconds:.3g} s" if retry_after is not None else "no word for how long"

        def prolong(record: Record) -> None:
            if now + seconds > record.paused:
                record.paused, record.why = now + seconds, f"429, {said}"

        self._shelf.amend(prolong)
        self._probing, self._probe = True, None
        return seconds if new else 0.0
