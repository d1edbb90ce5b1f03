"""Which calls fail: a fault as it is written, and the choice of the one that strikes."""

from collections.abc import Sequence
from random import Random

import attrs
from attrs import field, frozen

from .cases import Options
from .errors import ScenarioError, unknown, within
from .faults import CAUSES, PROVIDERS, options, variants

_FORM = "PROVIDER[/MODEL]:CAUSE[:COUNT|PERCENT%][@OPTION=VALUE,...]"
_READ = {"retry_after": float, "after": int, "variant": str, "agent": str}


@frozen(kw_only=True)
class Fault:
    """Calls that fail: the first `count` of a kind, a seeded `percent` of them, or all.

    provider: a provider's name, or "*" for all; model and options.agent narrow it down.
    """

    provider: str
    cause: str
    model: str | None = None
    count: int | None = None
    percent: float | None = None
    options: Options = field(factory=Options)

    def __attrs_post_init__(self) -> None:
        if self.provider not in (*PROVIDERS, "*"):
            raise unknown("provider", self.provider, (*PROVIDERS, "*"))
        if self.cause not in CAUSES:
            raise unknown("cause", self.cause, CAUSES)
        if self.count is not None and self.count < 1:
            raise ScenarioError(f"the count must be at least 1, not {self.count}")
        if self.percent is not None and not 0 <= self.percent <= 100:
            raise ScenarioError(f"the share must be from 0% to 100%, not {self.percent:g}%")
        variant, valid = self.options.variant, variants(self.provider, self.cause)
        if variant is not None and variant not in valid:
            raise unknown(f"variant of {self.provider}:{self.cause}", variant, valid)
        for name, value in attrs.asdict(self.options).items():
            if value is not None and name not in options(self.cause):
                raise unknown(f"option of {self.cause}", name, options(self.cause))

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read PROVIDER[/MODEL]:CAUSE[:COUNT|PERCENT%][@OPTION=VALUE,...]."""
        with within(f"fault {text!r}"):
            what, at, option_text = text.strip().partition("@")
            where, *rest = what.split(":")
            if len(rest) not in (1, 2):
                raise ScenarioError(f"it must have the form {_FORM}")
            provider, slash, model = where.partition("/")
            if slash and not model:
                raise ScenarioError("a model must follow the '/'")
            count, percent = _frequency(rest[1]) if len(rest) == 2 else (None, None)
            return cls(
                provider=provider,
                cause=rest[0],
                model=model or None,
                count=count,
                percent=percent,
                options=_options(option_text) if at else Options(),
            )

    def strikes(self, provider: str, model: str, agent: str | None) -> bool:
        """Check whether a call is of the kind that fails."""
        return (
            self.provider in (provider, "*")
            and self.model in (model, None)
            and self.options.agent in (agent, None)
        )


class Injector:
    """Choose the fault that strikes a call: the first listed that is not used up."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = faults
        self._seed = seed
        self._struck = [0] * len(faults)

    def choose(self, provider: str, ordinal: int, model: str, agent: str | None) -> Fault | None:
        """Choose for a provider's ordinal-th arrival; shares are drawn from seed and ordinal."""
        for index, fault in enumerate(self._faults):
            if fault.strikes(provider, model, agent) and self._is_due(index, provider, ordinal):
                self._struck[index] += 1
                return fault
        return None

    def _is_due(self, index: int, provider: str, ordinal: int) -> bool:
        fault = self._faults[index]
        if fault.percent is not None:
            rng = Random(f"{self._seed}/{provider}/{ordinal}/fault {index}")
            return rng.random() * 100 < fault.percent
        return fault.count is None or self._struck[index] < fault.count


def _frequency(text: str) -> tuple[int | None, float | None]:
    try:
        return (None, float(text[:-1])) if text.endswith("%") else (int(text), None)
    except ValueError:
        raise ScenarioError(f"{text!r} is neither a count as in 2 nor a share as in 30%") from None


def _options(text: str) -> Options:
    values: dict[str, object] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if name not in _READ:
            raise unknown("option", name, _READ)
        if not equals or not value:
            raise ScenarioError(f"option {name!r} needs a value, as in {name}=VALUE")
        if name in values:
            raise ScenarioError(f"option {name!r} is given twice")
        try:
            values[name] = _READ[name](value)
        except ValueError:
            raise ScenarioError(f"option {name!r} needs a number, not {value!r}") from None
    return Options(**values)  # type: ignore[arg-type]  # _READ gives each its type
