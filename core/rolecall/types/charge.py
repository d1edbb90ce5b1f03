"""What a call counts as having cost where that is not known for certain: one rule for all."""

from math import inf

from .causes import Cause

# Refused before anything was generated. Where a call failed otherwise, something may have been, and
# may be billed.
UNBILLED = frozenset(
    {
        Cause.RATE_LIMITED,
        Cause.QUOTA_EXHAUSTED,
        Cause.OVERLOADED,
        Cause.SERVER_ERROR,
        Cause.AUTH,
        Cause.MISSING_KEY,
        Cause.FORBIDDEN,
        Cause.UNKNOWN_MODEL,
        Cause.CONTEXT_OVERFLOW,
        Cause.INVALID_REQUEST,
    }
)
# The reply broke off, so that it may have cost more than it had told by then.
BROKEN_OFF = frozenset(
    {
        Cause.TIMEOUT,
        Cause.CONNECTION,
        Cause.BAD_PAYLOAD,
        Cause.PLUGIN_ERROR,
        Cause.SUPERSEDED,
    }
)


def charge(
    cost: float | None, cause: Cause | None, worst: float, *, has_begun: bool = False
) -> float:
    """Return the US dollars that an ended call counts as: never less than it may have cost.

    cost: as far as it is known. worst: the most that the call could cost. has_begun: whether some
    of an answer, or of its tokens, was told before the call failed.
    """
    cost = believable(cost)
    if cause in UNBILLED:
        return max(cost or 0.0, worst) if has_begun else cost or 0.0
    if cost is None:
        return worst
    return max(cost, worst) if cause in BROKEN_OFF else cost


def believable(cost: float | None) -> float | None:
    """Return a cost in US dollars, None where it is none that a call can have."""
    return cost if cost is not None and 0 <= cost < inf else None
