"""What stands between a run and the vendors while nobody is to be called, and nothing billed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import field, frozen

from ..config.settings import PLACEHOLDER

if TYPE_CHECKING:
    from ..types.agents import Agent
    from ..types.limits import Clock, Limiter
    from ..types.messages import Provider
    from ..types.tools import ToolPlayer


def _itself(provider: "Provider") -> "Provider":
    return provider


def _as_it_is(agent: "Agent") -> "Agent":
    return agent


@frozen
class Rehearsal:
    """A run whose calls are simulated or replayed; providers are given `placeholder` for each key.

    settings: settings' values instead of the user's.
    provider: returns what is called instead of a provider; by default the provider itself.
    agent: returns the agent as it was, where a recorded one is replayed.
    limiters: are asked instead of the plugins' own; None asks those.
    tools: answers in place of the plugins' tools and the checks of what agents wrote; None calls
        those tools, and runs the checks.
    clock: passes the time that is waited; None is the system's.
    """

    placeholder: ClassVar[str] = PLACEHOLDER

    settings: Mapping[str, Any] = field(factory=dict)
    provider: "Callable[[Provider], Provider]" = _itself
    agent: "Callable[[Agent], Agent]" = _as_it_is
    limiters: "Sequence[Limiter] | None" = None
    tools: "ToolPlayer | None" = None
    clock: "Clock | None" = None
