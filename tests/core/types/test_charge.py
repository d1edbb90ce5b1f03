"""Whatever vendors reply, what is counted never falls below what may have been spent."""

import json
import math
from math import isclose
from pathlib import Path

import pytest
from building import call_ended, call_started
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Cause
from rolecall.execution.budget import Budget
from rolecall.storage.call_log import CallLog
from rolecall.storage.records import ProcessRecord, parse, plain, serialise
from rolecall.types.charge import UNBILLED, charge

COSTS = st.floats(0, 10)
ENDS = st.tuples(st.none() | COSTS, st.none() | st.sampled_from(Cause), COSTS, st.booleans())


def test_a_call_whose_cost_is_known_counts_as_that() -> None:
    assert charge(0.5, None, 2.0) == 0.5
    assert charge(0.5, Cause.EMPTY, 2.0) == 0.5


@pytest.mark.parametrize("cause", [None, Cause.TIMEOUT, Cause.EMPTY, Cause.CONNECTION])
def test_a_call_of_unknown_cost_counts_as_its_most(cause: Cause | None) -> None:
    assert charge(None, cause, 2.0) == 2.0


@pytest.mark.parametrize("cause", [Cause.TIMEOUT, Cause.CONNECTION, Cause.BAD_PAYLOAD])
def test_a_call_that_broke_off_counts_as_its_most_whatever_it_told(cause: Cause) -> None:
    assert charge(0.5, cause, 2.0) == 2.0


@pytest.mark.parametrize("cause", sorted(UNBILLED))
def test_a_call_that_was_refused_costs_what_it_told(cause: Cause) -> None:
    assert charge(None, cause, 2.0) == 0.0


@pytest.mark.parametrize("cause", sorted(UNBILLED))
def test_a_call_that_failed_after_it_had_begun_to_answer_counts_as_its_most(cause: Cause) -> None:
    assert charge(None, cause, 2.0, has_begun=True) == 2.0
    assert charge(0.5, cause, 2.0, has_begun=True) == 2.0


@pytest.mark.parametrize("cost", [-1.0, math.nan, math.inf, -math.inf])
def test_a_cost_that_no_call_can_have_is_none(cost: float) -> None:
    assert charge(cost, None, 2.0) == 2.0
    assert charge(cost, Cause.AUTH, 2.0) == 0.0


@given(st.lists(ENDS, max_size=8), st.sets(st.integers(0, 8)))
def test_live_and_reread_count_the_same_over_any_number_of_processes(
    ends: list[tuple[float | None, Cause | None, float, bool]], restarts: set[int]
) -> None:
    records, expected = [], 0.0
    for number, (cost, cause, worst, has_ended) in enumerate(ends):
        if number in restarts:
            records.append(ProcessRecord(when=0.0, agents=("a",)))
        records.append(call_started(number, worst=worst))
        if has_ended:
            records.append(call_ended(number, cost=cost, cause=cause))
        expected += charge(cost, cause, worst) if has_ended else worst
    through_disk = [
        record
        for each in records
        if (record := parse(json.loads(json.dumps(serialise(each), default=plain))))
    ]
    log = CallLog(through_disk)
    assert isclose(log.total.charged, expected, abs_tol=1e-9)
    assert log.total.charged >= log.total.cost - 1e-9
    later = CallLog()
    for record in records:
        later.add(record)
    assert isclose(later.total.charged, expected, abs_tol=1e-9)


@given(st.lists(ENDS, max_size=8))
def test_a_budget_counts_as_the_journal_does(
    ends: list[tuple[float | None, Cause | None, float, bool]],
) -> None:
    budget, log = Budget(None), CallLog()
    for number, (cost, cause, worst, _) in enumerate(ends):
        log.add(call_started(number, worst=worst))
        budget.reconcile(worst, cost, cause)
        log.add(call_ended(number, cost=cost, cause=cause))
    assert isclose(budget.spent, log.total.charged, abs_tol=1e-9)


def test_a_call_in_doubt_is_told_once(tmp_path: Path) -> None:
    begun = ProcessRecord(when=0.0, agents=("a",))
    first = [begun, call_started(1, agent="a")]
    assert CallLog(first).in_doubt == ["a"]
    second = [*first, begun, call_started(2, agent="b")]
    assert CallLog(second).in_doubt == ["b"]
    assert CallLog([*second, begun]).in_doubt == []
