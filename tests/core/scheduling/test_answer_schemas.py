"""Deliverables that must fit a JSON Schema: mended, asked for elsewhere, and never paid twice."""

from pathlib import Path
from typing import Any

import pytest
from building import agent, run

from rolecall import (
    Balance,
    CallEnded,
    Cause,
    FellBack,
    Message,
    Price,
    Settings,
    StepReused,
)
from rolecall.testing import FakeProvider

SCHEMA = {
    "type": "object",
    "properties": {"risks": {"type": "array", "items": {"type": "string"}}},
    "required": ["risks"],
}
GOOD = '{"risks": ["fire"]}'
BAD = '{"risks": "fire"}'
SETTINGS = Settings(repairs=1)


def team(**more: Any) -> list[Any]:
    return [agent("writer", routes=("one", "two"), schema=SCHEMA, **more)]


def deliverable(folder: Path) -> str:
    return (folder / "deliverables" / "01-writer.md").read_text("utf-8").strip()


def test_the_schema_is_asked_for_in_words_and_handed_to_the_provider(tmp_path: Path) -> None:
    provider = FakeProvider("one", [GOOD])
    assert run(tmp_path / "r", team(), provider, FakeProvider("two")).outcome.exit_code == 0
    (asked,) = provider.requests
    assert (asked.schema, asked.schema_is_part) == (SCHEMA, False)
    assert "nothing but one JSON value that fits this JSON Schema" in asked.messages[0].text
    assert '"risks"' in asked.messages[0].text
    assert deliverable(tmp_path / "r") == GOOD


def test_an_answer_that_does_not_fit_goes_back_with_what_is_wrong(tmp_path: Path) -> None:
    provider = FakeProvider("one", [BAD, GOOD])
    ran = run(tmp_path / "r", team(), provider, FakeProvider("two"), settings=SETTINGS)
    assert deliverable(tmp_path / "r") == GOOD
    turns = provider.requests[1].messages
    assert turns[1] == Message("assistant", BAD)
    assert "risks: 'fire' is not of type 'array'" in turns[2].text
    assert [call.cause for call in ran.events.of(CallEnded)] == [Cause.BAD_SCHEMA, None]


def test_where_it_is_not_mended_the_next_route_is_asked_afresh(tmp_path: Path) -> None:
    one, two = FakeProvider("one", [BAD, "no JSON"]), FakeProvider("two", [GOOD])
    ran = run(tmp_path / "r", team(), one, two, settings=SETTINGS)
    assert deliverable(tmp_path / "r") == GOOD
    assert (len(one.requests), len(two.requests)) == (2, 1)
    assert len(two.requests[0].messages) == 1
    (hop,) = ran.events.of(FellBack)
    assert (hop.route, hop.to, hop.cause) == ("one", "two", Cause.BAD_SCHEMA)


def test_where_no_route_gives_one_the_agent_fails_and_says_what_did_not_fit(tmp_path: Path) -> None:
    one, two = FakeProvider("one", default=BAD), FakeProvider("two", default=BAD)
    ran = run(tmp_path / "r", team(), one, two, settings=SETTINGS)
    why = "bad_schema (risks: 'fire' is not of type 'array')"
    assert str(ran.outcome.failed["writer"]).endswith(f"one: {why}; two: {why}")
    assert (len(one.requests), len(two.requests)) == (2, 2)


def test_answers_that_did_not_fit_are_not_paid_for_again(tmp_path: Path) -> None:
    one = FakeProvider("one", [BAD, BAD])
    two = FakeProvider("two", [BAD, BAD])
    run(tmp_path / "r", team(), one, two, settings=SETTINGS)
    again, other = FakeProvider("one"), FakeProvider("two", [GOOD])
    more = Settings(repairs=2)
    ran = run(tmp_path / "r", team(), again, other, settings=more)
    assert ran.events.of(StepReused)
    assert again.requests != []  # a further chance to mend it, as is set now
    assert len(again.requests[0].messages) == 5


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (f"# Risks\n\n```json\n{GOOD}\n```\n\nThat is all.", True),
        (f"# Risks\n\n```json\n{BAD}\n```", False),
        (GOOD, False),
    ],
)
def test_a_part_of_a_text_may_be_what_must_fit(tmp_path: Path, text: str, fits: bool) -> None:
    provider = FakeProvider("one", default=text)
    agents = [agent("writer", schema=SCHEMA, schema_is_part=True)]
    ran = run(tmp_path / "r", agents, provider, settings=SETTINGS)
    assert (ran.outcome.failed == {}) is fits
    assert "must hold one block of JSON" in provider.requests[0].messages[0].text


def test_a_fence_around_the_whole_answer_is_no_fault(tmp_path: Path) -> None:
    provider = FakeProvider("one", [f"```json\n{GOOD}\n```"])
    assert run(tmp_path / "r", team(), provider, FakeProvider("two")).outcome.exit_code == 0


def test_what_is_done_about_it_is_a_setting(tmp_path: Path) -> None:
    one, two = FakeProvider("one", [BAD]), FakeProvider("two", [GOOD])
    settings = Settings(on={"bad_schema": "fallback"})  # type: ignore[dict-item]
    run(tmp_path / "r", team(), one, two, settings=settings)
    assert (len(one.requests), len(two.requests)) == (1, 1)
    assert deliverable(tmp_path / "r") == GOOD


def test_a_route_that_balancing_passed_over_is_asked_as_well(tmp_path: Path) -> None:
    one, two = FakeProvider("one", [GOOD]), FakeProvider("two", default=BAD)
    prices = {"one": Price(3.0, 3.0), "two": Price(1.0, 1.0)}
    settings = Settings(repairs=0, balance=Balance.CHEAPEST, prices=prices)
    run(tmp_path / "r", team(), one, two, settings=settings)
    assert (len(two.requests), len(one.requests)) == (1, 1)
    assert deliverable(tmp_path / "r") == GOOD
