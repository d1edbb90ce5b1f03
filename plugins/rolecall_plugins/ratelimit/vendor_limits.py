"""What a vendor allows one model, by the headers and the refusals of its replies."""

from collections.abc import Mapping

from attrs import define, field

from .adaptive_limit import AdaptiveLimit
from .header_tracker import HeaderTracker
from .headers import parse_rate_limit_headers
from .reservation import FAMILIES, Reservation, UsageLimit

GUESSED = ("requests", "tokens")  # what a refusal that names no limit may be about


@define(eq=False)
class VendorReservation:
    """What one call takes from a model's limits; the numbers of tokens are estimates."""

    input_tokens: int
    output_tokens: int
    started: float | None = None
    parts: dict[UsageLimit, Reservation] = field(factory=dict)


class VendorLimits:
    """A model's limits at its vendor.

    Where a vendor's headers state what is left, that is tracked; where it only refuses, its
    limits are learned.
    """

    def __init__(self, now: float) -> None:
        self._trackers: dict[str, HeaderTracker] = {}
        self._adaptive = {family: AdaptiveLimit(now) for family in GUESSED}
        self._active: list[VendorReservation] = []

    def copy(self) -> "tuple[VendorLimits, dict[VendorReservation, VendorReservation]]":
        """Return a copy that may go another way, and the copies of its reservations."""
        copies: dict[UsageLimit, UsageLimit] = {}
        copied = VendorLimits.__new__(VendorLimits)
        copied._trackers = {family: limit.copy() for family, limit in self._trackers.items()}
        copied._adaptive = {family: limit.copy() for family, limit in self._adaptive.items()}
        for (_, limit), (_, copied_limit) in zip(self._limits(), copied._limits(), strict=True):
            copies[limit] = copied_limit
        reservations = {active: _copy(active, copies) for active in self._active}
        copied._active = [*reservations.values()]
        return copied, reservations

    def wait(self, input_tokens: int, output_tokens: int, now: float) -> tuple[str, float]:
        """Return the reason and the seconds for which a call with so many tokens has to wait."""
        reason, longest = "", 0.0
        for family, limit in self._limits():
            wait = limit.wait(sum(FAMILIES[family](input_tokens, output_tokens)), now)
            if wait > longest:
                by = "the vendor's headers" if self._trackers else "what its refusals taught"
                what = f"{family.replace('-', ' ')} per {limit.period}"
                reason, longest = f"{what}, by {by}", wait
        return reason, longest

    def would_hold(self, input_tokens: int, output_tokens: int, now: float) -> bool:
        """Check whether `wait` would be more than 0, and learn nothing from being asked."""
        return any(
            limit.copy().wait(sum(FAMILIES[family](input_tokens, output_tokens)), now) > 0
            for family, limit in self._limits()
        )

    def room(self, now: float) -> float:
        """Return which share of the limits is free; 1 where none is known."""
        return min((limit.room(now) for _, limit in self._limits()), default=1.0)

    def reserve(self, input_tokens: int, output_tokens: int) -> VendorReservation:
        """Reserve a call's share until it starts."""
        reservation = VendorReservation(input_tokens, output_tokens)
        for family, limit in self._limits():
            reservation.parts[limit] = Reservation(
                limit, FAMILIES[family](input_tokens, output_tokens)
            )
        self._active.append(reservation)
        return reservation

    def start(self, reservation: VendorReservation, now: float) -> None:
        reservation.started = now
        for part in reservation.parts.values():
            part.start(now)

    def release(self, reservation: VendorReservation) -> None:
        """Reserve nothing for a call that never started."""
        self._active.remove(reservation)
        for part in reservation.parts.values():
            part.release()

    def settle(
        self,
        reservation: VendorReservation,
        input_tokens: int,
        output_tokens: int,
        headers: Mapping[str, str],
        now: float,
    ) -> None:
        """Correct what an ended call used, and learn from its reply's headers what is left."""
        parsed = parse_rate_limit_headers(headers)
        self._track(parsed.keys() - self._trackers.keys(), now)
        self._active.remove(reservation)
        for family, limit in self._limits():
            reservation.parts[limit].settle(FAMILIES[family](input_tokens, output_tokens), now)
        for family, each in parsed.items():
            spending = reservation.parts[self._trackers[family]].spending
            if spending is not None:
                self._trackers[family].update(spending, each, now)

    def refused(
        self,
        reservation: VendorReservation,
        limits: Mapping[str, float],
        retry_after: float,
        now: float,
    ) -> None:
        """Learn from a refusal, which may have named limits; headers are the better source."""
        if self._trackers:
            return
        for family in limits.keys() & FAMILIES.keys() or GUESSED:
            if family not in self._adaptive:
                self._adaptive[family] = AdaptiveLimit(now)
                self._charge_active(family, self._adaptive[family])
            amount = FAMILIES[family](reservation.input_tokens, reservation.output_tokens)[0]
            self._adaptive[family].refused(amount, limits.get(family), retry_after, now)

    def _limits(self) -> list[tuple[str, UsageLimit]]:
        return [*(self._trackers or self._adaptive).items()]

    def _track(self, families: "set[str]", now: float) -> None:
        for family in sorted(families):
            self._trackers[family] = HeaderTracker(now)
            self._charge_active(family, self._trackers[family])

    def _charge_active(self, family: str, limit: UsageLimit) -> None:
        """Charge the calls under way to a limit that was not known when they started."""
        for active in sorted(self._active, key=lambda active: active.started or 0.0):
            part = Reservation(limit, FAMILIES[family](active.input_tokens, active.output_tokens))
            if active.started is not None:
                part.start(active.started)
            active.parts[limit] = part


def _copy(
    reservation: VendorReservation, limits: Mapping[UsageLimit, UsageLimit]
) -> VendorReservation:
    parts = {
        limits[limit]: part.copy(limits[limit])
        for limit, part in reservation.parts.items()
        if limit in limits
    }
    return VendorReservation(
        reservation.input_tokens, reservation.output_tokens, reservation.started, parts
    )
