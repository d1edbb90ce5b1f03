"""The runs in a folder: their states, their differences, and their end."""

import json
from itertools import count
from pathlib import Path

import pytest
from attrs import asdict
from building import agent, call_ended, run

from rolecall import (
    AgentDone,
    AgentFailed,
    DeliverableKept,
    RunBusy,
    RunEnded,
    RunStarted,
    Usage,
)
from rolecall.storage.run_folder import RunFolder
from rolecall.storage.run_index import (
    PAUSE,
    RunState,
    StateKeeper,
    differences,
    is_busy,
    last_change,
    list_runs,
    read_state,
    remove,
)
from rolecall.storage.run_paths import find_run, point_latest
from rolecall.testing import FakeProvider


def create(path: Path, state: RunState | None = None) -> Path:
    RunFolder.create(path, "Build it.", {}).close()
    if state is not None:
        (path / "state.json").write_text(json.dumps(asdict(state)), "utf-8")
    return path


def test_the_state_is_written_for_a_small_part_of_the_time(tmp_path: Path) -> None:
    clock = count()  # each look at it is a second later, so that each write takes one
    with RunFolder.create(tmp_path, "Build it.", {}) as folder:
        keeper = StateKeeper(folder, now=lambda: float(next(clock)))
        keeper.notify(
            RunStarted(at=0.0, folder="", request="", agents=("a", "b", "c"), first_choices=())
        )
        keeper.notify(AgentDone(at=1.0, agent="a", route="one", file=""))
        assert read_state(tmp_path).done == 0
        for _ in range(PAUSE):
            next(clock)
        keeper.notify(AgentDone(at=1.0, agent="b", route="one", file=""))
        assert read_state(tmp_path).done == 2
        keeper.notify(AgentDone(at=1.0, agent="c", route="one", file=""))
        keeper.notify(RunEnded(at=2.0, done=3, failed=0, blocked=0))
    assert read_state(tmp_path).done == 3


def test_a_run_keeps_its_state_while_it_goes_on(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, "Build it.", {}) as folder:
        keeper = StateKeeper(folder, now=lambda: 0.0)
        keeper.notify(
            RunStarted(at=0.0, folder="", request="", agents=("a", "b", "c"), first_choices=())
        )
        assert read_state(tmp_path).state == "running"
        folder.store.notify(call_ended(1, agent="a", cost=0.5))
        keeper.notify(AgentDone(at=1.0, agent="a", route="one", file=""))
        keeper.notify(DeliverableKept(at=1.0, agent="b", file=""))
        keeper.notify(AgentFailed(at=1.0, agent="c", error=""))
        state = read_state(tmp_path)
    assert (state.agents, state.done, state.failed) == (3, 2, 1)
    assert (state.calls, state.cost) == (1, 0.5)


def test_a_call_that_failed_tells_nothing_of_what_an_answer_takes(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, "Build it.", {}) as folder:
        keeper = StateKeeper(folder, ["--flag"])
        keeper.notify(RunStarted(at=0.0, folder="", request="", agents=("a",), first_choices=()))
        keeper.notify(call_ended(1, agent="a", cause="connection", text=""))
        keeper.notify(call_ended(2, agent="a", usage=Usage(10, 5)))
        keeper.notify(RunEnded(at=1.0, done=0, failed=0, blocked=0))
    state = read_state(tmp_path)
    assert (state.flags, state.figures["a"].calls) == (["--flag"], 1)


@pytest.mark.parametrize(
    ("done", "interrupted", "state"),
    [(1, False, "done"), (0, False, "failed"), (0, True, "interrupted")],
)
def test_a_runs_state_says_how_it_ended(
    tmp_path: Path, done: int, interrupted: bool, state: str
) -> None:
    with RunFolder.create(tmp_path, "Build it.", {}) as folder:
        keeper = StateKeeper(folder)
        keeper.notify(RunStarted(at=0.0, folder="", request="", agents=("a",), first_choices=()))
        for _ in range(done):
            keeper.notify(AgentDone(at=1.0, agent="a", route="one", file=""))
        keeper.notify(RunEnded(at=1.0, done=done, failed=0, blocked=0, interrupted=interrupted))
    assert read_state(tmp_path).state == state


def test_a_run_whose_process_died_is_not_running(tmp_path: Path) -> None:
    create(tmp_path, RunState("running"))
    assert read_state(tmp_path).state == "interrupted"


@pytest.mark.parametrize("content", [None, "", "[]", "3", '{"state": "done", "colour": 1}'])
def test_a_state_that_cannot_be_read_is_unknown(tmp_path: Path, content: str | None) -> None:
    create(tmp_path)
    if content is not None:
        (tmp_path / "state.json").write_text(content, "utf-8")
    assert read_state(tmp_path).state == "unknown"


def test_a_run_is_busy_while_it_is_open(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, "Build it.", {}):
        assert is_busy(tmp_path)
    assert not is_busy(tmp_path)


def test_runs_are_listed_the_newest_first_and_nothing_else_is(tmp_path: Path) -> None:
    create(tmp_path / "old", RunState("done", updated=1.0))
    create(tmp_path / "new", RunState("done", updated=3.0))
    create(tmp_path / "middle", RunState("done", updated=2.0))
    point_latest(tmp_path / "middle")
    (tmp_path / "no-run").mkdir()
    (tmp_path / "notes.txt").touch()
    assert [path.name for path, _ in list_runs(tmp_path)] == ["new", "middle", "old"]


def test_where_there_are_no_runs_none_are_listed(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "runs") == []


def test_two_runs_are_compared_by_their_deliverables(tmp_path: Path) -> None:
    for name, text in (("one", "first"), ("two", "second")):
        run(tmp_path / name, [agent("a"), agent("b")], FakeProvider("one", [text, "same"]))
    assert list(differences(tmp_path / "one", tmp_path / "two")) == [
        "--- one/deliverables/01-a.md\n",
        "+++ two/deliverables/01-a.md\n",
        "@@ -1 +1 @@\n",
        "-first\n",
        "+second\n",
    ]


def test_a_deliverable_that_only_one_run_has_is_a_difference(tmp_path: Path) -> None:
    run(tmp_path / "one", [agent("a")], FakeProvider("one"))
    run(tmp_path / "two", [agent("a"), agent("b")], FakeProvider("one"))
    assert "+++ two/deliverables/02-b.md\n" in differences(tmp_path / "one", tmp_path / "two")


def test_a_run_that_was_changed_is_compared_with_what_it_was(tmp_path: Path) -> None:
    run(tmp_path, [agent("a"), agent("b")], FakeProvider("one", ["first", "same"]))
    changed = [agent("a", prompt="You are better."), agent("b")]
    run(tmp_path, changed, FakeProvider("one", ["second"]))
    changes = list(last_change(tmp_path))
    assert changes[0].endswith("/deliverables/01-a.md\n")
    assert changes[3:] == ["-first\n", "+second\n"]


def test_a_run_that_never_changed_has_nothing_to_compare_with(tmp_path: Path) -> None:
    run(tmp_path, [agent("a")], FakeProvider("one"))
    assert list(last_change(tmp_path)) == []


def test_a_deleted_run_is_gone_with_all_its_files(tmp_path: Path) -> None:
    remove(create(tmp_path / "one"))
    assert list(tmp_path.iterdir()) == []


def test_deleting_the_latest_run_leaves_no_link_to_nowhere(tmp_path: Path) -> None:
    for name in ("one", "two"):
        point_latest(create(tmp_path / name))
    remove(tmp_path / "one")
    assert (tmp_path / "latest").is_symlink()
    remove(tmp_path / "two")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_being_written_is_not_deleted(tmp_path: Path) -> None:
    with (
        RunFolder.create(tmp_path / "one", "Build it.", {}),
        pytest.raises(RunBusy, match="is being written by another rolecall"),
    ):
        remove(tmp_path / "one")
    assert (tmp_path / "one" / "journal.jsonl").is_file()


def test_a_run_that_its_budget_stopped_is_not_said_to_have_failed(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, "Build it.", {}) as folder:
        keeper = StateKeeper(folder)
        keeper.notify(RunStarted(at=0, folder="", request="", agents=("a", "b"), first_choices=()))
        keeper.notify(AgentFailed(at=1.0, agent="a", error="no answer"))
        keeper.notify(AgentFailed(at=1.0, agent="b", error="too dear", by_budget=True))
        keeper.notify(RunEnded(at=2.0, done=0, failed=2, blocked=0))
    assert read_state(tmp_path).state == "stopped by budget"


@pytest.mark.parametrize("linked", [True, False])
def test_the_newest_run_that_is_left_is_the_latest(tmp_path: Path, linked: bool) -> None:
    for number, name in enumerate(("new", "old", "newest")):
        create(tmp_path / name, RunState("done", updated=(2.0, 1.0, 3.0)[number]))
    if linked:
        point_latest(tmp_path / "newest")
    else:  # as where links are barred
        (tmp_path / "latest").write_text("newest", "utf-8")
    remove(tmp_path / "old")
    assert find_run(tmp_path, None).name == "newest"
    remove(tmp_path / "newest")
    assert find_run(tmp_path, None).name == "new"
    remove(tmp_path / "new")
    assert not list(tmp_path.iterdir())
