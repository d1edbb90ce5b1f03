"""The user's own limits on a provider, per minute and per day, over all the user's processes."""

from collections.abc import Callable

from attrs import define, frozen

from rolecall import ProviderLimits

from .reservation import FAMILIES
from .shared_state import Entry, QuotaRecord, SharedState
from .token_bucket import DAY, MINUTE

SLOTS = 240  # parts of a period; all that falls into one counts from its last moment
LEASE = 600.0  # seconds for which a reservation counts whose process may have died
AGAIN = 1.0  # seconds until to ask again, where only other calls' ends can make room


@frozen
class _Limit:
    name: str
    family: str
    most: int
    seconds: float

    def wait(self, record: QuotaRecord, amount: float, now: float) -> float:
        """Return the seconds until `amount` fits; an amount above the limit passes alone."""
        used, reserved = self._used(record), self._reserved(record)
        used[:] = [entry for entry in used if entry[0] + self.seconds > now]
        reserved[:] = [entry for entry in reserved if entry[0] + LEASE > now]
        room = self.most - min(amount, self.most) - sum(amount for _, amount in reserved)
        left = sum(amount for _, amount in used)
        if left <= room:
            return 0.0
        for at, gone in used:
            left -= gone
            if left <= room:
                return at + self.seconds - now
        return AGAIN

    def room(self, record: QuotaRecord, now: float) -> float:
        """Return which share of it is free; the record stays as it is."""
        used, reserved = record.used.get(self.name, ()), record.reserved.get(self.name, ())
        gone = sum(amount for at, amount in used if at + self.seconds > now)
        return 1.0 - (gone + sum(amount for at, amount in reserved if at + LEASE > now)) / self.most

    def use(self, record: QuotaRecord, amount: float, at: float) -> None:
        """Count an amount from a moment on; a negative one takes back what was counted then."""
        used, slot = self._used(record), self.seconds / SLOTS
        for entry in reversed(used):
            if entry[0] // slot == at // slot:
                entry[0], entry[1] = max(entry[0], at), max(0.0, entry[1] + amount)
                return
        if amount > 0:
            used.append([at, amount])
            used.sort()

    def reserve(self, record: QuotaRecord, amount: float, at: float) -> None:
        """Reserve an amount for a call that is not over yet."""
        if amount:
            self._reserved(record).append([at, amount])

    def release(self, record: QuotaRecord, amount: float, at: float) -> None:
        reserved = self._reserved(record)
        if [at, amount] in reserved:
            reserved.remove([at, amount])

    def _used(self, record: QuotaRecord) -> list[Entry]:
        return record.used.setdefault(self.name, [])

    def _reserved(self, record: QuotaRecord) -> list[Entry]:
        return record.reserved.setdefault(self.name, [])


@define(eq=False)
class QuotaReservation:
    """What is reserved for one call, and since when; the numbers of tokens are estimates."""

    input_tokens: int
    output_tokens: int
    at: float


class Quota:
    """Allows at most so many requests and tokens within any minute, or any day.

    What keeps to that wherever a minute begins also keeps to the limits of a vendor that counts
    by the calendar, and of one whose buckets refill evenly. A call's share is reserved until it
    starts, and its output until it ends.
    """

    def __init__(
        self, limits: ProviderLimits, state: SharedState, now: Callable[[], float]
    ) -> None:
        asked = (
            ("requests per minute", "requests", limits.requests_per_minute, MINUTE),
            ("tokens per minute", "tokens", limits.tokens_per_minute, MINUTE),
            ("input tokens per minute", "input-tokens", limits.input_tokens_per_minute, MINUTE),
            ("output tokens per minute", "output-tokens", limits.output_tokens_per_minute, MINUTE),
            ("requests per day", "requests", limits.requests_per_day, DAY),
        )
        self._limits = [
            _Limit(name, family, most, seconds) for name, family, most, seconds in asked if most
        ]
        self._state = state
        self._now = now

    @property
    def has_limits(self) -> bool:
        return bool(self._limits)

    def reserve(
        self, input_tokens: int, output_tokens: int
    ) -> "QuotaReservation | tuple[str, float]":
        """Reserve a call's share, or return the reason and the seconds for which it has to wait."""
        now, reason = self._now(), "other processes"
        if not self._limits:
            return QuotaReservation(input_tokens, output_tokens, now)

        def take(record: QuotaRecord) -> float:
            nonlocal reason
            longest = 0.0
            for limit in self._limits:
                amount = sum(FAMILIES[limit.family](input_tokens, output_tokens))
                wait = limit.wait(record, amount, now)
                if wait > longest:
                    reason, longest = limit.name, wait
            if not longest:
                for limit in self._limits:
                    amount = sum(FAMILIES[limit.family](input_tokens, output_tokens))
                    limit.reserve(record, amount, now)
            return longest

        wait = self._state.use(take)
        return (reason, wait) if wait else QuotaReservation(input_tokens, output_tokens, now)

    def room(self) -> float:
        """Return which share of the limits is free."""
        record, now = self._state.peek(), self._now()
        return min((limit.room(record, now) for limit in self._limits), default=1.0)

    def start(self, reservation: QuotaReservation) -> None:
        """Count a call's input from now on."""
        before, now = reservation.at, self._now()

        def move(record: QuotaRecord) -> None:
            for limit in self._limits:
                first, last = _amounts(limit, reservation)
                limit.release(record, first + last, before)
                limit.use(record, first, now)
                limit.reserve(record, last, now)

        reservation.at = now
        self._amend(move)

    def settle(self, reservation: QuotaReservation, input_tokens: int, output_tokens: int) -> None:
        """Correct the input of a call that ended, and count its output from now on."""
        now = self._now()

        def correct(record: QuotaRecord) -> None:
            for limit in self._limits:
                expected, to_come = _amounts(limit, reservation)
                first, last = FAMILIES[limit.family](input_tokens, output_tokens)
                limit.use(record, first - expected, reservation.at)
                limit.release(record, to_come, reservation.at)
                limit.use(record, last, now)

        self._amend(correct)

    def release(self, reservation: QuotaReservation) -> None:
        """Reserve nothing for a call that never started."""

        def free(record: QuotaRecord) -> None:
            for limit in self._limits:
                limit.release(record, sum(_amounts(limit, reservation)), reservation.at)

        self._amend(free)

    def _amend(self, change: Callable[[QuotaRecord], None]) -> None:
        if self._limits:
            self._state.amend(change)


def _amounts(limit: _Limit, reservation: QuotaReservation) -> tuple[int, int]:
    return FAMILIES[limit.family](reservation.input_tokens, reservation.output_tokens)
