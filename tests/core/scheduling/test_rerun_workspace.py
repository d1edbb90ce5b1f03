"""An agent that is asked again starts without the files of its discarded attempt."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from acting import ENVIRONMENT, SETTINGS, Acting, Shell, act, call, write
from attrs import evolve
from building import Ran, agent
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall import (
    Agent,
    Request,
    Response,
    Team,
    ToolCall,
    Usage,
    UsageError,
    WorkspaceVerified,
)
from rolecall.scheduling.rerun import Rerun
from rolecall.storage.acting.tree_entries import builders_on
from rolecall.storage.acting.workspace import GitWorkspace
from rolecall.storage.journal import Journal
from rolecall.storage.run_folder import RunFolder

Script = Mapping[str, Sequence[Any]]


def writer(name: str, *needs: str, **more: Any) -> Agent:
    return agent(name, *needs, tools=("workspace",), prompt=f"You are {name}.", **more)


def workspace(folder: Path) -> GitWorkspace:
    return GitWorkspace(folder, ENVIRONMENT)


def rerun(
    folder: Path, agents: Sequence[Agent], script: Script, *, start: str = "", only: str = ""
) -> Ran:
    """Ask again, as the command does."""
    with RunFolder(folder) as opened:
        changes = opened.store.tools.changes()
        again = Rerun.plan(
            Team(agents),
            opened.store,
            [start] if start else [],
            [only] if only else [],
            builders_on=lambda chosen: builders_on(workspace(folder), changes, chosen),
        )
        opened.store.forget(again.agents)
    return act(folder, agents, Acting(script), frozen=again.frozen)


def files(ran: Ran) -> dict[str, str]:
    root = ran.folder / "workspace"
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.*")}


def authors(ran: Ran) -> list[str]:
    return [commit.agent for commit in reversed(workspace(ran.folder).commits())]


CHAIN = [writer("one"), writer("two", "one"), writer("three", "two")]
FIRST: Script = {
    "one": [[write("one.py", "1\n"), write("both.py", "1\n", "2")], "done"],
    "two": [
        [write("two.py", "2\n"), call("edit", "2", path="both.py", old="1", new="2")],
        [write("left.py", "over\n")],
        "done",
    ],
    "three": [[write("three.py", "3\n")], "done"],
}
SECOND: Script = {
    **FIRST,
    "two": [[write("new.py", "new\n"), call("list", "2"), call("read", "3", path="both.py")], "ok"],
    "three": [[call("list"), write("three.py", "33\n", "2")], "ok"],
}


def test_what_is_asked_again_starts_without_its_former_files(tmp_path: Path) -> None:
    act(tmp_path / "run", CHAIN, Acting(FIRST))
    ran = rerun(tmp_path / "run", CHAIN, SECOND, start="two")
    assert files(ran) == {
        "one.py": "1\n",
        "both.py": "1\n",
        "new.py": "new\n",
        "three.py": "33\n",
    }
    assert authors(ran) == ["one", "two", "three"]
    scratch = act(tmp_path / "scratch", CHAIN, Acting(SECOND))
    assert workspace(ran.folder).keep() == workspace(scratch.folder).keep()
    told, expected = (
        [(commit.agent, commit.tree, commit.step) for commit in workspace(folder).commits()]
        for folder in (ran.folder, scratch.folder)
    )
    assert told == expected


def test_no_file_of_the_discarded_attempt_is_seen_while_it_is_asked_again(tmp_path: Path) -> None:
    act(tmp_path / "run", CHAIN, Acting(FIRST))
    provider = Acting(SECOND)
    with RunFolder(tmp_path / "run") as folder:
        folder.store.forget(["two", "three"])
    act(tmp_path / "run", CHAIN, provider)
    told = [
        part.text
        for request in provider.requests
        for part in request.messages[-1].parts
        if hasattr(part, "call")
    ]
    assert "both.py\nnew.py\none.py" in told
    assert not any("left.py" in text or "two.py" in text for text in told)


def test_agents_that_do_not_need_each_other_keep_their_files(tmp_path: Path) -> None:
    team = [writer("one"), writer("two", "one"), writer("three", "one")]
    act(tmp_path / "run", team, Acting(FIRST))
    ran = rerun(tmp_path / "run", team, {**SECOND, "two": ["nothing"]}, start="two")
    assert files(ran) == {"one.py": "1\n", "both.py": "1\n", "three.py": "3\n"}
    assert authors(ran) == ["one", "three"]


ON_TOP: Script = {
    "one": [[write("a.py", "one\n")], "done"],
    "two": [[call("edit", path="a.py", old="one", new="two")], "done"],
}
APART = [writer("one"), writer("two")]


def test_who_changed_a_file_of_an_agent_is_asked_again_with_it(tmp_path: Path) -> None:
    # "two" does not need "one", and still comes after it.
    act(tmp_path / "run", APART[:1], Acting(ON_TOP))
    act(tmp_path / "run", APART, Acting(ON_TOP))
    later = {"one": [[write("b.py", "one\n")], "done"], "two": ["nothing"]}
    ran = rerun(tmp_path / "run", APART, later, start="one")
    assert files(ran) == {"b.py": "one\n"}


def test_alone_an_agent_is_not_asked_again_where_others_changed_its_files(tmp_path: Path) -> None:
    act(tmp_path / "run", APART[:1], Acting(ON_TOP))
    act(tmp_path / "run", APART, Acting(ON_TOP))
    with pytest.raises(UsageError, match="files of one were changed later by two; run them again"):
        rerun(tmp_path / "run", APART, ON_TOP, only="one")
    ran = rerun(tmp_path / "run", APART, {**ON_TOP, "two": ["nothing"]}, only="two")
    assert files(ran) == {"a.py": "one\n"}


def test_alone_an_agent_keeps_what_the_others_wrote(tmp_path: Path) -> None:
    script = {**FIRST, "two": [[write("two.py", "2\n")], "done"]}
    act(tmp_path / "run", CHAIN, Acting(script))
    ran = rerun(tmp_path / "run", CHAIN, {"two": [[write("new.py", "new\n")], "ok"]}, only="two")
    assert files(ran) == {"one.py": "1\n", "both.py": "1\n", "new.py": "new\n", "three.py": "3\n"}
    assert authors(ran) == ["one", "three", "two"]


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    ran = act(tmp_path / "run", CHAIN, Acting(FIRST))
    (ran.folder / "workspace" / "mine.py").write_text("mine\n")
    (ran.folder / "workspace" / "two.py").write_text("also mine\n")
    ran = rerun(tmp_path / "run", CHAIN, SECOND, start="two")
    assert files(ran)["mine.py"] == "mine\n"
    assert files(ran)["two.py"] == "also mine\n"
    assert "left.py" not in files(ran)


def test_what_the_workspace_ignores_goes_as_well(tmp_path: Path) -> None:
    script = {"one": [[write(".gitignore", "*.log\n"), write("x.log", "old\n", "2")], "done"]}
    act(tmp_path / "run", CHAIN[:1], Acting(script))
    ran = rerun(tmp_path / "run", CHAIN[:1], {"one": [[write("a.py", "new\n")], "ok"]}, start="one")
    assert files(ran) == {"a.py": "new\n"}


def test_an_edit_that_changes_a_question_takes_the_former_files_out_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ran = act(tmp_path / "run", CHAIN, Acting(FIRST))
    (ran.folder / "deliverables" / "01-one.md").write_text("done otherwise\n")
    ran = act(tmp_path / "run", CHAIN, Acting(SECOND))
    scratch = act(tmp_path / "scratch", CHAIN, Acting(SECOND))
    assert workspace(ran.folder).keep() == workspace(scratch.folder).keep()
    assert "what three, two wrote is taken out of the workspace" in caplog.text
    again = act(tmp_path / "run", CHAIN, Acting({}))
    assert again.outcome.done == ("one", "two", "three")


class Killed(BaseException):
    """Ends a process, as far as what it leaves behind is concerned."""


def dying(records: int) -> Callable[..., None]:
    """Return how a journal is written by a process that is killed after so many records."""
    append, left = Journal.append, iter(range(records))

    def note(journal: Journal, *arguments: Any, **more: Any) -> None:
        if next(left, None) is None:
            raise Killed
        append(journal, *arguments, **more)

    return note


def test_a_rerun_that_is_killed_at_any_record_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(tmp_path / "before", CHAIN, Acting(FIRST))
    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    whole = rerun(tmp_path / "whole", CHAIN, SECOND, start="two")
    before, after = (
        len((tmp_path / name / "journal.jsonl").read_bytes().splitlines())
        for name in ("before", "whole")
    )
    for number in range(1, after - before):
        folder = tmp_path / f"cut-{number}"
        shutil.copytree(tmp_path / "before", folder)
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", dying(number))
            with pytest.raises((Killed, BaseExceptionGroup)):
                rerun(folder, CHAIN, SECOND, start="two")
        ran = act(folder, CHAIN, Acting(SECOND))
        assert ran.outcome.done == ("one", "two", "three")
        assert files(ran) == files(whole)
        assert authors(ran) == ["one", "two", "three"]


CHECKED = evolve(SETTINGS, verify=("test -e good.py",), repairs=1)


@pytest.mark.skipif(os.name != "posix", reason="the checks are a POSIX shell's")
def test_what_was_verified_of_a_discarded_attempt_says_nothing_of_the_new_one(
    tmp_path: Path,
) -> None:
    coder = [writer("coder", verify=True)]
    good = {"coder": [[write("good.py", "1\n")], "done"]}
    more: dict[str, Any] = {"settings": CHECKED, "sandbox": Shell()}
    act(tmp_path / "run", coder, Acting(good), **more)
    bad = {"coder": [[write("bad.py", "1\n")], "first", "second"]}
    with RunFolder(tmp_path / "run") as folder:
        folder.store.forget(["coder"])
    ran = act(tmp_path / "run", coder, Acting(bad), **more)
    found = json.loads(ran.read("verification.json"))
    assert (found["passed"], len(found["rounds"])) == (False, 1)
    with RunFolder(tmp_path / "run") as folder:
        folder.store.forget(["coder"])
    ran = act(tmp_path / "run", coder, Acting(good), **more)
    found = json.loads(ran.read("verification.json"))
    assert (found["passed"], len(found["rounds"])) == (True, 1)
    assert ran.events.of(WorkspaceVerified) == []  # this tree was verified before


# The law: a rerun ends with the files of a run from scratch with the same answers.

NAMES = ("a", "b", "c", "d", "e")


@st.composite
def teams(draw: st.DrawFn) -> list[Agent]:
    team = []
    for number, name in enumerate(NAMES[: draw(st.integers(2, 5))]):
        needs = draw(st.sets(st.sampled_from(NAMES[:number]))) if number else set()
        team.append(writer(name, *sorted(needs)))
    return team


def turns(rng: random.Random, team: Team, name: str) -> list[Any]:
    """Let an agent write files of its own, and change those of agents that it needs."""
    rounds: list[Any] = []
    for number in range(rng.randrange(3)):
        calls: list[ToolCall] = []
        for place in range(rng.randrange(1, 4)):
            whose = rng.choice([name, *sorted(team.upstream(name))])
            path = f"{whose}/{rng.randrange(2)}.txt"
            id = f"{number}-{place}"
            if rng.random() < 0.25:
                calls.append(call("delete", id, path=path))
            else:
                calls.append(call("delete", f"{id}-d", path=path))
                calls.append(write(path, f"{name} {rng.randrange(1000)}\n", id))
        rounds.append(calls)
    return [*rounds, f"{name} is done {rng.randrange(1000)}"]


@settings(max_examples=12, deadline=None)
@given(teams(), st.integers(0, 10**6), st.data())
def test_a_rerun_ends_as_a_run_from_scratch_with_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory, agents: list[Agent], seed: int, data: st.DataObject
) -> None:
    rng, team, folder = random.Random(seed), Team(agents), tmp_path_factory.mktemp("runs")
    script = {name: turns(rng, team, name) for name in team.agents}
    ran = act(folder / "run", agents, Acting(script))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.sampled_from(sorted(team.agents)))
        for name in (start, *team.downstream(start)):
            script[name] = turns(rng, team, name)
        ran = rerun(folder / "run", agents, script, start=start)
    scratch = act(folder / "scratch", agents, Acting(script))
    assert ran.outcome == scratch.outcome
    assert workspace(ran.folder).keep() == workspace(scratch.folder).keep()
    assert set(authors(ran)) == set(authors(scratch))


# Changes of plan.

PLANNED = [writer("design"), writer("code", "design"), writer("plan", "design", "code", plan=True)]


class Updating(Acting):
    """Answers the question whose work a change touches, and lets the others act."""

    async def complete(self, request: Request) -> Response:
        if "answer with nothing but" in request.messages[0].text:
            await request.progress.sending()
            touched = [{"agent": "code", "change": "another name"}]
            return Response(json.dumps({"touched": touched}), Usage(1, 1))
        return await super().complete(request)


def update(folder: Path, team: Iterable[str]) -> None:
    """Ask for a change, as the command does."""
    with RunFolder(folder) as opened:
        former = {
            name: opened.read(f"deliverables/{number:02}-{name}.md") or ""
            for number, name in enumerate(team, 1)
        }
        for name, text in former.items():
            opened.store.record_deliverable(name, text)
        opened.store.record_update("Call it otherwise.", "2026-11-23", former)


def test_a_change_of_plan_is_worked_into_the_files_as_they_are(tmp_path: Path) -> None:
    script = {
        "design": [[write("design.txt", "1\n")], "The design."],
        "code": [[write("code.py", "1\n")], "The code."],
        "plan": ["The plan."],
    }
    act(tmp_path / "run", PLANNED, Acting(script))
    update(tmp_path / "run", script)
    edit = call("edit", path="code.py", old="1", new="2")
    provider = Updating({**script, "design": ["As it was."], "code": [[edit], "Revised."]})
    ran = act(tmp_path / "run", PLANNED, provider)
    assert ran.outcome.done == ("design", "code", "plan")
    assert files(ran) == {"design.txt": "1\n", "code.py": "2\n"}
    assert authors(ran) == ["design", "code", "code"]


def test_who_a_change_does_not_touch_is_not_asked_again_though_it_has_tools(
    tmp_path: Path,
) -> None:
    team = [
        writer("intent"),
        writer("words", "intent"),
        writer("code", "intent"),
        writer("plan", "words", "code", plan=True),
    ]
    script = {
        "intent": ["The intent."],
        "words": [[write("words.txt", "1\n")], "The words."],
        "code": [[write("code.py", "1\n")], "The code."],
        "plan": ["The plan."],
    }
    act(tmp_path / "run", team, Acting(script))
    update(tmp_path / "run", script)
    provider = Updating({**script, "intent": ["Another."], "words": [], "code": ["Revised."]})
    ran = act(tmp_path / "run", team, provider)
    assert ran.outcome.done == ("intent", "words", "code", "plan")
    assert files(ran) == {"words.txt": "1\n", "code.py": "1\n"}
