"""What stands between a run and the vendors while nobody is to be called, and nothing billed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import field, frozen

from ..config.settings import PLACEHOLDER

if TYPE_CHECKING:
    from ..types.agents import Agent
    from ..types.limits import Clock, Limiter
    from ..types.messages import Provider
    from ..types.tools import RecordedWork


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
    work: answers tools and checks, which are not carried out then; None lets them be.
    clock: passes the time that is waited; None is the system's.
    """

    placeholder: ClassVar[str] = PLACEHOLDER

    settings: Mapping[str, Any] = field(factory=dict)
    provider: "Callable[[Provider], Provider]" = _itself
    agent: "Callable[[Agent], Agent]" = _as_it_is
    limiters: "Sequence[Limiter] | None" = None
    work: "RecordedWork | None" = None
    clock: "Clock | None" = None
