"""What happened, as frozen records; `at` is seconds since the run's start."""

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import field, frozen

from ..usage import Usage
from .agents import Balance
from .causes import Cause
from .consent import Consent
from .messages import Stop
from .parts import Part
from .verification import Check


@frozen(kw_only=True)
class Event:
    """Something that happened in a run."""

    at: float


@frozen
class Forecast:
    """What a run is expected to come to.

    input, output: tokens, read and written. low, cost, most: US dollars, None where a price is
    unknown. known: whether past runs tell; else it is a guess.
    """

    calls: int
    input: int
    output: int
    seconds: float
    low: float | None = None
    cost: float | None = None
    most: float | None = None
    known: bool = False

    @property
    def words(self) -> str:
        """Describe it in one line."""
        money = "at an unknown price"
        if self.cost is not None:
            money = f"${self.cost:.2f}"
            money += "" if self.most is None else f" (at most ${self.most:.2f})"
        read, written = (f"{tokens / 1000:.0f}k" for tokens in (self.input, self.output))
        minutes = f"{self.seconds / 60:.1f} min"
        calls = "call" if self.calls == 1 else "calls"
        return f"{self.calls} {calls}, {read} + {written} tokens, {money}, {minutes}"


@frozen(kw_only=True)
class RunStarted(Event):
    """A run begins or goes on; `folder` is where its files lie, `agents` its team in order.

    first_choices: agent to the provider it runs on first. needs: agent to those whose deliverables
    it gets. when: the wall clock's time, in seconds since 1970.
    past: the ends of the calls that earlier processes of the run made. Their `at` is negative: it
        counts back from now, without the time in which no process worked on the run.
    acted, verified: the ends of their tool calls, and what they verified; `at` as in `past`.
    forecast: what a new run is expected to come to.
    """

    folder: str
    request: str
    agents: tuple[str, ...]
    first_choices: tuple[tuple[str, str], ...]
    needs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    when: float = 0.0
    past: "tuple[CallEnded, ...]" = ()
    acted: "tuple[ToolEnded, ...]" = ()
    verified: "tuple[WorkspaceVerified, ...]" = ()
    forecast: Forecast | None = None


@frozen(kw_only=True)
class AgentStarted(Event):
    """All that the agent needs is there."""

    agent: str


@frozen(kw_only=True)
class CallEvent(Event):
    """Something about one HTTP attempt; `call` counts the run's calls from 1.

    quota: which of the provider's quotas it counts on, where that has several.
    """

    call: int
    agent: str
    provider: str
    model: str
    quota: str = ""


@frozen(kw_only=True)
class CallWaiting(CallEvent):
    """The call asks the limiters for a permit."""


@frozen(kw_only=True)
class CallHeld(CallEvent):
    """A limiter lets the call wait about `seconds`, for a reason in words."""

    reason: str
    seconds: float


@frozen(kw_only=True)
class CallStarted(CallEvent):
    """The call has its permit for `step`; `waited` is the seconds it took to get it.

    worst: the US dollars that it may cost at most, 0 where its price is unknown.
    """

    step: str
    waited: float
    max_output_tokens: int
    worst: float = 0.0


@frozen(kw_only=True)
class CallText(CallEvent):
    """A piece of a streamed answer."""

    delta: str


@frozen(kw_only=True)
class CallEnded(CallEvent):
    """The call is over.

    cause: None where it gave an answer; `detail` says more about it.
    text, stop: what the model wrote, and why it stopped.
    step: the key of the step it is made for.
    waited, took: seconds for the permit, and from permit to end.
    held: the seconds waited by reason, where a limiter gave one.
    first_text: seconds from permit to the first piece of text, where the answer was streamed.
    cost: US dollars, None where the price is unknown.
    parts: the whole turn, where it holds tool calls.
    """

    step: str
    waited: float
    took: float
    max_output_tokens: int
    cause: Cause | None = None
    detail: str = ""
    text: str = ""
    stop: Stop = Stop.END
    first_text: float | None = None
    held: tuple[tuple[str, float], ...] = ()
    usage: Usage = Usage()
    cost: float | None = None
    request_id: str | None = None
    parts: tuple[Part, ...] = ()

    @property
    def has_begun(self) -> bool:
        """Check whether some of an answer, or of its tokens, was told."""
        return self.first_text is not None or self.usage != Usage()


@frozen(kw_only=True)
class RoundStarted(Event):
    """An agent with tools is asked, for the `round`-th time of at most `rounds`.

    They count from 1 again where what a check found went back to the agent.
    """

    agent: str
    round: int
    rounds: int


@frozen(kw_only=True)
class ToolStarted(Event):
    """A tool call is about to be made.

    step: the key of the step whose answer wanted it. call: its id within that answer.
    """

    agent: str
    step: str
    call: str
    tool: str
    arguments: Mapping[str, Any]


@frozen(kw_only=True)
class ToolEnded(Event):
    """A tool call is over; the model is told `text`.

    took: seconds. tree: the state of the workspace after it, where it may have changed it.
    """

    agent: str
    step: str
    call: str
    tool: str
    arguments: Mapping[str, Any]
    text: str
    is_error: bool
    took: float
    tree: str = ""


@frozen(kw_only=True)
class ConsentAsked(Event):
    """The operator is asked whether a call may change something outside of the workspace.

    step, call: as in `ToolStarted`. plugin: which one supplied the tool.
    """

    agent: str
    step: str
    call: str
    tool: str
    plugin: str
    arguments: Mapping[str, Any]


@frozen(kw_only=True)
class ConsentDecided(Event):
    """The operator answered; what is refused is told to the model, which goes on."""

    agent: str
    step: str
    call: str
    tool: str
    consent: Consent


@frozen(kw_only=True)
class CheckStarted(Event):
    """rolecall runs a check on a fresh copy of what the agent left in the workspace.

    number: which of the `checks` it is, from 1.
    """

    agent: str
    command: str
    number: int
    checks: int


@frozen(kw_only=True)
class RepairStarted(Event):
    """The agent's work goes back to it, for the `repair`-th time of at most `repairs`.

    Checks of it failed, or nobody named any.
    """

    agent: str
    repair: int
    repairs: int


@frozen(kw_only=True)
class WorkspaceVerified(Event):
    """rolecall ran checks on a fresh copy of the workspace, in a sandbox.

    agent: who left it so. tree: the state that was checked. when: seconds since 1970.
    replayed: whether this is what was recorded of another run, and nothing was run now.
    """

    agent: str
    tree: str
    sandbox: str
    when: float
    checks: tuple[Check, ...]
    replayed: bool = False

    @property
    def has_passed(self) -> bool:
        return all(check.has_passed for check in self.checks)


@frozen(kw_only=True)
class Retrying(Event):
    """The same route is asked again, `delay` seconds from now."""

    agent: str
    route: str
    cause: Cause
    delay: float


@frozen(kw_only=True)
class FellBack(Event):
    """The agent leaves a route; `to` is the next one.

    asked: False where the route's circuit breaker was open and it was not even asked.
    """

    agent: str
    route: str
    to: str
    cause: Cause
    asked: bool = True


@frozen(kw_only=True)
class Hedged(Event):
    """A route has not begun to answer `after` seconds, so that `to` is asked as well."""

    agent: str
    route: str
    to: str
    after: float


@frozen(kw_only=True)
class Rerouted(Event):
    """Balancing asks `to`, although the agent's next route in order, `route`, can be called.

    wait: seconds for which that would let the call wait for its permit; None is for ever.
    takes: seconds in which the answer of `to` is expected.
    saves: US dollars, None where a price is unknown.
    """

    agent: str
    route: str
    to: str
    balance: Balance
    wait: float | None
    takes: float
    saves: float | None = None

    @property
    def why(self) -> str:
        """Describe the reason in a few words."""
        match self.balance:
            case Balance.CHEAPEST:
                return f"cheapest, by ${self.saves:.4f}" if self.saves else "cheapest"
            case _:
                wait = "for ever" if self.wait is None else f"{self.wait:.1f} s"
                return f"{self.balance}, answer in {self.takes:.1f} s, the other waits {wait}"


@frozen(kw_only=True)
class RouteOpened(Event):
    """The route's circuit breaker opens: it is not asked for `seconds`, then probed."""

    route: str
    cause: Cause
    seconds: float


@frozen(kw_only=True)
class RouteProbed(Event):
    """The route is asked once although it is open: to probe it, or as an agent's last one."""

    route: str
    agent: str


@frozen(kw_only=True)
class RouteClosed(Event):
    """The route answers again."""

    route: str


@frozen(kw_only=True)
class DeploymentClosed(Event):
    """A key of the provider was refused: it is not sent any more, and the others are."""

    provider: str
    deployment: str
    cause: Cause


@frozen(kw_only=True)
class StepReused(Event):
    """The step was answered before and is not asked again.

    cost: what that saves, in US dollars, if it is known. source: the other run that paid, if any.
    """

    agent: str
    step: str
    cost: float | None = None
    source: str = ""


@frozen(kw_only=True)
class DeliverableKept(Event):
    """The agent is not asked: its deliverable stands as its file has it, edited or frozen."""

    agent: str
    file: str


@frozen(kw_only=True)
class AgentDone(Event):
    """The deliverable is there; `cut` where it stayed cut off by the output limit."""

    agent: str
    route: str
    file: str
    cut: bool = False


@frozen(kw_only=True)
class AgentFailed(Event):
    """The agent got no answer; `by_budget` where the run's budget did not suffice for it."""

    agent: str
    error: str
    by_budget: bool = False


@frozen(kw_only=True)
class AgentBlocked(Event):
    """The agent cannot run because `by` failed."""

    agent: str
    by: str


@frozen(kw_only=True)
class WorkTouched(Event):
    """It is known whose work a change touches, and why; `revise` names all who work again."""

    touched: tuple[tuple[str, str], ...]
    revise: tuple[str, ...]


@frozen(kw_only=True)
class WorkspaceChange:
    """What an agent changed in the workspace at a stretch, without another one in between.

    files: path and `A` where it is new, `M` where it is changed, `D` where it is gone.
    patch: the changes as git writes them, without secrets; `cut` where it is not whole.
    """

    agent: str
    files: tuple[tuple[str, str], ...]
    patch: str = field(repr=False)
    cut: bool = False


@frozen(kw_only=True)
class WorkspaceLeft(Event):
    """What the run's agents left in the workspace, in all its processes; told before its end.

    files: all paths, sorted. changes: who changed what, in order.
    """

    files: tuple[str, ...]
    changes: tuple[WorkspaceChange, ...]


@frozen(kw_only=True)
class CostsCompared(Event):
    """What the run's calls compare to; told right before its end.

    elsewhere: route to what all its calls would have cost there, by their tokens and its price.
    cached: what the vendors' prompt caches saved; negative where too little was read again.
    All in US dollars, None where a price is unknown. calls: how many, those of past processes too.
    """

    elsewhere: tuple[tuple[str, float | None], ...]
    cached: float | None
    calls: int = 0


@frozen(kw_only=True)
class RunEnded(Event):
    """Nothing is left to do; `interrupted` where a person or a budget ended it."""

    done: int
    failed: int
    blocked: int
    interrupted: bool = False


class Observer(Protocol):
    """Hears every event of a run, in order; one that raises is dropped."""

    def notify(self, event: Event) -> None: ...
