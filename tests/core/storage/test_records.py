"""Typed records: each is read back as it was written, and what is wrong in one is named."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from building import call_ended, call_started

from rolecall import CallEnded, Cause, Consent, ConsentDecided, Stop, ToolEnded, ToolStarted, Usage
from rolecall.storage.records import (
    AnswerRecord,
    CarriedOverRecord,
    DeliverableRecord,
    EditRecord,
    ForgottenRecord,
    ProcessRecord,
    Record,
    ReusedRecord,
    StepRecord,
    TouchedRecord,
    TrustedRecord,
    UpdateRecord,
    WorkspaceRecord,
    parse,
    plain,
    serialise,
)

ANSWER: Mapping[str, Any] = {
    "step": "key",
    "agent": "a",
    "text": "answer",
    "stop": "length",
    "route": "one/m",
    "cost": 0.25,
}
ENDED = {
    "type": "call_ended",
    "at": 1.0,
    "call": 7,
    "agent": "a",
    "provider": "one",
    "model": "m",
    "step": "key",
    "waited": 0.5,
    "took": 2.0,
    "max_output_tokens": 100,
    "cause": "truncated",
    "detail": "",
    "text": "cut off he",
    "stop": "length",
    "first_text": None,
    "held": [["interval", 0.5]],
    "usage": {"input": 10, "output": 5, "thinking": 0, "cache_read": 0, "cache_write": 0},
    "cost": 0.25,
    "request_id": None,
}
# What journals have held since the first version, and what it means.
TOOL: dict[str, Any] = {"agent": "a", "step": "key", "call": "1", "tool": "lint"}
TOOL["arguments"] = {"path": "a"}
KEPT: list[tuple[dict[str, Any], Record]] = [
    ({"type": "run", "when": 1.5, "agents": ["a"]}, ProcessRecord(when=1.5, agents=("a",))),
    (
        {key: ENDED[key] for key in ("at", "call", "agent", "provider", "model", "step", "waited")}
        | {"type": "call_started", "max_output_tokens": 100, "worst": 0.5},
        call_started(7, "key", worst=0.5),
    ),
    (
        ENDED,
        call_ended(
            7,
            "key",
            "cut off he",
            stop=Stop.LENGTH,
            cause=Cause.TRUNCATED,
            held=(("interval", 0.5),),
            usage=Usage(10, 5),
            cost=0.25,
        ),
    ),
    ({"type": "trusted", "when": 1.5}, TrustedRecord(when=1.5)),
    (
        {"type": "step_done", "step": "key", "call": 7, "route": "one/m"},
        StepRecord(step="key", call=7, route="one/m"),
    ),
    (
        {"type": "answered", **ANSWER, "call": 0},
        AnswerRecord(**{**ANSWER, "stop": Stop.LENGTH}, call=0),
    ),
    (
        {"type": "reused", **ANSWER, "run": "before"},
        ReusedRecord(**{**ANSWER, "stop": Stop.LENGTH}, run="before"),
    ),
    (
        {"type": "deliverable", "agent": "a", "sha256": "0f"},
        DeliverableRecord(agent="a", sha256="0f"),
    ),
    ({"type": "edited", "agent": "a", "sha256": "0f"}, EditRecord(agent="a", sha256="0f")),
    (
        {"type": "update", "number": 1, "date": "2026", "change": "c", "former": {"a": "text"}},
        UpdateRecord(number=1, date="2026", change="c", former={"a": "text"}),
    ),
    ({"type": "touched", "agents": {"a": "why"}}, TouchedRecord(agents={"a": "why"})),
    (
        {"type": "adopted", "step": "key", "agent": "a", "text": "text", "update": 1},
        CarriedOverRecord(step="key", agent="a", text="text", update=1),
    ),
    ({"type": "forgotten", "agents": ["a", "b"]}, ForgottenRecord(agents=("a", "b"))),
    (
        {"type": "tool_started", "at": 1.0, **TOOL},
        ToolStarted(at=1.0, **TOOL),
    ),
    (
        {"type": "tool_ended", "at": 1.0, **TOOL, "text": "t", "is_error": True, "took": 0.5}
        | {"tree": "t"},
        ToolEnded(at=1.0, **TOOL, text="t", is_error=True, took=0.5, tree="t"),
    ),
    (
        {"type": "consent", "at": 1.0, "agent": "a", "step": "key", "call": "1", "tool": "lint"}
        | {"consent": "always"},
        ConsentDecided(
            at=1.0, agent="a", step="key", call="1", tool="lint", consent=Consent.ALWAYS
        ),
    ),
    ({"type": "workspace", "tree": "t"}, WorkspaceRecord(tree="t")),
]
BY_TYPE = [pytest.param(values, record, id=values["type"]) for values, record in KEPT]


def through_json(record: Record) -> Any:
    return json.loads(json.dumps(serialise(record), default=plain))


@pytest.mark.parametrize(("values", "record"), BY_TYPE)
def test_a_record_is_written_and_read_as_it_always_was(
    values: dict[str, Any], record: Record
) -> None:
    assert through_json(record) == values
    assert parse(values) == record


@pytest.mark.parametrize(("values", "record"), BY_TYPE)
def test_a_field_that_is_missing_is_named(values: dict[str, Any], record: Record) -> None:
    for name in values.keys() - {"type", "held", "worst"}:
        rest = {key: value for key, value in values.items() if key != name}
        with pytest.raises(ValueError, match=rf"^{values['type']}\.{name} is missing$"):
            parse(rest)


@pytest.mark.parametrize(("values", "record"), BY_TYPE)
def test_a_field_of_another_type_is_named(values: dict[str, Any], record: Record) -> None:
    for name in values.keys() - {"type"}:
        with pytest.raises(ValueError, match=rf"^{values['type']}\.{name} must .*, not "):
            parse({**values, name: [1]})  # which no field takes


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("cause", "tired"),
        ("stop", "bored"),
        ("call", 1.5),
        ("call", True),
        ("text", None),
        ("took", "2.0"),
        ("usage", {"input": "10"}),
        ("held", [["interval"]]),
        ("held", [["interval", "long"]]),
        ("took", float("nan")),
        ("cost", float("inf")),
        ("call", 10**400),
    ],
)
def test_a_value_that_cannot_be_is_named(name: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=rf"^call_ended\.{name} must .*, not "):
        parse({**ENDED, name: wrong})


def test_a_cost_that_cannot_be_is_unknown() -> None:
    record = parse({**ENDED, "cost": -650.0})
    assert isinstance(record, CallEnded)
    assert record.cost is None


def test_what_a_call_waited_for_was_not_always_on_record() -> None:
    record = parse({name: value for name, value in ENDED.items() if name != "held"})
    assert record == call_ended(
        7,
        "key",
        "cut off he",
        stop=Stop.LENGTH,
        cause=Cause.TRUNCATED,
        usage=Usage(10, 5),
        cost=0.25,
    )


@pytest.mark.parametrize("kind", ["of_a_later_version", None, 3, ["run"]])
def test_a_record_of_a_type_not_known_here_is_none(kind: object) -> None:
    assert parse({"type": kind, "agent": "a"}) is None


def test_a_field_not_known_here_is_passed_over() -> None:
    assert parse({"type": "run", "when": 1.5, "agents": ["a"], "mood": "good"}) == ProcessRecord(
        when=1.5, agents=("a",)
    )


def test_a_value_that_no_record_holds_is_refused() -> None:
    with pytest.raises(TypeError, match="has no form in a journal"):
        plain(object())
