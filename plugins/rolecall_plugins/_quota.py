"""The user's own limits on a provider, per minute and per day, over all the user's processes."""

from collections.abc import Callable

from attrs import define, frozen

from rolecall import ProviderSettings

from ._bucket import DAY, MINUTE
from ._charge import FAMILIES
from ._shelf import Entry, Record, Shelf

SLOTS = 240  # parts of a period that are told apart; what falls into one counts from its last


@frozen
class _Limit:
    name: str
    family: str
    most: int
    seconds: float

    def wait(self, used: list[Entry], amount: float, now: float) -> float:
        """Give the seconds until `amount` fits; what is larger than the limit passes alone."""
        while used and used[0][0] + self.seconds <= now:
            used.pop(0)
        room = self.most - min(amount, self.most)
        left = sum(amount for _, amount in used)
        if left <= room:
            return 0.0
        for at, gone in used:
            left -= gone
            if left <= room:
                return at + self.seconds - now
        return self.seconds

    def add(self, used: list[Entry], amount: float, at: float) -> None:
        slot = self.seconds / SLOTS
        for entry in reversed(used):
            if entry[0] >= at - slot:
                entry[0], entry[1] = max(entry[0], at), entry[1] + amount
                return
            if entry[0] < at:
                break
        used.append([at, amount])
        used.sort()


@define(eq=False)
class Booked:
    """What is booked for one call, and when; tokens read and written are estimates at first."""

    read: int
    written: int
    at: float


class Quota:
    """Lets at most so many requests and tokens be used within any minute, or any day.

    What keeps to that wherever a minute begins also keeps to the limits of a vendor that counts
    by the calendar, and of one whose buckets refill evenly.
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
        if not self._limits:
            return Booked(read, written, self._now())
        now, reason = self._now(), "other processes"

        def take(record: Record) -> float:
            nonlocal reason
            longest = 0.0
            for limit in self._limits:
                used = record.used.setdefault(limit.name, [])
                wait = limit.wait(used, sum(FAMILIES[limit.family](read, written)), now)
                if wait > longest:
                    reason, longest = limit.name, wait
            if not longest:
                self._add(record, sum, read, written, now, 1)
            return longest

        wait = self._shelf.use(take)
        return (reason, wait) if wait else Booked(read, written, now)

    def start(self, booked: Booked) -> None:
        """Let a booked call count from now on."""
        now = self._now()

        def move(record: Record, at: float = booked.at) -> None:
            self._add(record, sum, booked.read, booked.written, at, -1)
            self._add(record, sum, booked.read, booked.written, now, 1)

        if self._limits and now > booked.at:
            self._shelf.amend(move)
            booked.at = now

    def settle(self, booked: Booked, read: int, written: int) -> None:
        """Let these be the tokens of a call that ended: those it wrote count from now on."""
        now = self._now()

        def correct(record: Record) -> None:
            self._add(record, sum, booked.read, booked.written, booked.at, -1)
            self._add(record, lambda amounts: amounts[0], read, written, booked.at, 1)
            self._add(record, lambda amounts: amounts[1], read, written, now, 1)

        if self._limits:
            self._shelf.amend(correct)

    def give_back(self, booked: Booked) -> None:
        """Let a call that never started count for nothing."""
        if self._limits:
            self._shelf.amend(
                lambda record: self._add(record, sum, booked.read, booked.written, booked.at, -1)
            )

    def _add(
        self,
        record: Record,
        part: "Callable[[tuple[int, int]], int]",
        read: int,
        written: int,
        at: float,
        sign: int,
    ) -> None:
        for limit in self._limits:
            amount = sign * part(FAMILIES[limit.family](read, written))
            if amount:
                limit.add(record.used.setdefault(limit.name, []), amount, at)
