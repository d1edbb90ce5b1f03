"""A fault's options, and the call it strikes."""

from typing import Any

from attrs import field, frozen

from .errors import ScenarioError
from .exchange import FunctionCall, Query


def _not_negative(_instance: object, attribute: object, value: Any) -> None:
    if value is not None and not 0 <= value < float("inf"):
        name = getattr(attribute, "name", "value")
        raise ScenarioError(f"{name} must be a number from 0 on, not {value!r}")


@frozen(kw_only=True)
class Options:
    """The options of a fault, besides its cause.

    variant: which of a cause's forms; None is the first.
    retry_after: seconds the reply asks the caller to wait.
    after: characters of text that are sent before a break; None is half of them.
    agent: strike only this agent's calls.
    """

    variant: str | None = None
    retry_after: float | None = field(default=None, validator=_not_negative)
    after: int | None = field(default=None, validator=_not_negative)
    agent: str | None = None


@frozen
class Case:
    """A call that fails: what was asked, what would have been answered, and how to fail."""

    query: Query
    text: str
    options: Options
    calls: tuple[FunctionCall, ...] = ()

    @property
    def beginning(self) -> str:
        """The text that is still sent."""
        after = self.options.after
        return self.text[: len(self.text) // 2 if after is None else after]

    def wait(self, default: float) -> float:
        """The seconds to wait that are announced."""
        wait = self.options.retry_after
        return default if wait is None else wait
