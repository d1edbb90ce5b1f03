"""A finished run takes up changes: who is touched revises, everyone else's work stands."""

import asyncio
import json
from pathlib import Path

import pytest
from building import Ran, agent, failing, run

from rolecall import AgentDone, Message, Request, Response, StepReused, Usage, WorkTouched
from rolecall.storage.run_folder import RunFolder
from rolecall.testing import FakeProvider

TEAM = [
    agent("intent"),
    agent("design", "intent"),
    agent("code", "design"),
    agent("words", "intent"),
    agent("plan", "*", plan=True),
]


def touching(**changes: str) -> str:
    touched = [{"agent": name, "change": change} for name, change in changes.items()]
    return json.dumps({"touched": touched})


class Answering(FakeProvider):
    """Answers the question whose work is touched from `touched`, and all else by counting."""

    def __init__(self, *touched: str) -> None:
        super().__init__("one")
        self._touched = list(touched)

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        await request.progress.sending()
        if "answer with nothing but" in request.messages[0].text:
            return Response(self._touched.pop(0), Usage(1, 1))
        return Response(f"Text {len(self.requests)}.", Usage(1, 1))


def finished(folder: Path) -> None:
    assert run(folder, TEAM, Answering()).outcome.exit_code == 0


def begin(folder: Path, change: str = "Use SQLite.", date: str = "2026-11-23") -> None:
    with RunFolder(folder) as opened:
        names = [each.name for each in TEAM]
        former = {
            name: opened.read(f"deliverables/{number:02}-{name}.md") or ""
            for number, name in enumerate(names, 1)
        }
        for name, text in former.items():
            opened.store.record_deliverable(name, text)
        opened.store.record_update(change, date, former)


def updated(folder: Path, provider: FakeProvider) -> Ran:
    begin(folder)
    return run(folder, TEAM, provider)


def done(ran: Ran) -> list[str]:
    reused = {event.agent for event in ran.events.of(StepReused)}
    return [event.agent for event in ran.events.of(AgentDone) if event.agent not in reused]


def deliverable(folder: Path, name: str) -> str:
    (path,) = folder.glob(f"deliverables/*-{name}.md")
    return path.read_text("utf-8")


def test_only_who_is_touched_and_those_who_need_them_work_again(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    stood = deliverable(tmp_path / "r", "words")
    ran = updated(tmp_path / "r", Answering(touching(design="another store")))
    assert done(ran) == ["intent", "design", "code", "plan"]
    assert deliverable(tmp_path / "r", "words") == stood
    (told,) = ran.events.of(WorkTouched)
    assert told.touched == (("design", "another store"),)


def test_they_get_their_former_text_and_the_change(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    former = deliverable(tmp_path / "r", "code").strip()
    provider = Answering(touching(design="another store"))
    updated(tmp_path / "r", provider)
    asked = [request.messages[0].text for request in provider.requests]
    assert sum("<previous>" in text for text in asked) == 4
    assert any(f"<previous>\n{former}\n</previous>" in text for text in asked)


def test_the_plan_gets_its_section_and_the_former_state_stays(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    former = (tmp_path / "r" / "PLAN.md").read_text("utf-8")
    updated(tmp_path / "r", Answering(touching(words="shorter")))
    plan = (tmp_path / "r" / "PLAN.md").read_text("utf-8")
    assert plan.endswith("## Change 2026-11-23: Use SQLite.\n\n- words: shorter\n")
    assert (tmp_path / "r" / "history" / "001" / "PLAN.md").read_text("utf-8") == former


def test_afterwards_nobody_is_asked_again(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    updated(tmp_path / "r", Answering(touching(design="x")))
    before = {path: path.read_text("utf-8") for path in (tmp_path / "r").rglob("*.md")}
    again = FakeProvider("one")
    assert run(tmp_path / "r", TEAM, again).outcome.exit_code == 0
    assert again.requests == []
    assert {path: path.read_text("utf-8") for path in (tmp_path / "r").rglob("*.md")} == before


def test_an_edit_afterwards_is_noticed_by_those_who_need_it(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    updated(tmp_path / "r", Answering(touching(words="x")))
    (path,) = (tmp_path / "r").glob("deliverables/*-design.md")
    path.write_text("My own design.", "utf-8")
    ran = run(tmp_path / "r", TEAM, Answering())
    assert done(ran) == ["code", "plan"]


def test_changes_follow_each_other(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    updated(tmp_path / "r", Answering(touching(words="x")))
    begin(tmp_path / "r", "In Rust.", "2026-11-24")
    ran = run(tmp_path / "r", TEAM, Answering(touching(code="y")))
    assert done(ran) == ["intent", "code", "plan"]
    plan = (tmp_path / "r" / "PLAN.md").read_text("utf-8")
    heads = [line for line in plan.splitlines() if line.startswith("## Change")]
    assert heads == ["## Change 2026-11-23: Use SQLite.", "## Change 2026-11-24: In Rust."]


@pytest.mark.parametrize("after", range(1, 5))
def test_an_interrupted_change_is_finished_without_asking_twice(tmp_path: Path, after: int) -> None:
    finished(tmp_path / "r")

    class Stalling(Answering):
        async def complete(self, request: Request) -> Response:
            if len(self.requests) == after:
                await asyncio.sleep(300)
            return await super().complete(request)

    first = Stalling(touching(design="x"))
    begin(tmp_path / "r")
    with pytest.raises(TimeoutError):
        run(
            tmp_path / "r",
            TEAM,
            first,
            within=lambda clock, running: clock.run(asyncio.wait_for(running, 60)),
        )
    second = Answering(touching(design="x"))
    assert run(tmp_path / "r", TEAM, second).outcome.exit_code == 0
    asked = [request.messages for request in (*first.requests, *second.requests)]
    assert len(asked) == len(set(asked)) == 5


def test_an_answer_that_names_nobody_is_asked_for_once_more(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    provider = Answering("The design, surely.", touching(design="x"))
    assert done(updated(tmp_path / "r", provider)) == ["intent", "design", "code", "plan"]
    again = provider.requests[2].messages
    assert again[1] == Message("assistant", "The design, surely.")


def test_a_planner_that_does_not_say_who_is_touched_fails_and_all_stays(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    stood = deliverable(tmp_path / "r", "code")
    ran = updated(tmp_path / "r", Answering(*["The design!"] * 3))
    assert list(ran.outcome.failed) == ["plan"]
    assert "bad_schema (it is no JSON" in str(ran.outcome.failed["plan"])
    assert set(ran.outcome.blocked) == {"design", "code", "words"}
    assert deliverable(tmp_path / "r", "code") == stood


def test_a_failing_interpreter_stops_the_change(tmp_path: Path) -> None:
    finished(tmp_path / "r")
    ran = updated(tmp_path / "r", FakeProvider("one", failing("refusal")))
    assert list(ran.outcome.failed) == ["intent"]
    assert ran.outcome.exit_code == 1
