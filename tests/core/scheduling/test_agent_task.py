"""One agent's part of a run, without the rest of its team."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from building import TRUNCATED, Heard, agent

from rolecall import Agent, AgentDone, AgentStarted, DeliverableKept, Response, StepReused, Team
from rolecall.execution.context import RunContext
from rolecall.execution.dispatcher import Dispatcher
from rolecall.scheduling.agent_task import CUT, PLAN, AgentTask, Deliverable
from rolecall.scheduling.revisions import Revisions
from rolecall.scheduling.workbench import Workbench
from rolecall.storage.run_folder import RunFolder
from rolecall.testing import FakeClock, FakeProvider

ALONE = agent("a")
PLANNER = agent("a", plan=True)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.create(tmp_path / "run", "Build it.", {}) as opened:
        yield opened


class Working:
    """An agent with a provider of its own, and what came of its task."""

    def __init__(self, folder: RunFolder, agent: Agent = ALONE, *script: Any, **more: Any) -> None:
        self.clock = FakeClock()
        self.events = Heard()
        self.provider = FakeProvider("one", script)
        self.folder = folder
        self.context = RunContext(
            providers={"one": self.provider},
            clock=self.clock,
            emit=self.events.notify,
            rng=random.Random(1),
            team=Team([agent]),
            request="Build it.",
            numbers={"a": 7},
            priorities={"a": 1.0},
            **more,
        )
        revisions = Revisions(self.context.team, folder.store, self.context.settings.template)
        dispatcher = Dispatcher(self.context)
        bench = Workbench(self.context, folder)
        self.task = AgentTask(agent, self.context, folder, dispatcher, revisions, {}, bench)

    def run(self) -> Deliverable:
        return self.clock.run(self.task.run())

    @property
    def told(self) -> list[type]:
        ours = (AgentStarted, AgentDone, DeliverableKept, StepReused)
        return [type(event) for event in self.events if isinstance(event, ours)]


def test_an_answer_is_saved_and_told(folder: RunFolder) -> None:
    working = Working(folder, ALONE, "text")
    assert working.run() == Deliverable("text")
    assert folder.read("deliverables/07-a.md") == "text\n"
    assert folder.read(PLAN) is None
    assert working.told == [AgentStarted, AgentDone]


def test_who_plans_writes_the_plan_as_well(folder: RunFolder) -> None:
    Working(folder, PLANNER, "text").run()
    assert folder.read("deliverables/07-a.md") == folder.read(PLAN) == "text\n"


def test_pieces_are_put_together(folder: RunFolder) -> None:
    working = Working(folder, ALONE, TRUNCATED, "re it goes on")
    assert working.run() == Deliverable("cut off here it goes on")
    first, second = working.provider.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[-2].text == "cut off he"


def test_what_stays_cut_says_so(folder: RunFolder) -> None:
    deliverable = Working(folder, ALONE, *[TRUNCATED] * 9).run()
    assert deliverable.cut
    assert deliverable.text.startswith(CUT)


def test_a_second_time_each_piece_is_taken_from_the_journal(folder: RunFolder) -> None:
    first = Working(folder, ALONE, TRUNCATED, "re it goes on").run()
    again = Working(folder)
    assert again.run() == first
    assert again.provider.requests == []
    assert again.told == [AgentStarted, StepReused, StepReused, AgentDone]


def test_a_persons_word_is_kept_without_asking(folder: RunFolder) -> None:
    Working(folder, PLANNER, "text").run()
    folder.save(PLAN, "by hand")
    again = Working(folder, PLANNER)
    assert again.run() == Deliverable("by hand\n")
    assert (again.provider.requests, again.told) == ([], [DeliverableKept])
    assert folder.read("deliverables/07-a.md") == "by hand\n"


def test_what_is_frozen_is_kept_although_something_else_would_be_asked(folder: RunFolder) -> None:
    Working(folder, ALONE, "text").run()
    again = Working(folder, evolve(ALONE, prompt="Another."), frozen=["a"])
    assert again.run() == Deliverable("text\n")
    assert again.provider.requests == []


def test_a_request_that_changed_is_asked(folder: RunFolder) -> None:
    Working(folder, ALONE, "text").run()
    again = Working(folder, evolve(ALONE, prompt="Another."), Response("another text"))
    assert again.run() == Deliverable("another text")
    assert folder.read("deliverables/07-a.md") == "another text\n"
