"""A change to a finished run that its operator asked for."""

from collections.abc import Mapping

from attrs import field, frozen

HEADING = 80  # characters


@frozen
class Update:
    """One change that the operator asked for.

    date: year, month and day. former: agent to its deliverable before the change.
    touched: agent to why its work is touched; None until that is known.
    """

    number: int
    date: str
    change: str
    former: Mapping[str, str] = field(factory=dict)
    touched: Mapping[str, str] | None = None

    @property
    def section(self) -> str:
        """Return the section that the plan gets."""
        first, _, _ = self.change.strip().partition("\n")
        short = first if len(first) <= HEADING else f"{first[: HEADING - 1]}…"
        whole = [] if self.change.strip() == short else [self.change.strip()]
        lines = [f"- {name}: {why or 'touched'}" for name, why in (self.touched or {}).items()]
        who = "\n".join(lines) or "Nobody else's work is touched."
        return "\n\n".join([f"## Change {self.date}: {short}", *whole, who])
