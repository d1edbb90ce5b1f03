"""What a run's calls came to, over all its processes."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from building import agent, call_ended, call_started, run

from rolecall import Cause, RunError, ToolEnded
from rolecall.storage.call_log import CallLog, Spent, past_calls
from rolecall.storage.records import ProcessRecord, Record
from rolecall.testing import FakeProvider

BEGAN = ProcessRecord(when=1_800_000_000.0, agents=("a", "b"))


def added(*records: Record) -> CallLog:
    """Add records as they come up."""
    log = CallLog()
    for record in records:
        log.add(record)
    return log


def test_calls_are_counted_on_from_the_last_process() -> None:
    assert CallLog().last == 0
    assert CallLog([call_started(1), call_started(2, "other")]).last == 2
    assert added(call_started(3), call_ended(3)).last == 3


def test_calls_that_began_before_a_crash_and_never_ended_are_in_doubt() -> None:
    records = [call_started(1, agent="a"), call_started(2, agent="b"), call_ended(1, agent="a")]
    assert CallLog(records).in_doubt == ["b"]
    assert added(*records).in_doubt == []


def test_calls_of_earlier_processes_count_back_from_now() -> None:
    first = [BEGAN, call_ended(1, at=4.0), call_ended(10, at=5.0)]
    second = [BEGAN, call_ended(2, at=2.0), call_ended(20, at=3.0)]
    past = CallLog([*first, *second]).past
    assert {call.call: call.at for call in past} == {1: -4.0, 10: -3.0, 2: -1.0, 20: 0.0}


def test_tool_calls_of_earlier_processes_count_back_beside_them() -> None:
    values: dict[str, Any] = {"agent": "a", "step": "key", "call": "1", "tool": "lint"}
    values |= {"arguments": {}, "text": "done", "is_error": False, "took": 1.0}
    first = [BEGAN, call_ended(1, at=4.0), ToolEnded(at=6.0, **values)]
    log = CallLog([*first, BEGAN, call_ended(2, at=2.0)])
    assert [call.at for call in log.past] == [-4.0, 0.0]
    assert log.acted == [ToolEnded(at=-2.0, **values)]


def test_calls_of_earlier_processes_are_kept_as_they_were() -> None:
    ends = [
        call_ended(1, agent="a", cost=0.25, held=(("rate limit", 2.5),)),
        call_ended(2, agent="a", cause=Cause.EMPTY),
    ]
    assert CallLog(ends).past == [evolve(end, at=0.0) for end in ends]
    assert added(*ends).past == []


def test_what_each_agent_cost_is_summed_over_all_processes() -> None:
    log = CallLog([call_ended(1, agent="a", cost=0.25)])
    log.add(call_ended(2, agent="a", cost=0.5))
    log.add(call_ended(3, agent="b", cause=Cause.TIMEOUT))
    assert log.spent == {"a": Spent(2, 0.75, 0.75, 0.5), "b": Spent(1, 0.0, 0.0, None)}
    assert (log.total.calls, log.total.cost) == (3, 0.75)


def test_the_largest_budget_that_thinking_used_up_is_known_by_step() -> None:
    log = CallLog(
        call_ended(number, cause=Cause.THINKING_ONLY, max_output_tokens=budget)
        for number, budget in enumerate((100, 200, 150), 1)
    )
    log.add(call_ended(4, "other", cause=Cause.EMPTY, max_output_tokens=999))
    assert (log.exhausted_budget("step"), log.exhausted_budget("other")) == (200, 0)


def test_the_calls_of_a_run_can_be_read_from_its_folder(tmp_path: Path) -> None:
    run(tmp_path, [agent("a")], FakeProvider("one"))
    assert [(call.call, call.agent) for call in past_calls(tmp_path)] == [(1, "a")]


def test_a_folder_without_a_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"journal\.jsonl: is not there"):
        past_calls(tmp_path)


def test_no_record_makes_room_in_a_budget() -> None:
    log = CallLog(
        [call_started(1, worst=-100.0), call_ended(1, cost=0.5), call_started(2, worst=-9)]
    )
    assert log.total.charged == 0.5
