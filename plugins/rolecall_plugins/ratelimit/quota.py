"""The user's own limits on a provider, per minute and per day, over all the user's processes."""

from collections.abc import Callable

from attrs import define, frozen

from rolecall import ProviderSettings

from .reservation import FAMILIES
from .shared_state import Entry, Record, Shelf
from .token_bucket import DAY, MINUTE

SLOTS = 240  # parts of a period that are told apart; what falls into one counts from its last
LEASE = 600.0  # seconds for which a booking counts whose process may have died
AGAIN = 1.0  # seconds until to ask again, where only other calls' ends can make room


@frozen
class _Limit:
    name: str
    family: str
    most: int
    seconds: float

    def wait(self, record: Record, amount: float, now: float) -> float:
        """Give the seconds until `amount` fits; what is larger than the limit passes alone."""
        used, kept = self._used(record), self._kept(record)
        used[:] = [entry for entry in used if entry[0] + self.seconds > now]
        kept[:] = [entry for entry in kept if entry[0] + LEASE > now]
        room = self.most - min(amount, self.most) - sum(amount for _, amount in kept)
        left = sum(amount for _, amount in used)
        if left <= room:
            return 0.0
        for at, gone in used:
            left -= gone
            if left <= room:
                return at + self.seconds - now
        return AGAIN

    def use(self, record: Record, amount: float, at: float) -> None:
        """Count an amount from a moment on; a negative one takes back what was counted then."""
        used, slot = self._used(record), self.seconds / SLOTS
        for entry in reversed(used):
            if entry[0] // slot == at // slot:
                entry[0], entry[1] = max(entry[0], at), max(0.0, entry[1] + amount)
                return
        if amount > 0:
            used.append([at, amount])
            used.sort()

    def keep(self, record: Record, amount: float, at: float) -> None:
        """Keep an amount for a call that is not over yet."""
        if amount:
            self._kept(record).append([at, amount])

    def free(self, record: Record, amount: float, at: float) -> None:
        """Keep it no more."""
        kept = self._kept(record)
        if [at, amount] in kept:
            kept.remove([at, amount])

    def _used(self, record: Record) -> list[Entry]:
        return record.used.setdefault(self.name, [])

    def _kept(self, record: Record) -> list[Entry]:
        return record.kept.setdefault(self.name, [])


@define(eq=False)
class Booked:
    """What is kept for one call, and since when; tokens read and written are estimates."""

    read: int
    written: int
    at: float


class Quota:
    """Lets at most so many requests and tokens be used within any minute, or any day.

    What keeps to that wherever a minute begins also keeps to the limits of a vendor that counts
    by the calendar, and of one whose buckets refill evenly. A call's place is kept until it
    starts, and what it will write until it ends.
    """

    def __init__(self, limits: ProviderSettings, shelf: Shelf, now: Callable[[], float]) -> None:
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
        self._shelf = shelf
        self._now = now

    def book(self, read: int, written: int) -> "Booked | tuple[str, float]":
        """Book a call, or give the reason and the seconds for which it has to wait."""
        now, reason = self._now(), "other processes"
        if not self._limits:
            return Booked(read, written, now)

        def take(record: Record) -> float:
            nonlocal reason
            longest = 0.0
            for limit in self._limits:
                wait = limit.wait(record, sum(FAMILIES[limit.family](read, written)), now)
                if wait > longest:
                    reason, longest = limit.name, wait
            if not longest:
                for limit in self._limits:
                    limit.keep(record, sum(FAMILIES[limit.family](read, written)), now)
            return longest

        wait = self._shelf.use(take)
        return (reason, wait) if wait else Booked(read, written, now)

    def start(self, booked: Booked) -> None:
        """Let what a booked call reads count from now on."""
        before, now = booked.at, self._now()

        def move(record: Record) -> None:
            for limit in self._limits:
                first, last = FAMILIES[limit.family](booked.read, booked.written)
                limit.free(record, first + last, before)
                limit.use(record, first, now)
                limit.keep(record, last, now)

        booked.at = now
        self._amend(move)

    def settle(self, booked: Booked, read: int, written: int) -> None:
        """Let these be the tokens of a call that ended: those it wrote count from now on."""
        now = self._now()

        def correct(record: Record) -> None:
            for limit in self._limits:
                expected, to_come = FAMILIES[limit.family](booked.read, booked.written)
                first, last = FAMILIES[limit.family](read, written)
                limit.use(record, first - expected, booked.at)
                limit.free(record, to_come, booked.at)
                limit.use(record, last, now)

        self._amend(correct)

    def give_back(self, booked: Booked) -> None:
        """Keep nothing for a call that never started."""

        def free(record: Record) -> None:
            for limit in self._limits:
                amount = sum(FAMILIES[limit.family](booked.read, booked.written))
                limit.free(record, amount, booked.at)

        self._amend(free)

    def _amend(self, change: Callable[[Record], None]) -> None:
        if self._limits:
            self._shelf.amend(change)
