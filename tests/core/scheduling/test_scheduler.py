"""A team at work: who runs when, what is written, and what is not paid for twice."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
from attrs import evolve
from building import TRUNCATED, Gate, Ran, agent, failing, run

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    Call,
    CallEnded,
    CallFailed,
    CallStarted,
    DeliverableKept,
    Event,
    PluginError,
    ProviderError,
    Request,
    Response,
    RunEnded,
    RunError,
    RunStarted,
    Settings,
    StepReused,
)
from rolecall.scheduling.agent_task import CUT
from rolecall.storage.journal import read
from rolecall.storage.records import DeliverableRecord, EditRecord, ProcessRecord, StepRecord
from rolecall.testing import FakeClock, FakeProvider

# a ─ b ─ d     each on a provider of its own
#   ╰ c ╯
DIAMOND = [
    agent("a", routes="for-a"),
    agent("b", "a", routes="for-b"),
    agent("c", "a", routes="for-c"),
    agent("d", "b", "c", routes="for-d", plan=True),
]


def providers(**scripts: list[Any]) -> list[FakeProvider]:
    return [
        FakeProvider(f"for-{name}", scripts.get(name, ()), default=f"text of {name}")
        for name in "abcd"
    ]


def asked(used: list[FakeProvider]) -> dict[str, int]:
    return {provider.name[-1]: len(provider.requests) for provider in used}


def starts(ran: Ran) -> dict[str, float]:
    return {event.agent: event.at for event in ran.events.of(AgentStarted)}


def prompt(provider: FakeProvider) -> str:
    (request,) = provider.requests
    return request.messages[0].text


def test_an_agent_runs_as_soon_as_what_it_needs_is_there(tmp_path: Path) -> None:
    used = providers(a=[1.0, "a"], b=[5.0, "b"], c=[2.0, "c"])
    lone = [agent("late", "c", routes="for-d")]
    ran = run(tmp_path, [*DIAMOND, *lone], *used)
    assert starts(ran) == {"a": 0, "b": 1, "c": 1, "late": 3, "d": 6}


def test_of_those_ready_the_one_with_the_longest_path_behind_it_asks_first(tmp_path: Path) -> None:
    team = [agent("short"), agent("long"), agent("middle", "long"), agent("end", "middle")]
    ran = run(tmp_path, team, FakeProvider("one"), limiters=[Gate()])
    assert [event.agent for event in ran.events.of(CallStarted)][:2] == ["long", "short"]


def test_slow_imports_begin_with_the_run_for_every_route_of_the_team(tmp_path: Path) -> None:
    prepared = Flag()

    class Slow(FakeProvider):
        def prepare(self) -> None:
            prepared.set()

    team = [agent("a", routes=["one", "slow"])]
    run(tmp_path, team, FakeProvider("one"), Slow("slow"))
    assert prepared.wait(10)


def test_a_call_is_as_urgent_as_the_path_behind_it_is_long(tmp_path: Path) -> None:
    gate = Gate()
    run(tmp_path, DIAMOND, *providers(), limiters=[gate])
    paths = {call.agent: call.priority for call in gate.asked}
    assert paths == {"a": 3, "b": 2, "c": 2, "d": 1}


def test_an_agent_gets_the_request_and_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    used = providers()
    run(tmp_path, DIAMOND, *used, request="Build a bridge.")
    said = prompt(used[3])
    assert said.startswith("<request>\nBuild a bridge.\n</request>")
    assert "text of b" in said
    assert "text of c" in said
    assert "text of a" not in said


def test_an_agent_is_told_what_is_left_out_of_this_run(tmp_path: Path) -> None:
    used = providers()
    run(tmp_path, DIAMOND[:1], *used, left_out={"a": ("z",)})
    assert '<left-out agent="z"/>' in prompt(used[0])


def test_every_agent_leaves_a_numbered_deliverable_and_one_the_plan(tmp_path: Path) -> None:
    ran = run(tmp_path, DIAMOND, *providers())
    assert ran.files() == ["01-a.md", "02-b.md", "03-c.md", "04-d.md"]
    assert ran.read("deliverables/02-b.md") == "text of b\n"
    assert ran.read("PLAN.md") == ran.read("deliverables/04-d.md") == "text of d\n"
    assert ran.outcome.done == ("a", "b", "c", "d")
    assert ran.outcome.exit_code == 0


def test_the_run_is_told_from_its_start_to_its_end(tmp_path: Path) -> None:
    ran = run(tmp_path, DIAMOND, *providers())
    assert ran.events[0] == RunStarted(
        at=0.0,
        folder=str(tmp_path),
        request="Build it.\n",
        agents=("a", "b", "c", "d"),
        first_choices=(("a", "for-a"), ("b", "for-b"), ("c", "for-c"), ("d", "for-d")),
        needs=(("a", ()), ("b", ("a",)), ("c", ("a",)), ("d", ("b", "c"))),
    )
    assert ran.events[-1] == RunEnded(at=0.0, done=4, failed=0, blocked=0)
    done = [(event.agent, event.route, event.file) for event in ran.events.of(AgentDone)]
    assert done[0] == ("a", "for-a", "deliverables/01-a.md")


def test_of_several_failures_the_first_blocks_and_later_ones_the_rest_behind_them(
    tmp_path: Path,
) -> None:
    used = providers(b=failing("refusal"), c=[1.0, *failing("refusal")])
    behind = [agent("e", "d", routes="for-d"), agent("f", "c", "e", routes="for-d")]
    ran = run(tmp_path, [*DIAMOND, *behind, agent("g", "c", routes="for-d")], *used)
    assert dict(ran.outcome.blocked) == {"d": "b", "e": "b", "f": "b", "g": "c"}
    assert len(ran.events.of(AgentBlocked)) == 4


def test_a_failure_blocks_only_what_depends_on_it_and_the_rest_is_kept(tmp_path: Path) -> None:
    used = providers(b=failing("refusal"))
    ran = run(tmp_path, [*DIAMOND, agent("e", "d", routes="for-d")], *used)
    assert ran.files() == ["01-a.md", "03-c.md"]
    assert (ran.outcome.done, dict(ran.outcome.blocked)) == (("a", "c"), {"d": "b", "e": "b"})
    assert isinstance(ran.outcome.failed["b"], CallFailed)
    assert ran.events[-1] == RunEnded(at=0.0, done=2, failed=1, blocked=2)
    assert [event.agent for event in ran.events.of(AgentFailed)] == ["b"]
    assert [(event.agent, event.by) for event in ran.events.of(AgentBlocked)] == [
        ("d", "b"),
        ("e", "b"),
    ]
    assert asked(used) == {"a": 1, "b": 1, "c": 1, "d": 0}


def test_a_failure_does_not_end_the_calls_of_others(tmp_path: Path) -> None:
    used = providers(b=failing("refusal"), c=[9.0, "c after all"])
    assert run(tmp_path, DIAMOND, *used).read("deliverables/03-c.md") == "c after all\n"


@pytest.mark.parametrize(
    ("scripts", "code"),
    [
        ({}, 0),
        ({"b": failing("refusal")}, 1),
        ({"b": failing("auth")}, 4),
        ({"b": failing("refusal"), "c": failing("auth")}, 4),
        ({"d": [TRUNCATED] * 9}, 1),
    ],
)
def test_the_exit_code_says_what_came_of_it(
    tmp_path: Path, scripts: dict[str, list[Any]], code: int
) -> None:
    assert run(tmp_path, DIAMOND, *providers(**scripts)).outcome.exit_code == code


def test_a_cut_deliverable_is_completed(tmp_path: Path) -> None:
    used = providers(a=[TRUNCATED, "re it goes on"])
    ran = run(tmp_path, DIAMOND, *used)
    assert ran.read("deliverables/01-a.md") == "cut off here it goes on\n"
    assert (ran.outcome.cut, asked(used)["a"]) == ((), 2)


def test_a_deliverable_that_stays_cut_says_so_to_all_who_read_it(tmp_path: Path) -> None:
    used = providers(a=[TRUNCATED] * 3)
    ran = run(tmp_path, DIAMOND, *used, settings=Settings(continuations=2))
    assert ran.read("deliverables/01-a.md") == f"{CUT}{3 * TRUNCATED.text}\n"
    assert CUT.strip() in prompt(used[1])
    assert (ran.outcome.cut, ran.outcome.done) == (("a",), ("a", "b", "c", "d"))
    assert [event.agent for event in ran.events.of(AgentDone) if event.cut] == ["a"]


def test_a_limiter_that_breaks_fails_the_agents_and_ends_the_run_in_order(tmp_path: Path) -> None:
    class Broken(Gate):
        async def acquire(self, call: Call) -> None:
            raise ZeroDivisionError("no rate")

    ran = run(tmp_path, DIAMOND, *providers(), limiters=[Broken()])
    assert isinstance(ran.outcome.failed["a"], PluginError)
    assert ran.outcome.exit_code == 2
    assert isinstance(ran.events[-1], RunEnded)


def test_a_provider_that_cancels_itself_fails_its_agent_aloud(tmp_path: Path) -> None:
    class Cancelling(FakeProvider):
        async def complete(self, request: Request) -> Response:
            raise asyncio.CancelledError

    ran = run(tmp_path, [agent("a", routes="for-a")], Cancelling("for-a"))
    assert "cancelled the call" in str(ran.outcome.failed["a"])


def test_a_disk_that_takes_nothing_more_stops_the_run_at_once(tmp_path: Path) -> None:
    class FullDisk:
        def notify(self, event: Event) -> None:
            if isinstance(event, CallStarted) and event.agent == "b":
                raise RunError("journal.jsonl: cannot be written: No space left on device")

    used = providers(c=[9.0, "never"])
    with pytest.raises(RunError, match="No space left on device"):
        run(tmp_path, DIAMOND, *used, keepers=[FullDisk()])
    assert asked(used) == {"a": 1, "b": 0, "c": 1, "d": 0}
    assert not (tmp_path / "deliverables" / "03-c.md").exists()


def test_a_second_run_asks_nothing_again(tmp_path: Path) -> None:
    first = run(tmp_path, DIAMOND, *providers())
    again = providers()
    second = run(tmp_path, DIAMOND, *again)
    assert asked(again) == {"a": 0, "b": 0, "c": 0, "d": 0}
    assert second.outcome.done == first.outcome.done
    assert {event.agent for event in second.events.of(StepReused)} == {"a", "b", "c", "d"}
    assert second.ledger.answered == first.ledger.answered
    assert second.ledger.total.calls == 0


def test_a_second_run_writes_again_what_was_lost(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers())
    (tmp_path / "deliverables" / "02-b.md").unlink()
    (tmp_path / "PLAN.md").unlink()
    again = providers()
    ran = run(tmp_path, DIAMOND, *again)
    assert ran.read("deliverables/02-b.md") == "text of b\n"
    assert ran.read("PLAN.md") == "text of d\n"
    assert sum(asked(again).values()) == 0


def test_a_run_goes_on_where_it_failed(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers(b=failing("auth")))
    again = providers()
    ran = run(tmp_path, DIAMOND, *again)
    assert asked(again) == {"a": 0, "b": 1, "c": 0, "d": 1}
    assert ran.outcome.exit_code == 0


def test_a_run_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    def for_three_seconds(clock: FakeClock, work: Coroutine[Any, Any, Any]) -> Any:
        async def cancelled() -> None:
            task = asyncio.ensure_future(work)
            await asyncio.sleep(3)
            task.cancel()
            await task

        clock.run(cancelled())

    with pytest.raises(asyncio.CancelledError):
        run(tmp_path, DIAMOND, *providers(c=[9.0, "late"]), within=for_three_seconds)
    again = providers()
    ran = run(tmp_path, DIAMOND, *again)
    assert asked(again) == {"a": 0, "b": 0, "c": 1, "d": 1}
    assert ran.outcome.done == ("a", "b", "c", "d")


def test_an_interrupted_run_says_so_at_its_end(tmp_path: Path) -> None:
    ended: list[RunEnded] = []

    class Keeper:
        def notify(self, event: Event) -> None:
            if isinstance(event, RunEnded):
                ended.append(event)

    class Impatient(FakeProvider):
        async def complete(self, request: Request) -> Response:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [agent("a")], Impatient("one"), keepers=[Keeper()])
    assert [(event.done, event.interrupted) for event in ended] == [(0, True)]


def test_the_calls_of_both_runs_have_numbers_of_their_own(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers(b=failing("auth")))
    ran = run(tmp_path, DIAMOND, *providers())
    assert [event.call for event in ran.events.of(CallStarted)] == [4, 5]


def test_a_changed_prompt_asks_again_exactly_what_depends_on_it(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers())
    changed = [
        evolve(each, prompt="You are better.") if each.name == "b" else each for each in DIAMOND
    ]
    again = providers(b=["a better text"])
    ran = run(tmp_path, changed, *again)
    assert asked(again) == {"a": 0, "b": 1, "c": 0, "d": 1}
    assert "a better text" in prompt(again[3])
    assert ran.read("deliverables/02-b.md") == "a better text\n"


def test_a_changed_prompt_with_the_same_answer_asks_nobody_else(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers())
    changed = [
        evolve(each, prompt="You are better.") if each.name == "b" else each for each in DIAMOND
    ]
    again = providers()
    run(tmp_path, changed, *again)
    assert asked(again) == {"a": 0, "b": 1, "c": 0, "d": 0}


def test_a_changed_request_asks_everyone_again(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers())
    (tmp_path / "request.md").write_text("Build something else.\n", "utf-8")
    again = providers()
    run(tmp_path, DIAMOND, *again)
    assert asked(again) == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_another_route_asks_nothing_again(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers())
    moved = [evolve(each, routes=("elsewhere",)) for each in DIAMOND]
    elsewhere = FakeProvider("elsewhere")
    ran = run(tmp_path, moved, elsewhere)
    assert elsewhere.requests == []
    assert ran.ledger.answered["b"] == "for-b"


def test_a_continued_text_is_remembered_piece_by_piece(tmp_path: Path) -> None:
    script = [TRUNCATED, *failing("auth")]
    run(tmp_path, DIAMOND[:1], *providers(a=script))
    again = providers(a=["re it goes on"])
    ran = run(tmp_path, DIAMOND[:1], *again)
    assert (asked(again)["a"], ran.outcome.done) == (1, ("a",))
    assert ran.read("deliverables/01-a.md") == "cut off here it goes on\n"


def test_an_edited_deliverable_stands_and_those_who_need_it_are_asked_again(
    tmp_path: Path,
) -> None:
    run(tmp_path, DIAMOND, *providers())
    (tmp_path / "deliverables" / "02-b.md").write_text("by hand\n", "utf-8")
    again = providers()
    ran = run(tmp_path, DIAMOND, *again)
    assert asked(again) == {"a": 0, "b": 0, "c": 0, "d": 1}
    assert "by hand" in prompt(again[3])
    assert ran.read("deliverables/02-b.md") == "by hand\n"
    assert [event.agent for event in ran.events.of(DeliverableKept)] == ["b"]
    records, _ = read((tmp_path / "journal.jsonl").read_bytes())
    assert [record.agent for record in records if isinstance(record, EditRecord)] == ["b"]


@pytest.mark.parametrize("name", ["PLAN.md", "deliverables/04-d.md"])
def test_an_edited_plan_stands_in_both_of_its_places(tmp_path: Path, name: str) -> None:
    run(tmp_path, DIAMOND, *providers())
    (tmp_path / name).write_text("by hand\n", "utf-8")
    ran = run(tmp_path, DIAMOND, *providers())
    assert ran.read("PLAN.md") == ran.read("deliverables/04-d.md") == "by hand\n"


def test_an_edit_stands_through_every_later_run(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers())
    (tmp_path / "deliverables" / "02-b.md").write_text("by hand\n", "utf-8")
    for _ in range(2):
        ran = run(tmp_path, DIAMOND, *providers())
    assert ran.read("deliverables/02-b.md") == "by hand\n"


def test_a_frozen_deliverable_stands_though_its_agent_would_be_asked(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND, *providers())
    changed = [evolve(each, prompt=f"{each.prompt} Be better.") for each in DIAMOND]
    again = providers(b=["a better text"])
    ran = run(tmp_path, changed, *again, frozen=["a", "c", "d"])
    assert asked(again) == {"a": 0, "b": 1, "c": 0, "d": 0}
    assert "text of a" in prompt(again[1])
    assert ran.read("PLAN.md") == "text of d\n"
    assert [event.agent for event in ran.events.of(DeliverableKept)] == ["a", "c", "d"]


def test_a_frozen_deliverable_that_is_not_there_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="b has no deliverable yet; finish the run first"):
        run(tmp_path, DIAMOND, *providers(), frozen=["b"])


def test_a_budget_that_thinking_used_up_is_not_paid_for_again(tmp_path: Path) -> None:
    lone, settings = [agent("a")], Settings(max_output_tokens=1000)
    script = [*failing("thinking_only"), *failing("refusal")]
    run(tmp_path, lone, FakeProvider("one", script), settings=settings)
    provider = FakeProvider("one")
    run(tmp_path, lone, provider, settings=settings)
    assert [request.max_output_tokens for request in provider.requests] == [2000]


def test_every_call_is_on_record_with_its_start_and_its_end(tmp_path: Path) -> None:
    run(tmp_path, DIAMOND[:1], *providers(a=[Response(""), "text"]))
    records, _ = read((tmp_path / "journal.jsonl").read_bytes())
    assert [type(record) for record in records] == [
        ProcessRecord,
        *[CallStarted, CallEnded] * 2,
        StepRecord,
        DeliverableRecord,
    ]
    assert [record.cause for record in records if isinstance(record, CallEnded)] == ["empty", None]


def test_a_key_that_a_vendor_echoes_is_in_no_file_of_the_run(tmp_path: Path) -> None:
    key = "sk-ant-planted"
    settings = Settings(environment={"ANTHROPIC_API_KEY": key})
    script = [ProviderError("auth", f"{key} is wrong")]
    ran = run(tmp_path, DIAMOND, *providers(b=[f"you sent {key}"], c=script), settings=settings)
    assert ran.read("deliverables/02-b.md") == "you sent [secret]\n"
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or key.encode() not in path.read_bytes()


def test_a_text_of_half_surrogates_is_written_all_the_same(tmp_path: Path) -> None:
    ran = run(tmp_path, DIAMOND[:1], *providers(a=["half \ud83d"]))
    assert ran.read("deliverables/01-a.md") == "half \ufffd\n"
