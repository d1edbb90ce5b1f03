"""What a run has paid for, remembered in the journal."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from attrs import evolve
from building import REQUEST, call_ended, call_started

from rolecall import Answer, Cause, JournalCorrupt, Message, Request, Response, RunStarted, Stop
from rolecall.storage.call_log import Spent
from rolecall.storage.journal import Journal, read
from rolecall.storage.records import (
    DeliverableRecord,
    EditRecord,
    ProcessRecord,
    Record,
    StepRecord,
    TouchedRecord,
)
from rolecall.storage.step_store import StepStore, step_key

STARTED = RunStarted(
    at=0.0, folder="", request="", agents=("a", "b"), first_choices=(), when=1_800_000_000.0
)
ANSWER = Answer(Response("answer", model="m"), "one/m", "a", call=1, step="step")
Opening = Callable[[], AbstractContextManager[Journal]]


@pytest.fixture
def opened(tmp_path: Path) -> Opening:
    """Open the same journal each time, as one process after the other does."""
    return lambda: Journal(tmp_path / "journal.jsonl")


class Vendor:
    """Answers a step as a dispatcher does, and counts how often."""

    def __init__(self, store: StepStore, step: str = "step") -> None:
        self.asked = 0
        self._store = store
        self._step = step

    async def ask(self) -> Answer:
        self.asked += 1
        number = self._store.calls.last + 1
        self._store.notify(call_started(number, self._step))
        self._store.notify(call_ended(number, self._step))
        return Answer(Response("answer", model="m"), "one/m", "a", number, step=self._step)


def answer(store: StepStore, vendor: Vendor, step: str = "step") -> Answer:
    return asyncio.run(store.step(step, vendor.ask))


def test_a_steps_key_is_the_same_in_every_process_and_on_every_system() -> None:
    key = "b8cc1f7b441e265cfaa25971dfe60a8ab1ecdb1a50aec348a57f1ed2044332bc"
    assert step_key("writer", 0, REQUEST) == key


@pytest.mark.parametrize(
    "other",
    [
        evolve(REQUEST, system="You test again."),
        evolve(REQUEST, messages=()),
        evolve(REQUEST, messages=(Message("assistant", "Say something."),)),
        evolve(REQUEST, messages=(Message("user", "Say something else."),)),
        evolve(REQUEST, max_output_tokens=5),
        evolve(REQUEST, temperature=0.5),
    ],
)
def test_a_step_that_asks_something_else_has_another_key(other: Request) -> None:
    assert step_key("writer", 0, other) != step_key("writer", 0, REQUEST)


def test_each_agent_and_each_piece_of_its_text_has_a_key_of_its_own() -> None:
    keys = {step_key(name, ordinal, REQUEST) for name in ("a", "b") for ordinal in (0, 1)}
    assert len(keys) == 4


@pytest.mark.parametrize(
    "other",
    [
        evolve(REQUEST, model="another"),
        evolve(REQUEST, timeout=5.0, first_byte_timeout=5.0, idle_timeout=5.0),
        evolve(REQUEST, stream=False),
    ],
)
def test_how_a_step_is_sent_and_to_whom_is_not_in_its_key(other: Request) -> None:
    assert step_key("writer", 0, other) == step_key("writer", 0, REQUEST)


def test_half_a_surrogate_pair_in_a_request_has_a_key_too() -> None:
    assert step_key("writer", 0, evolve(REQUEST, system="\ud83d"))


def test_an_answered_step_is_not_asked_again(opened: Opening) -> None:
    with opened() as journal:
        store = StepStore(journal)
        vendor = Vendor(store)
        assert answer(store, vendor) == ANSWER
        assert answer(store, vendor) == evolve(ANSWER, reused=True)
    assert vendor.asked == 1


def test_an_answered_step_is_remembered_by_the_next_process(opened: Opening) -> None:
    with opened() as journal:
        store = StepStore(journal)
        answer(store, Vendor(store))
    with opened() as journal:
        store = StepStore(journal)
        vendor = Vendor(store)
        assert answer(store, vendor) == evolve(ANSWER, reused=True)
    assert vendor.asked == 0


def test_another_step_is_asked(opened: Opening) -> None:
    with opened() as journal:
        store = StepStore(journal)
        answer(store, Vendor(store))
        other = Vendor(store, "other")
        answer(store, other, "other")
    assert other.asked == 1


def test_an_answer_that_came_right_before_a_crash_counts(opened: Opening) -> None:
    with opened() as journal:
        store = StepStore(journal)
        store.notify(call_started())
        store.notify(call_ended())
    with opened() as journal:
        store = StepStore(journal)
        vendor = Vendor(store)
        assert answer(store, vendor).response.text == "answer"
    assert vendor.asked == 0


@pytest.mark.parametrize("call", [0, 7])
def test_an_answer_that_no_event_told_of_is_remembered_all_the_same(
    opened: Opening, call: int
) -> None:
    response = Response("answer", stop=Stop.LENGTH, cost=0.25)
    silent = Answer(response, "one/m", "a", call, step="step")

    async def ask() -> Answer:
        return silent

    with opened() as journal:
        assert asyncio.run(StepStore(journal).step("step", ask)) == silent
    with opened() as journal:
        store = StepStore(journal)
        vendor = Vendor(store)
        assert answer(store, vendor) == evolve(silent, reused=True)
    assert vendor.asked == 0


def test_what_the_dispatcher_answered_counts_and_not_what_an_event_told(opened: Opening) -> None:
    async def ask() -> Answer:
        store.notify(call_ended(1, text="the first of two calls"))
        store.notify(call_ended(2, text="a hedge that lost"))
        return Answer(Response("the first of two calls"), "one/m", "a", call=1)

    for _ in range(2):
        with opened() as journal:
            store = StepStore(journal)
            again = asyncio.run(store.step("step", ask))
            assert again.response.text == "the first of two calls"


def test_a_failed_call_answers_no_step(opened: Opening) -> None:
    with opened() as journal:
        StepStore(journal).notify(call_ended(text="cut off he", cause=Cause.TRUNCATED))
    with opened() as journal:
        store = StepStore(journal)
        vendor = Vendor(store)
        answer(store, vendor)
    assert vendor.asked == 1


def test_a_cut_piece_that_was_accepted_is_remembered_as_cut(opened: Opening) -> None:
    piece = Response("cut off he", model="m", stop=Stop.LENGTH, cost=0.5)

    async def cut() -> Answer:
        store.notify(
            call_ended(text="cut off he", stop=Stop.LENGTH, cause=Cause.TRUNCATED, cost=0.5)
        )
        return Answer(piece, "one/m", "a", call=1)

    with opened() as journal:
        store = StepStore(journal)
        asyncio.run(store.step("step", cut))
    with opened() as journal:
        store = StepStore(journal)
        again = answer(store, Vendor(store))
    assert again == Answer(piece, "one/m", "a", call=1, reused=True, step="step")


def test_a_call_is_on_record_before_its_answer_is(opened: Opening) -> None:
    with opened() as journal:
        StepStore(journal).notify(call_started())
        records, _ = read(journal.path.read_bytes())
    assert records == [call_started()]


def test_each_process_that_works_on_a_run_is_on_record(opened: Opening) -> None:
    with opened() as journal:
        StepStore(journal).notify(STARTED)
        records, _ = read(journal.path.read_bytes())
    assert records == [ProcessRecord(when=1_800_000_000.0, agents=("a", "b"))]


def test_a_deliverable_written_again_takes_no_second_record(opened: Opening) -> None:
    with opened() as journal:
        store = StepStore(journal)
        store.record_deliverable("a", "text")
        before = journal.path.read_bytes()
        store.record_deliverable("a", "text\n")
        assert journal.path.read_bytes() == before


def test_an_edit_is_on_record_once_and_without_its_text(opened: Opening) -> None:
    for _ in range(2):
        with opened() as journal:
            store = StepStore(journal)
            store.record_deliverable("a", "text")
            store.record_edit("a", "what a person wrote")
            store.record_edit("a", "what a person wrote")
    with opened() as journal:
        assert [type(record) for record in journal.records] == [DeliverableRecord, EditRecord]
        assert "what a person wrote" not in str(journal.records)


def test_what_the_records_come_to_is_known_to_the_next_process(opened: Opening) -> None:
    with opened() as journal:
        store = StepStore(journal)
        store.notify(call_started(7))
        store.notify(call_ended(7, agent="a", cost=0.25))
        store.record_deliverable("a", "text")
        before = (store.calls.last, store.calls.spent, store.texts.is_edited("a", "text"))
    with opened() as journal:
        store = StepStore(journal)
        assert before == (store.calls.last, store.calls.spent, store.texts.is_edited("a", "text"))
        assert before == (7, {"a": Spent(1, 0.25, 0.25, 0.25)}, False)


def test_agents_that_are_forgotten_are_asked_again(opened: Opening) -> None:
    with opened() as journal:
        store = StepStore(journal)
        for number, (step, name) in enumerate([("first", "a"), ("second", "b")], 1):
            store.notify(call_ended(number, step, agent=name))
        store.forget(["a"])
    with opened() as journal:
        store = StepStore(journal)
        forgotten, kept = Vendor(store, "first"), Vendor(store, "second")
        answer(store, forgotten, "first")
        answer(store, kept, "second")
    assert (forgotten.asked, kept.asked) == (1, 0)


def test_an_answer_after_the_forgetting_is_remembered_again(opened: Opening) -> None:
    with opened() as journal:
        store = StepStore(journal)
        answer(store, Vendor(store))
        store.forget(["a"])
        answer(store, Vendor(store))
    with opened() as journal:
        store = StepStore(journal)
        vendor = Vendor(store)
        answer(store, vendor)
    assert vendor.asked == 0


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (
            StepRecord(step="step", call=7, route="one"),
            "a step was answered by call 7, which",
        ),
        (TouchedRecord(agents={"a": "why"}), "work was touched, and nothing was to change"),
    ],
)
def test_a_record_that_refers_to_none_is_damage(opened: Opening, record: Record, why: str) -> None:
    with opened() as journal:
        journal.append(record)
    with opened() as journal, pytest.raises(JournalCorrupt, match=rf"^journal\.jsonl: {why}"):
        StepStore(journal)
