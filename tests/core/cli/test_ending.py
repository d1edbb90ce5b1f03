"""What a run ends with."""

from pathlib import Path

import pytest
from attrs import evolve
from building import TRUNCATED, Ran, agent, failing, run

from rolecall import Agent, Response, Team, Usage
from rolecall.cli.ending import MANY, WIDEST, RunEnding
from rolecall.testing import FakeProvider

PLAN = """\
# Plan

## Summary

You will have one program that does what was asked for, and no other one that does more than that.

## Questions to the operator

- Which one?
"""


def team(*names: str) -> list[Agent]:
    writers = [agent(name) for name in names]
    return [*writers, evolve(agent("planner", *names), plan=True)]


def ending(ran: Ran, agents: list[Agent], seconds: float = 4.0) -> RunEnding:
    numbers = {each.name: number for number, each in enumerate(agents, 1)}

    def file_of(name: str) -> str:
        return f"deliverables/{numbers[name]:02}-{name}.md"

    return RunEnding.of(ran.folder, Team(agents), file_of, ran.outcome, ran.ledger, seconds)


def done(folder: Path, *script: Response | str, agents: list[Agent] | None = None) -> RunEnding:
    agents = agents or team("writer")
    return ending(run(folder, agents, FakeProvider("one", script, default=PLAN)), agents)


def test_a_run_ends_with_what_was_made_the_summary_questions_and_where_to_look(
    tmp_path: Path,
) -> None:
    (tmp_path / "one").mkdir()
    answer = Response("text", Usage(1000, 50), cost=0.25)
    last = Response(PLAN, Usage(1000, 50), cost=0.25)
    shown = done(tmp_path / "one", answer, last)
    (tmp_path / "one" / "report.html").write_text("<p>", "utf-8")
    assert shown.text() == (
        "Made\n"
        "  deliverables/01-writer.md\n"
        "  deliverables/02-planner.md\n"
        "  PLAN.md\n"
        "\n"
        "In short\n"
        "  You will have one program that does what was asked for, and no other one that does more "
        "than that.\n"
        "\n"
        "Questions to the operator\n"
        "  1. Which one?\n"
        "\n"
        "2 of 2 agents in 4.0 s for $0.5000; rolecall report shows calls, tokens and costs\n"
        f"{tmp_path / 'one' / 'PLAN.md'}\n"
        f"{tmp_path / 'one'}"
    )


def test_what_plugins_left_is_made_and_pages_are_where_to_look(tmp_path: Path) -> None:
    agents = team("writer")
    ran = run(tmp_path, agents, FakeProvider("one", default=PLAN))
    for name in ("page.html", "notes.txt", ".hidden", "history/001/PLAN.md", "workspace/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x", "utf-8")
    shown = ending(ran, agents)
    files = [name for name, _ in shown.made]
    assert files[2:] == ["PLAN.md", "notes.txt", "page.html", "workspace/a.py"]
    assert shown.pages == ["PLAN.md", "page.html"]


def test_text_is_wrapped_to_a_terminal_but_no_wider_than_can_be_read(tmp_path: Path) -> None:
    shown = done(tmp_path)
    narrow = shown.text(40).splitlines()
    assert "  You will have one program that does" in narrow
    assert max(len(line) for line in shown.text(1000).splitlines()[:-1]) <= WIDEST


def test_a_deliverable_that_is_cut_or_kept_is_marked(tmp_path: Path) -> None:
    shown = done(tmp_path, *[TRUNCATED] * 5)
    assert dict(shown.made)["deliverables/01-writer.md"] == "cut off"
    agents = team("writer")
    again = ending(run(tmp_path, agents, FakeProvider("one", default=PLAN)), agents)
    assert dict(again.made)["deliverables/02-planner.md"] == "kept"


def test_the_plan_of_an_earlier_state_is_not_shown(tmp_path: Path) -> None:
    done(tmp_path)
    agents = [agent("writer", prompt="You are better."), *team("writer")[1:]]
    ran = run(tmp_path, agents, FakeProvider("one", failing("refusal")))
    shown = ending(ran, agents)
    assert (tmp_path / "PLAN.md").is_file()
    assert (shown.summary, shown.questions, shown.made) == ("", (), ())
    assert shown.text().startswith("0 of 2 agents in 4.0 s for $0.0000; ")


def test_many_files_of_a_folder_are_counted(tmp_path: Path) -> None:
    many = tuple((f"deliverables/{number:02}.md", "") for number in range(MANY))
    made = (("deliverables/first.md", "cut off"), *many, ("PLAN.md", ""))
    assert evolve(done(tmp_path), made=made).text().splitlines()[1:4] == [
        f"  deliverables/ ({MANY + 1} files)",
        "  deliverables/first.md (cut off)",
        "  PLAN.md",
    ]


HEADED = """\
# Plan

<!-- written by rolecall -->
## Start here

In the folder of this page these commands hand out the files, check them and start the program:

    rolecall files . -o ../program
    cd ../program
    python3 -m unittest
    python3 app.py

**Verified by rolecall:** 1 of 2 checks passed, without a sandbox, today.

- `python3 -m unittest`: passed
- `ruff check`: FAILED (exit status 1)
<!-- end of rolecall's words -->

## What you have

An app.
"""


def test_a_run_ends_with_how_to_start_what_there_is_and_what_was_verified(tmp_path: Path) -> None:
    shown = done(tmp_path, "text", HEADED)
    # What the model wrote of it is no word of rolecall's, and was taken out.
    assert (shown.start, shown.verified, shown.summary) == ((), (), "An app.")
    (tmp_path / "PLAN.md").write_text(HEADED, "utf-8")
    agents = team("writer")
    ran = run(tmp_path, agents, FakeProvider("one"), frozen=["planner"])
    shown = ending(ran, agents)
    text = shown.text()
    assert (
        "Start it\n"
        f"  rolecall files {tmp_path} -o program\n"
        "  cd program\n"
        "  python3 -m unittest\n"
        "  python3 app.py\n"
        "\n"
        "Verified by rolecall: 1 of 2 checks passed, without a sandbox, today.\n"
        "- `ruff check`: FAILED (exit status 1)\n"
        "\n"
        "In short\n"
        "  An app.\n"
    ) in text
    assert shown.json()["start"][-1] == "python3 app.py"


def test_programs_are_told_the_same(tmp_path: Path) -> None:
    told = done(tmp_path).json()
    assert told == {
        "files": ["deliverables/01-writer.md", "deliverables/02-planner.md", "PLAN.md"],
        "start": [],
        "verified": [],
        "plan": {
            "summary": PLAN.splitlines()[4],
            "questions": ["Which one?"],
        },
        "elapsed_seconds": 4.0,
    }


@pytest.mark.parametrize("cost", [None, 0.25])
def test_an_unknown_price_is_not_free(tmp_path: Path, cost: float | None) -> None:
    answer = Response(PLAN, Usage(1000, 50), cost=cost)
    shown = done(tmp_path, answer, answer)
    assert shown.money == ("unknown" if cost is None else "$0.5000")
