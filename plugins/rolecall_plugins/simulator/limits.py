"""Hold callers to a vendor's rate limits, by token buckets that refill continuously."""

from collections.abc import Callable, Mapping

import attrs
from attrs import field, frozen

from .errors import ScenarioError, unknown

MINUTE = 60.0
DAY = 86400.0

# Announced, as the vendor always announces something, where a scenario sets no limit.
_AMPLE_REQUESTS = 10**7
_AMPLE_TOKENS = 10**10
# Seconds: a caller who waited exactly as told must not fail by a rounding error.
_ROUNDING = 1e-4


def _positive(_instance: object, attribute: "attrs.Attribute[int | None]", value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ScenarioError(f"{attribute.name} must be a whole number above 0, not {value!r}")


@frozen(kw_only=True)
class Limits:
    """The rate limits of one provider; None is no limit."""

    requests_per_minute: int | None = field(default=None, validator=_positive)
    tokens_per_minute: int | None = field(default=None, validator=_positive)
    input_tokens_per_minute: int | None = field(default=None, validator=_positive)
    output_tokens_per_minute: int | None = field(default=None, validator=_positive)
    concurrency: int | None = field(default=None, validator=_positive)
    requests_per_day: int | None = field(default=None, validator=_positive)

    @classmethod
    def parse(cls, table: Mapping[str, object]) -> "Limits":
        """Read a table of limit names and numbers."""
        names = [attribute.name for attribute in attrs.fields(cls)]
        for name in table:
            if name not in names:
                raise unknown("limit", name, names)
        return cls(**table)  # type: ignore[arg-type]  # the validators look at the values


@frozen
class BucketLevel:
    """How full one token bucket is, and in how many seconds it will be full."""

    family: str
    limit: int
    remaining: int
    reset: float


@frozen
class Denial:
    """Which limit refuses a call, and after how many seconds it would not."""

    family: str
    limit: int
    wait: float
    hopeless: bool = False


class QuotaMeter:
    """Count one provider's calls against its limits."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._running = 0
        self._day = -1
        self._today = 0
        now = clock()
        self._buckets = {
            "requests": _TokenBucket(limits.requests_per_minute or _AMPLE_REQUESTS, now),
            "tokens": _TokenBucket(limits.tokens_per_minute or _AMPLE_TOKENS, now),
            "input-tokens": _TokenBucket(limits.input_tokens_per_minute or _AMPLE_TOKENS, now),
            "output-tokens": _TokenBucket(limits.output_tokens_per_minute or _AMPLE_TOKENS, now),
        }

    def enter(self, input_tokens: int) -> Denial | None:
        """Charge a call and count it as running; or charge nothing and return what refuses it."""
        now = self._clock()
        # Output is charged when it is known, so here it only has to be out of debt.
        needs = {"requests": 1, "tokens": input_tokens, "input-tokens": input_tokens}
        denial = (
            self._crowded() or self._spent(now) or self._short(now, needs | {"output-tokens": 1})
        )
        if denial is None:
            self._running += 1
            self._today += 1
            for family, need in needs.items():
                self._buckets[family].level -= need
        return denial

    def leave(self, output_tokens: int) -> None:
        """Charge a call's output and count it as running no more."""
        self._running -= 1
        self._refill(self._clock())
        self._buckets["output-tokens"].level -= output_tokens
        self._buckets["tokens"].level -= output_tokens

    def levels(self) -> tuple[BucketLevel, ...]:
        """Return what is left of every limit per minute."""
        self._refill(self._clock())
        return tuple(
            BucketLevel(
                family, bucket.capacity, max(0, int(bucket.level)), bucket.wait(bucket.capacity)
            )
            for family, bucket in self._buckets.items()
        )

    def _crowded(self) -> Denial | None:
        limit = self._limits.concurrency
        if limit is not None and self._running >= limit:
            return Denial("concurrency", limit, 1.0)
        return None

    def _spent(self, now: float) -> Denial | None:
        day, limit = int(now // DAY), self._limits.requests_per_day
        if day != self._day:
            self._day, self._today = day, 0
        if limit is not None and self._today >= limit:
            return Denial("requests-per-day", limit, DAY - now % DAY)
        return None

    def _short(self, now: float, needs: Mapping[str, int]) -> Denial | None:
        self._refill(now)
        denials = [
            Denial(family, bucket.capacity, wait, hopeless=need > bucket.capacity)
            for family, need in needs.items()
            if (wait := (bucket := self._buckets[family]).wait(need)) > _ROUNDING
        ]
        return max(denials, key=lambda denial: denial.wait, default=None)

    def _refill(self, now: float) -> None:
        for bucket in self._buckets.values():
            bucket.refill(now)


class _TokenBucket:
    """A token bucket: holds a minute's worth and refills evenly; a level below 0 is a debt."""

    def __init__(self, capacity: int, now: float) -> None:
        self.capacity = capacity
        self.level = float(capacity)
        self._at = now

    def refill(self, now: float) -> None:
        gained = max(0.0, now - self._at) * self.capacity / MINUTE
        self.level = min(float(self.capacity), self.level + gained)
        self._at = now

    def wait(self, level: int) -> float:
        return max(0.0, level - self.level) * MINUTE / self.capacity
