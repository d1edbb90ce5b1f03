"""How long a caller waits for the first byte."""

import math
import re
from random import Random

from attrs import field, frozen

from .errors import ScenarioError, unknown, within

_PARAMETERS = {
    "constant": ("SECONDS",),
    "uniform": ("LOW", "HIGH"),
    "lognormal": ("MEDIAN", "SIGMA"),
}
_RANGE = re.compile(r"(?P<low>[0-9.]+)-(?P<high>[0-9.]+)")


def _known(_instance: object, _attribute: object, distribution: str) -> None:
    if distribution not in _PARAMETERS:
        raise unknown("latency distribution", distribution, _PARAMETERS)


@frozen
class Latency:
    """A distribution of seconds; all of a sample's randomness comes from the caller."""

    distribution: str = field(default="constant", validator=_known)
    parameters: tuple[float, ...] = (0.0,)

    def __attrs_post_init__(self) -> None:
        names = _PARAMETERS[self.distribution]
        if len(self.parameters) != len(names):
            raise ScenarioError(f"{self.distribution} latency needs {','.join(names)}")
        if not all(math.isfinite(value) and value >= 0 for value in self.parameters):
            raise ScenarioError(f"latency {self.parameters} must be finite and not negative")
        if self.distribution == "uniform" and self.parameters[0] > self.parameters[1]:
            raise ScenarioError("uniform latency must go from low to high, as in 0.1-0.5")
        if self.distribution == "lognormal" and self.parameters[0] == 0:
            raise ScenarioError("lognormal latency needs a median above 0")

    @classmethod
    def parse(cls, text: str) -> "Latency":
        """Read "0.2", "0.1-0.5" or "DISTRIBUTION:NUMBER,..." (lognormal: median, sigma)."""
        with within(f"latency {text!r}"):
            distribution, colon, numbers = text.strip().partition(":")
            if colon:
                return cls(distribution, tuple(_number(part) for part in numbers.split(",")))
            if match := _RANGE.fullmatch(distribution):
                return cls("uniform", (_number(match["low"]), _number(match["high"])))
            return cls("constant", (_number(distribution),))

    def sample(self, rng: Random) -> float:
        """Draw one waiting time in seconds."""
        match self.distribution:
            case "uniform":
                return rng.uniform(*self.parameters)
            case "lognormal":
                return rng.lognormvariate(math.log(self.parameters[0]), self.parameters[1])
        return self.parameters[0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ScenarioError(
            f"{text!r} is not a number of seconds; write 0.2, 0.1-0.5 or lognormal:0.8,0.4"
        ) from None
