"""What a run is, and what its calls share: values that are handed from floor to floor."""

import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from attrs import Factory, field, frozen

from ..config.settings import Settings
from ..storage.history import Past
from ..types.agents import TeamGraph
from ..types.consent import Consent
from ..types.events import ConsentAsked, Event, Forecast
from ..types.limits import Clock, Limiter, SystemClock
from ..types.messages import Closeable, Provider
from ..types.tools import Sandbox, Tool, ToolPlayer, ToolRecorder
from .pricing import Pricing
from .redaction import Redactor

_log = logging.getLogger("rolecall")


def _ignore(event: Event) -> None:
    pass


# Asks the operator about a call; True stands for `Consent.ONCE`, False for `Consent.REFUSED`.
AskConsent = Callable[[ConsentAsked], Awaitable[Consent | bool]]


@frozen(kw_only=True)
class CallContext:
    """What the calls of a run share, or of something else that makes calls.

    emit: is told every event. pricing: resolves routes, each once. redact: masks secrets.
    calls, spent: the number of the last call that was made before, and US dollars spent until then.
    past: what past runs tell of agents and routes.
    began: when, by the clock; events count from it.
    """

    providers: Mapping[str, Provider]
    limiters: Sequence[Limiter] = ()
    settings: Settings = field(factory=Settings)
    clock: Clock = field(factory=SystemClock)
    emit: Callable[[Event], None] = _ignore
    rng: random.Random = field(factory=random.Random)
    pricing: Pricing = field(
        default=Factory(lambda self: Pricing(self.settings, self.providers), takes_self=True)
    )
    redact: Redactor = field(
        default=Factory(lambda self: Redactor.of(self.settings), takes_self=True), repr=False
    )
    calls: int = 0
    spent: float = 0.0
    past: Past = field(factory=Past)
    began: float = field(default=Factory(lambda self: self.clock.now(), takes_self=True))

    @property
    def at(self) -> float:
        """Return the seconds since it began, as events carry them."""
        return self.clock.now() - self.began


@frozen(kw_only=True)
class RunContext(CallContext):
    """A run of a team on a request, and the plan for it.

    numbers: agent to the number in its file's name, of the whole team, so that a part of the
        team writes the same files.
    left_out: agent to those of its needs that are not part of this run.
    frozen: agents that are not asked; their deliverables stand as their files have them.
    priorities: agent to the seconds of the longest path from it on; the highest goes first.
    tools: what agents may be given, by name. sandbox: where commands run, None where there is none.
    tool_plugins: tool to the plugin that supplied it.
    consent: asks the operator whether a call may change something outside; None where nobody can be
        asked.
    recorder: hears what tools' calls come to. player: answers them in a replay, where no tool is
        called, no command run and nobody asked.
    forecast: what the run is expected to come to.
    when: the wall clock's time, in seconds since 1970.
    """

    team: TeamGraph
    request: str
    numbers: Mapping[str, int]
    priorities: Mapping[str, float]
    left_out: Mapping[str, Sequence[str]] = field(factory=dict)
    frozen: Collection[str] = ()
    tools: Mapping[str, Tool] = field(factory=dict)
    sandbox: Sandbox | None = None
    tool_plugins: Mapping[str, str] = field(factory=dict)
    consent: AskConsent | None = None
    recorder: ToolRecorder | None = None
    player: ToolPlayer | None = None
    forecast: Forecast | None = None
    when: float = 0.0


async def close(providers: Iterable[Provider], redact: Redactor) -> None:
    """Close what providers hold open in this event loop; one that breaks is logged."""
    for provider in providers:
        if isinstance(provider, Closeable):
            try:
                await provider.aclose()
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                _log.warning("the provider %r did not close: %s", provider.name, redact(why))
