"""How batches go: how long they take, what of them expires, and which submissions seem lost."""

from collections.abc import Mapping
from random import Random
from typing import Any

import attrs
from attrs import field, frozen

from ..errors import ScenarioError, unknown, within
from ..latency import Latency


def _share(_instance: object, attribute: "attrs.Attribute[float]", value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        raise ScenarioError(f"{attribute.name} must be a share from 0 to 100, not {value!r}")


def _count(_instance: object, attribute: "attrs.Attribute[int]", value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ScenarioError(f"{attribute.name} must be a whole number from 0 on, not {value!r}")


def _lifetime(_instance: object, attribute: "attrs.Attribute[float | None]", value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise ScenarioError(f"{attribute.name} must be seconds above 0, not {value!r}")


@frozen(kw_only=True)
class BatchOptions:
    """What becomes of batches; single requests fail by the scenario's faults, as calls do.

    delay: seconds from submission to end.
    lifetime: seconds after which a batch that has not ended expires; None is the vendor's own.
    expired: per cent of the requests that expire although their batch does not.
    lost: how many submissions, the first ones, are taken and get no reply.
    failed: how many batches, the first ones, end as failed, where the vendor knows that.
    """

    delay: Latency = field(factory=Latency)
    lifetime: float | None = field(default=None, validator=_lifetime)
    expired: float = field(default=0.0, validator=_share)
    lost: int = field(default=0, validator=_count)
    failed: int = field(default=0, validator=_count)

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> "BatchOptions":
        """Read a table with the names of this class; the delay is a text or a number."""
        names = [attribute.name for attribute in attrs.fields(cls)]
        values = dict(table)
        for name in values:
            if name not in names:
                raise unknown("setting of batches", name, names)
        if "delay" in values:
            with within("delay"):
                values["delay"] = Latency.parse(str(values["delay"]))
        return cls(**values)

    def expires(self, seed: int, batch: str, place: int) -> bool:
        """Draw whether a request of a batch expires; by seed, batch and place in it."""
        rng = Random(f"{seed}/{batch}/{place}/expired")
        return rng.random() * 100 < self.expired
