"""What past runs took: by agent, learned from the states that they left."""

from collections.abc import Iterable, Mapping
from statistics import fmean

from attrs import define

from ..types.events import CallEnded

USUAL = 30.0  # seconds of an agent of which nothing is known


@define
class AgentHistory:
    """What an agent's calls came to in one run, or on average in many.

    seconds: of calling, without what was waited for permits. cost: US dollars, None where a price
    is unknown.
    """

    seconds: float = 0.0
    calls: float = 0.0
    input: float = 0.0
    output: float = 0.0
    cost: float | None = 0.0

    def add(self, call: CallEnded) -> None:
        self.seconds += call.took
        self.calls += 1
        self.input += call.usage.input
        self.output += call.usage.output
        if call.cost is None:
            self.cost = None if call.usage.output else self.cost
        elif self.cost is not None:
            self.cost += call.cost


def average(runs: Iterable[Mapping[str, AgentHistory]]) -> dict[str, AgentHistory]:
    """Average each agent's figures over the runs in which it was called."""
    found: dict[str, list[AgentHistory]] = {}
    for run in runs:
        for agent, figures in run.items():
            found.setdefault(agent, []).append(figures)
    return {agent: _mean(each) for agent, each in found.items()}


def expected(agents: Iterable[str], seconds: Mapping[str, float]) -> dict[str, float]:
    """Say what each agent will take: what is known of it, else the mean of what is known."""
    usual = fmean(seconds.values()) if seconds else USUAL
    return {name: seconds.get(name, usual) for name in agents}


def _mean(figures: list[AgentHistory]) -> AgentHistory:
    costs = [each.cost for each in figures if each.cost is not None]
    return AgentHistory(
        seconds=fmean(each.seconds for each in figures),
        calls=fmean(each.calls for each in figures),
        input=fmean(each.input for each in figures),
        output=fmean(each.output for each in figures),
        cost=fmean(costs) if costs else None,
    )
