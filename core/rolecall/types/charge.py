"""What a call counts as having cost where that is not known for certain: one rule for all."""

from .causes import Cause

# Where a call failed otherwise, something may have been generated, and billed.
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


def charge(cost: float | None, cause: Cause | None, worst: float) -> float:
    """Return the US dollars that an ended call counts as: never less than it may have cost.

    cost: as far as it is known. worst: the most that the call could cost.
    """
    if cause in UNBILLED:
        return cost or 0.0
    if cost is None:
        return worst
    return max(cost, worst) if cause in BROKEN_OFF else cost
