"""What a run came to: calls, tokens, cost and time, by provider and by agent."""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import define, field

from ..types.agents import Route
from ..types.events import (
    AgentDone,
    AgentFailed,
    CallEnded,
    CostsCompared,
    DeliverableKept,
    Event,
    FellBack,
    Rerouted,
    Retrying,
    RouteOpened,
    StepReused,
    ToolEnded,
    WorkspaceVerified,
)
from ..usage import Usage


@define
class Totals:
    """The sums of some calls.

    cost: US dollars of the calls whose price is known; `unpriced` counts the others that are known
    to have used tokens, or gave an answer.
    took, waited: seconds of calling, and of waiting for permits and retries.
    held: the seconds waited, by reason; "retry" is for what was waited between two attempts.
    streamed: calls whose first piece of text was timed; `until_text` sums up those seconds.
    """

    calls: int = 0
    failed: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    unpriced: int = 0
    took: float = 0.0
    waited: float = 0.0
    held: dict[str, float] = field(factory=dict)
    streamed: int = 0
    until_text: float = 0.0

    def add(self, call: CallEnded) -> None:
        self.calls += 1
        self.failed += call.cause is not None
        self.usage += call.usage
        self.took += call.took
        self.waited += call.waited
        for reason, seconds in call.held:
            self.held[reason] = self.held.get(reason, 0.0) + seconds
        if call.first_text is not None:
            self.streamed += 1
            self.until_text += call.first_text
        if call.cost is not None:
            self.cost += call.cost
        elif call.usage != Usage() or call.cause is None:
            self.unpriced += 1

    def wait(self, retry: Retrying) -> None:
        self.waited += retry.delay
        self.held["retry"] = self.held.get("retry", 0.0) + retry.delay

    @property
    def first(self) -> float | None:
        """Return the mean seconds to the first piece of text, None where none was timed."""
        return self.until_text / self.streamed if self.streamed else None

    @property
    def money(self) -> str:
        """Show the cost; what has no known price is said to be unknown, not free."""
        known = f"${self.cost:.4f}"
        if not self.unpriced:
            return known
        return f"{known} + unknown" if self.cost else "unknown"


@define
class ToolTotals:
    """The sums of some tool calls; took: seconds. changed: how many left other files behind."""

    calls: int = 0
    failed: int = 0
    changed: int = 0
    took: float = 0.0

    def add(self, call: ToolEnded, changed: bool) -> None:
        self.calls += 1
        self.failed += call.is_error
        self.changed += changed
        self.took += call.took


@define
class Ledger:
    """Listens to a run and keeps its totals.

    quotas: of providers that have several.
    hops, retries, outages, moves: fallbacks, retries, openings of circuit breakers, and what
    balancing moved, in order.
    answered: agent to the route that gave its last answer; `reused` are those with answers from
    before, `saved` is what these cost then, in US dollars. `edited` are those whose deliverable a
    person wrote. compared: what the calls compare to, once that is told.
    tools, acting: sums of tool calls, by tool and by agent. verified: what was verified, in order.
    """

    total: Totals = field(factory=Totals)
    providers: dict[str, Totals] = field(factory=dict)
    models: dict[str, Totals] = field(factory=dict)
    quotas: dict[str, Totals] = field(factory=dict)
    agents: dict[str, Totals] = field(factory=dict)
    answered: dict[str, str] = field(factory=dict)
    cut: set[str] = field(factory=set)
    reused: set[str] = field(factory=set)
    edited: set[str] = field(factory=set)
    saved: float = 0.0
    compared: CostsCompared | None = None
    failed: dict[str, str] = field(factory=dict)
    hops: list[FellBack] = field(factory=list)
    retries: list[Retrying] = field(factory=list)
    outages: list[RouteOpened] = field(factory=list)
    moves: list[Rerouted] = field(factory=list)
    tools: dict[str, ToolTotals] = field(factory=dict)
    acting: dict[str, ToolTotals] = field(factory=dict)
    verified: list[WorkspaceVerified] = field(factory=list)
    _tree: str = field(default="", init=False)

    def notify(self, event: Event) -> None:
        match event:
            case CallEnded():
                self.total.add(event)
                self.providers.setdefault(event.provider, Totals()).add(event)
                model = str(Route(event.provider, event.model))
                self.models.setdefault(model, Totals()).add(event)
                if event.quota:
                    self.quotas.setdefault(event.quota, Totals()).add(event)
                self.agents.setdefault(event.agent, Totals()).add(event)
            case ToolEnded():
                changed = event.tree not in ("", self._tree)
                self._tree = event.tree or self._tree
                self.tools.setdefault(event.tool, ToolTotals()).add(event, changed)
                self.acting.setdefault(event.agent, ToolTotals()).add(event, changed)
            case WorkspaceVerified():
                self.verified.append(event)
            case Retrying():
                self.retries.append(event)
                self.total.wait(event)
                self.agents.setdefault(event.agent, Totals()).wait(event)
            case FellBack():
                self.hops.append(event)
            case RouteOpened():
                self.outages.append(event)
            case Rerouted():
                self.moves.append(event)
            case StepReused():
                self.reused.add(event.agent)
                self.saved += event.cost or 0.0
            case DeliverableKept():
                self.edited.add(event.agent)
            case CostsCompared():
                self.compared = event
            case AgentFailed():
                self.failed[event.agent] = event.error
            case AgentDone():
                self.answered[event.agent] = event.route
                if event.cut:
                    self.cut.add(event.agent)
            case _:
                pass

    @property
    def distribution(self) -> Mapping[str, int]:
        """Map each provider to the number of agents whose deliverable it wrote."""
        counts: dict[str, int] = {}
        for route in self.answered.values():
            name = route.partition("/")[0]
            counts[name] = counts.get(name, 0) + 1
        return MappingProxyType(counts)
