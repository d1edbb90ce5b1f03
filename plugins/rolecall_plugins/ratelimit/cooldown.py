"""The cooldown after a rate limit, and the half-open probe that ends it."""

import math
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from .shared_state import Cooling, QuotaRecord, SharedState
from .token_bucket import DAY

FIRST = 1.0  # seconds, where a vendor does not name any
DOUBLINGS = 10
SOON = 1.0  # seconds in which a refusal is expected, until one was timed


class Cooldown:
    """Holds a model's calls until the moment that its vendor named; then one probes.

    The others follow once the probe is answered, or not refused within the time that a refusal
    takes. All processes of the user cool down; in each of them one call probes.

    longest: seconds; whoever must not wait longer asks another provider.
    """

    def __init__(
        self, model: str, state: SharedState, now: Callable[[], float], longest: float
    ) -> None:
        self._model = model
        self._state = state
        self._now = now
        self._longest = longest
        self._began = -math.inf
        self._shared: Cooling | None = None
        self._until = -math.inf  # as shared, but for no longer than anyone may wait
        self._in_a_row = 0
        self._soon = SOON
        self._half_open = False
        self._probe: object = None
        self._probe_started = math.inf

    @property
    def half_open(self) -> bool:
        """Check whether one call probes while the others wait for it."""
        return self._half_open

    def copy(
        self, state: SharedState, now: Callable[[], float], calls: Mapping[Any, object]
    ) -> "Cooldown":
        """Return a copy with a state and a clock of its own; the probe is one of other calls."""
        copied = copy(self)
        copied._state, copied._now = state, now
        copied._probe = calls.get(self._probe)
        return copied

    def wait(self, call: object = None) -> tuple[str, float]:
        """Return the reason and the seconds for which a call has to wait; 0 where it may go."""
        now, shared = self._now(), self._state.peek().cooldowns.get(self._model)
        if shared is not None and shared != self._shared:
            self._until = min(shared.until, now + self._longest)
            if now < self._until:
                self._half_open, self._probe = True, None
        self._shared = shared or self._shared
        if now < self._until and self._shared is not None:
            return _reason(self._shared), self._until - now
        if not self._half_open or self._probe in (None, call):
            return "", 0.0
        left = self._probe_started + 2 * self._soon - now
        if left <= 0:
            self._half_open = False
            return "", 0.0
        return "429, one call goes first", left

    def admitted(self, call: object) -> None:
        """Note that a call is let in: the first one after a cooldown probes."""
        if self._half_open and self._probe is None:
            self._probe, self._probe_started = call, math.inf

    def started(self, call: object) -> None:
        if call is self._probe:
            self._probe_started = self._now()

    def cancelled(self, call: object) -> None:
        """Note that a call ended without an answer: another one has to probe."""
        if call is self._probe:
            self._probe = None

    def answered(self, call: object) -> None:
        """Note that a call was not refused."""
        self._in_a_row = 0
        if call is self._probe:
            self._probe, self._half_open = None, False

    def refused(self, call: object, started: float, retry_after: float | None) -> float:
        """Begin or prolong a cooldown; return its seconds, or 0 where it was known already.

        A call that started before the last refusal arrived says nothing new.
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
        seconds = min(doubled if retry_after is None else retry_after, self._longest, DAY)
        cooling = Cooling(now + seconds, None if retry_after is None else seconds)

        def prolong(record: QuotaRecord) -> None:
            known = record.cooldowns.get(self._model)
            if known is None or known.until < cooling.until:
                record.cooldowns[self._model] = cooling

        self._state.amend(prolong)
        self._half_open, self._probe = True, None
        return seconds if new else 0.0


def _reason(cooling: Cooling) -> str:
    named = cooling.retry_after
    if named is None:
        return "429, for an unknown time"
    return f"429, retry after {named:.3g} s" if named < 100 else f"429, retry after {named:.0f} s"
