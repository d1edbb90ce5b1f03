"""What a vendor allows one model, by what it says and shows."""

from collections.abc import Mapping

from attrs import define, field

from .adaptive_limit import Learned
from .header_tracker import Mirror
from .headers import told
from .reservation import FAMILIES, Charge, Meter

GUESSED = ("requests", "tokens")  # what a refusal without a word may be about


@define(eq=False)
class Drawn:
    """What one call draws from an account; tokens read and written are estimates."""

    read: int
    written: int
    started: float | None = None
    charges: dict[Meter, Charge] = field(factory=dict)


class Account:
    """A model's buckets with its vendor.

    Where a vendor tells what is left, that is mirrored; where it only refuses, its limits are
    learned.
    """

    def __init__(self, now: float) -> None:
        self._mirrors: dict[str, Mirror] = {}
        self._learned = {family: Learned(now) for family in GUESSED}
        self._active: list[Drawn] = []

    def wait(self, read: int, written: int, now: float) -> tuple[str, float]:
        """Give the reason and the seconds for which a call with so many tokens has to wait."""
        reason, longest = "", 0.0
        for family, meter in self._meters():
            wait = meter.wait(sum(FAMILIES[family](read, written)), now)
            if wait > longest:
                by = "the vendor's headers" if self._mirrors else "what its refusals taught"
                what = f"{family.replace('-', ' ')} per {meter.period}"
                reason, longest = f"{what}, by {by}", wait
        return reason, longest

    def draw(self, read: int, written: int) -> Drawn:
        """Keep a call's share until it starts."""
        drawn = Drawn(read, written)
        for family, meter in self._meters():
            drawn.charges[meter] = Charge(meter, FAMILIES[family](read, written))
        self._active.append(drawn)
        return drawn

    def start(self, drawn: Drawn, now: float) -> None:
        drawn.started = now
        for charge in drawn.charges.values():
            charge.start(now)

    def give_back(self, drawn: Drawn) -> None:
        """Keep nothing for a call that never started."""
        self._active.remove(drawn)
        for charge in drawn.charges.values():
            charge.give_back()

    def settle(
        self, drawn: Drawn, read: int, written: int, headers: Mapping[str, str], now: float
    ) -> None:
        """Correct what an ended call drew, and hear what its reply says is left."""
        words = told(headers)
        self._mirror(words.keys() - self._mirrors.keys(), now)
        self._active.remove(drawn)
        for family, meter in self._meters():
            drawn.charges[meter].settle(FAMILIES[family](read, written), now)
        for family, word in words.items():
            spent = drawn.charges[self._mirrors[family]].spent
            if spent is not None:
                self._mirrors[family].hear(spent, word, now)

    def refused(
        self, drawn: Drawn, limits: Mapping[str, float], retry_after: float, now: float
    ) -> None:
        """Learn from a refusal, which may have named limits; a mirror knows them better."""
        if self._mirrors:
            return
        for family in limits.keys() & FAMILIES.keys() or GUESSED:
            if family not in self._learned:
                self._learned[family] = Learned(now)
                self._charge_active(family, self._learned[family])
            amount = FAMILIES[family](drawn.read, drawn.written)[0]
            self._learned[family].refused(amount, limits.get(family), retry_after, now)

    def _meters(self) -> list[tuple[str, Meter]]:
        return [*(self._mirrors or self._learned).items()]

    def _mirror(self, families: "set[str]", now: float) -> None:
        for family in sorted(families):
            self._mirrors[family] = Mirror(now)
            self._charge_active(family, self._mirrors[family])

    def _charge_active(self, family: str, meter: Meter) -> None:
        """Charge the calls that are under way to a bucket that was not known when they started."""
        for drawn in sorted(self._active, key=lambda drawn: drawn.started or 0.0):
            charge = Charge(meter, FAMILIES[family](drawn.read, drawn.written))
            if drawn.started is not None:
                charge.start(drawn.started)
            drawn.charges[meter] = charge
