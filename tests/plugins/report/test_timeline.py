"""The calls of a run on a line of time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import check, ended, tool_ended, verified

from rolecall import CallEnded, Cause
from rolecall_plugins.report.record import CallRecord, ToolRecord, VerificationRecord
from rolecall_plugins.report.timeline import BARS, TICKS, draw_acts, draw_calls, draw_ticks


def spans(event: CallEnded, seconds: float = 10.0) -> list[tuple[str, float, float]]:
    ((bar,),) = draw_calls([CallRecord.of(event, 0.0)], seconds).values()
    return [(span.stage, span.left, span.width) for span in bar.spans]


def words(event: CallEnded) -> str:
    ((bar,),) = draw_calls([CallRecord.of(event, 0.0)], 10.0).values()
    return bar.words


def test_a_call_waits_is_sent_and_answers() -> None:
    event = ended("architect", at=4.0, first_text=0.4)
    assert spans(event) == [("waiting", 25, 5), ("sent", 30, 4), ("answering", 34, 6)]
    assert words(event) == (
        "architect on claude/m: waited 0.5 s, first text after 0.4 s, 50 tokens, 3.0 s to 4.0 s"
    )


def test_a_call_without_streaming_only_answers() -> None:
    event = ended("architect", at=4.0, waited=0.0)
    assert spans(event) == [("answering", 30, 10)]
    assert words(event) == "architect on claude/m: 50 tokens, 3.0 s to 4.0 s"


def test_a_call_that_failed_shows_its_cause() -> None:
    event = ended("architect", at=4.0, cause=Cause.SAFETY, first_text=0.4)
    assert [stage for stage, *_ in spans(event)] == ["waiting", "failed"]
    assert "failed: safety" in words(event)


def test_a_call_is_never_too_short_to_be_seen() -> None:
    assert all(width > 0.1 for *_, width in spans(ended("architect", at=4.0), seconds=1e6))


@given(st.floats(0.001, 1e6))
def test_ticks_are_few_round_and_evenly_spaced(seconds: float) -> None:
    ticks = draw_ticks(seconds)
    assert 1 < len(ticks) <= TICKS + 1
    assert (ticks[0].left, ticks[0].label) == (0, "0")
    assert len({tick.label for tick in ticks}) == len(ticks)
    gaps = [after.left - before.left for before, after in pairwise(ticks)]
    assert max(gaps) - min(gaps) < 0.01
    assert ticks[-1].left < 100


@pytest.mark.parametrize(
    ("seconds", "label"), [(4.0, "0.5 s"), (60.0, "10 s"), (600.0, "1 min"), (36000.0, "1 h")]
)
def test_a_tick_is_labelled_in_the_unit_of_its_line(seconds: float, label: str) -> None:
    assert draw_ticks(seconds)[1].label == label


# What agents did.


def test_the_tool_calls_of_a_round_are_one_bar_and_checks_another() -> None:
    calls = [
        tool_record("writer", 2.0, step="one"),
        tool_record("writer", 3.0, step="one"),
        tool_record("writer", 5.0, "workspace.read", step="two"),
    ]
    checks = VerificationRecord(verified("writer", 6.0, "t", check()), 5.5, 6.0)
    first, second, third = draw_acts(calls, [checks], 10.0)["writer"]
    assert first.words == "writer calls 2 × workspace.write, 1.5 s to 3.0 s"
    assert [(span.stage, span.left, span.width) for span in first.spans] == [("acting", 15, 15)]
    assert second.words == "writer calls workspace.read, 4.5 s to 5.0 s"
    assert [(span.stage, span.left, span.width) for span in third.spans] == [("checking", 55, 5)]


def test_more_than_can_be_seen_is_drawn_in_one_bar() -> None:
    many = [ended("writer", at=float(number)) for number in range(2, BARS + 12)]
    bars = draw_calls([CallRecord.of(event, 0.0) for event in many], 4000.0)["writer"]
    assert len(bars) == BARS + 1
    assert bars[0].words == "writer: 10 calls, 0.5 s to 11.0 s"
    tools = [tool_record("writer", 1.0 + number, step=str(number)) for number in range(BARS + 1)]
    (bar,) = draw_acts(tools, [], 4000.0)["writer"]
    assert f"{BARS + 1} × workspace.write" in bar.words


def tool_record(agent: str, at: float, tool: str = "workspace.write", **more: str) -> ToolRecord:
    return ToolRecord(tool_ended(agent, at, tool, **more), at - 0.5, at, changed=False)
