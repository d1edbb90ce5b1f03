"""Batches of requests, of any vendor: when they end, and what became of each request."""

import hashlib
import json
from collections.abc import Callable, Sequence
from enum import Enum
from random import Random
from typing import Any

from attrs import define, evolve, field, frozen

from ..exchange import Ending, HttpReply, Incoming
from .options import BatchOptions

DAY = 86_400.0
Answer = Callable[[Incoming], HttpReply]


class Fate(Enum):
    """What became of a request of a batch."""

    PROCESSING = "processing"
    ANSWERED = "answered"
    CANCELED = "canceled"
    EXPIRED = "expired"


@frozen
class BatchItem:
    """A request of a batch; `reply` is what it is answered once the batch has ended.

    label: what the caller wants to know it by: a name, or any JSON.
    """

    label: Any
    reply: HttpReply
    expires: bool = False


@frozen(kw_only=True)
class Batch:
    """A batch; times are Unix seconds. `canceled` is when its caller gave it up, or None.

    lost: whether its submission got no reply. failed: whether it ends as a whole without results.
    """

    id: str
    provider: str
    model: str
    title: str
    items: tuple[BatchItem, ...]
    created: float
    ends: float
    expires: float
    canceled: float | None = None
    lost: bool = False
    failed: bool = False

    def ended(self, now: float) -> float | None:
        """Return when it ended, or None where it goes on."""
        ends = [self.ends, self.expires, *([] if self.canceled is None else [self.canceled])]
        return min(ends) if now >= min(ends) else None

    def has_expired(self, now: float) -> bool:
        """Check whether it ended because its time was over."""
        return self.ended(now) == self.expires < self.ends

    def fates(self, now: float) -> list[Fate]:
        """List what became of the requests, in their order; they are worked on one by one."""
        ended = self.ended(now)
        if ended is None:
            return [Fate.PROCESSING] * len(self.items)
        done = len(self.items)
        if ended < self.ends:
            done = int(done * (ended - self.created) / (self.ends - self.created))
        unfinished = Fate.EXPIRED if self.has_expired(now) else Fate.CANCELED
        return [
            unfinished if place >= done else Fate.EXPIRED if item.expires else Fate.ANSWERED
            for place, item in enumerate(self.items)
        ]


def whole_json(reply: HttpReply) -> dict[str, Any] | None:
    """Return the JSON object that a reply holds; None where it broke off, or is damaged."""
    if reply.status is None or reply.ending is not Ending.DONE:
        return None
    try:
        value = json.loads(reply.body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@define
class BatchStore:
    """All batches of a simulator, in the order of their submission."""

    options: BatchOptions
    seed: int
    clock: Callable[[], float]
    batches: list[Batch] = field(factory=list)

    def submit(
        self,
        provider: str,
        model: str,
        items: Sequence[BatchItem],
        *,
        lifetime: float = DAY,
        title: str = "",
    ) -> Batch:
        """Take a batch; its results are known from now on, and shown once it has ended."""
        number = len(self.batches)
        name = hashlib.sha256(f"{self.seed}/batch {number}".encode()).hexdigest()[:22]
        now = self.clock()
        delay = self.options.delay.sample(Random(f"{self.seed}/batch {number}/delay"))
        batch = Batch(
            id=name,
            provider=provider,
            model=model,
            title=title,
            items=tuple(
                evolve(item, expires=self.options.expires(self.seed, name, place))
                for place, item in enumerate(items)
            ),
            created=now,
            ends=now + delay,
            expires=now + (self.options.lifetime or lifetime),
            lost=number < self.options.lost,
            failed=number < self.options.failed,
        )
        self.batches.append(batch)
        return batch

    def find(self, provider: str, name: str) -> Batch | None:
        return next((batch for batch in self.of(provider) if batch.id == name), None)

    def of(self, provider: str) -> list[Batch]:
        """List a vendor's batches, the newest first."""
        return [batch for batch in reversed(self.batches) if batch.provider == provider]

    def cancel(self, batch: Batch) -> Batch:
        canceled = evolve(batch, canceled=self.clock())
        self.batches[self.batches.index(batch)] = canceled
        return canceled

    def delete(self, batch: Batch) -> None:
        self.batches.remove(batch)
