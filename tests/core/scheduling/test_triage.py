"""Changes: who is touched, what is asked, and what the plan says of it."""

import pytest
from attrs import evolve
from building import REQUEST, agent

from rolecall import Message, Request, Team, UsageError
from rolecall.json_schema import answer_fault
from rolecall.scheduling.triage import (
    check_updatable,
    read_triage,
    revisers,
    revision,
    roots,
    triage,
)
from rolecall.types.update import Update

TEAM = Team(
    [
        agent("intent"),
        agent("design", "intent"),
        agent("code", "design"),
        agent("words", "intent"),
        agent("plan", "*", plan=True),
    ]
)
FORMER = {name: f"Former text of {name}." for name in TEAM.agents}
UPDATE = Update(1, "2026-11-23", "Use SQLite.\n", FORMER)


def text(request: Request) -> str:
    return request.messages[-1].text


def test_those_who_read_the_request_alone_interpret_a_change() -> None:
    assert roots(TEAM) == ("intent",)


@pytest.mark.parametrize(
    ("touched", "others"),
    [((), set()), (("words",), {"words"}), (("design",), {"design", "code"}), (("intent",), set())],
)
def test_who_is_touched_and_all_who_need_them_revise(
    touched: tuple[str, ...], others: set[str]
) -> None:
    assert revisers(TEAM, dict.fromkeys(touched, "")) == {"intent", "plan", *others}


def test_an_agent_revises_its_former_text_by_all_changes_so_far() -> None:
    later = evolve(
        UPDATE, number=2, date="2026-11-24", change="In Rust.", former={"code": "Newer."}
    )
    asked = text(revision(REQUEST, "code", [UPDATE, later]))
    assert asked.startswith(text(REQUEST))
    assert "<previous>\nNewer.\n</previous>" in asked
    first, second = asked.index("Use SQLite."), asked.index('<change number="2" date="2026-11-24">')
    assert first < second
    assert "Keep word for word what still holds" in asked


def test_the_planner_is_asked_with_all_that_stands_and_who_there_is_to_choose() -> None:
    planner = evolve(TEAM.agents["plan"], shared="Conventions.")
    asked = triage(planner, TEAM, "Build it.", {"intent": ("Intent", "New.")}, UPDATE, REQUEST)
    assert asked.system == "Conventions."
    assert '<deliverable agent="intent" title="Intent">\nNew.' in text(asked)
    assert "<change>\nUse SQLite.\n</change>" in text(asked)
    assert "only those of intent are revised" in text(asked)
    listed = [line for line in text(asked).splitlines() if line.startswith("- ")]
    assert [line.split(":")[0] for line in listed] == ["- design", "- code", "- words"]


def test_the_answer_must_name_agents_there_are_to_choose() -> None:
    asked = triage(TEAM.agents["plan"], TEAM, "Build it.", {}, UPDATE, REQUEST)
    assert asked.schema is not None
    fitting = '{"touched": [{"agent": "design", "change": "another store"}]}'
    assert answer_fault(asked.schema, fitting) == ""
    assert read_triage(fitting) == {"design": "another store"}
    assert read_triage('{"touched": []}') == {}
    for answer in (fitting.replace("design", "intent"), "The design, I think.", "{}"):
        assert answer_fault(asked.schema, answer)


def test_the_plan_gets_a_dated_section() -> None:
    told = evolve(UPDATE, touched={"design": "another store"}).section
    assert told == "## Change 2026-11-23: Use SQLite.\n\n- design: another store"


def test_a_long_change_is_headed_by_its_first_line_and_told_whole() -> None:
    change = f"{'word ' * 40}\nand more"
    head, body, who = evolve(UPDATE, change=change, touched={}).section.split("\n\n")
    assert len(head) <= len("## Change 2026-11-23: ") + 80
    assert body == change
    assert who == "Nobody else's work is touched."


def test_an_unfinished_run_is_not_updated() -> None:
    with pytest.raises(UsageError, match="code: no deliverable yet; finish the run with resume"):
        check_updatable(TEAM, {name: "x" for name in TEAM.agents if name != "code"})


def test_a_team_without_a_planner_cannot_be_updated() -> None:
    with pytest.raises(UsageError, match="plan=True"):
        check_updatable(Team([agent("a")]), {"a": "x"})


def test_a_message_of_the_planner_is_the_last_one() -> None:
    request = evolve(REQUEST, messages=(Message("user", "a"), Message("user", "b")))
    assert revision(request, "code", [UPDATE]).messages[0] == Message("user", "a")
