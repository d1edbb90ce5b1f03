"""What a run came to."""

from typing import Any

import pytest
from building import call_ended

from rolecall import (
    AgentDone,
    AgentFailed,
    CallEnded,
    Cause,
    DeliverableKept,
    FellBack,
    Ledger,
    Retrying,
    RouteOpened,
    StepReused,
    ToolEnded,
    ToolTotals,
    Totals,
    Usage,
)


def call(agent: str = "a", **more: Any) -> CallEnded:
    return call_ended(agent=agent, **more)


def done(agent: str, route: str, cut: bool = False) -> AgentDone:
    return AgentDone(at=1.0, agent=agent, route=route, file=f"01-{agent}.md", cut=cut)


def heard(*events: Any) -> Ledger:
    ledger = Ledger()
    for event in events:
        ledger.notify(event)
    return ledger


def test_calls_are_summed_by_agent_provider_and_model() -> None:
    ledger = heard(
        call("a", usage=Usage(10, 5), cost=0.25),
        call("a", model="n", usage=Usage(1, 1), cost=0.5),
        call("b", provider="two", cause=Cause.TIMEOUT),
    )
    assert ledger.agents["a"] == Totals(
        calls=2, usage=Usage(11, 6), cost=0.75, took=4.0, waited=1.0
    )
    assert {name: totals.calls for name, totals in ledger.providers.items()} == {"one": 2, "two": 1}
    assert {name: totals.calls for name, totals in ledger.models.items()} == {
        "one/m": 1,
        "one/n": 1,
        "two/m": 1,
    }
    assert (ledger.total.calls, ledger.total.failed, ledger.total.cost) == (3, 1, 0.75)


def test_waiting_for_a_retry_is_waiting_too() -> None:
    ledger = heard(
        call(waited=0.5), Retrying(at=1.0, agent="a", route="one", cause=Cause.TIMEOUT, delay=3.0)
    )
    assert (ledger.total.waited, ledger.agents["a"].waited) == (3.5, 3.5)
    assert ledger.total.held == {"retry": 3.0}


def test_waiting_is_told_apart_by_its_reasons() -> None:
    ledger = heard(call(held=(("pacing", 0.5), ("429", 3.0))), call(held=(("pacing", 0.25),)))
    assert ledger.total.held == {"pacing": 0.75, "429": 3.0}


@pytest.mark.parametrize(
    ("calls", "money"),
    [
        ([], "$0.0000"),
        ([call(usage=Usage(1, 1), cost=0.25)], "$0.2500"),
        ([call(usage=Usage(1, 1))], "unknown"),
        ([call(usage=Usage(1, 1)), call(usage=Usage(1, 1), cost=0.25)], "$0.2500 + unknown"),
        ([call(cause=Cause.CONNECTION)], "$0.0000"),
    ],
)
def test_what_has_no_known_price_is_not_said_to_be_free(calls: list[CallEnded], money: str) -> None:
    assert heard(*calls).total.money == money


def test_the_distribution_counts_who_wrote_the_deliverables() -> None:
    ledger = heard(done("a", "one/m"), done("b", "two/n"), done("c", "one/x"))
    assert dict(ledger.distribution) == {"one": 2, "two": 1}
    assert ledger.answered == {"a": "one/m", "b": "two/n", "c": "one/x"}


def test_an_agent_that_answers_again_is_counted_once() -> None:
    assert dict(heard(done("a", "one/m"), done("a", "two/n")).distribution) == {"two": 1}


def test_what_went_otherwise_than_planned_is_kept() -> None:
    hop = FellBack(at=1.0, agent="a", route="one", to="two", cause=Cause.AUTH)
    outage = RouteOpened(at=1.0, route="one/m", cause=Cause.AUTH, seconds=30.0)
    failure = AgentFailed(at=1.0, agent="b", error="all routes failed")
    ledger = heard(hop, outage, failure, done("d", "one", cut=True))
    assert (ledger.hops, ledger.outages) == ([hop], [outage])
    assert (ledger.failed, ledger.cut) == ({"b": "all routes failed"}, {"d"})


def test_what_was_paid_for_before_is_saved() -> None:
    ledger = heard(
        StepReused(at=1.0, agent="a", step="s", cost=0.25),
        StepReused(at=1.0, agent="a", step="t", cost=0.5),
        StepReused(at=1.0, agent="b", step="u"),
    )
    assert (ledger.reused, ledger.saved) == ({"a", "b"}, 0.75)
    assert ledger.total == Totals()


def test_whose_deliverable_a_person_wrote_is_kept() -> None:
    kept = DeliverableKept(at=1.0, agent="a", file="deliverables/01-a.md")
    assert heard(kept).edited == {"a"}


def tool_ended(agent: str, tool: str, tree: str = "", **more: Any) -> ToolEnded:
    values = {"step": "k", "call": "1", "arguments": {}, "text": "", "is_error": False, "took": 0.5}
    return ToolEnded(at=1.0, agent=agent, tool=tool, tree=tree, **{**values, **more})


def test_tool_calls_are_summed_up_by_tool_and_by_agent() -> None:
    ledger = heard(
        tool_ended("a", "write", "one"),
        tool_ended("a", "read", is_error=True, took=2.0),
        tool_ended("b", "write", "two"),
        tool_ended("b", "run", "two"),  # it left the files as they were
    )
    assert ledger.tools == {
        "write": ToolTotals(calls=2, failed=0, changed=2, took=1.0),
        "read": ToolTotals(calls=1, failed=1, changed=0, took=2.0),
        "run": ToolTotals(calls=1, failed=0, changed=0, took=0.5),
    }
    assert ledger.acting == {
        "a": ToolTotals(calls=2, failed=1, changed=1, took=2.5),
        "b": ToolTotals(calls=2, failed=0, changed=1, took=1.0),
    }


def test_calls_are_summed_by_quota_where_a_provider_has_several() -> None:
    ledger = heard(*(call(quota=quota) for quota in ("one@A", "one@B", "one@A", "")))
    assert {name: totals.calls for name, totals in ledger.quotas.items()} == {
        "one@A": 2,
        "one@B": 1,
    }
