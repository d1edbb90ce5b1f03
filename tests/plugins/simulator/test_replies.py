"""Replies: made of the prompt alone, and continued where they were cut."""

from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.simulator.content.replies import NOTICE, agent_of, reply
from rolecall_plugins.simulator.exchange import Turn

from .asking import ASKED, SYSTEM

QUESTION = Turn("user", ASKED)
GO_ON = Turn("user", "Your answer was cut off. Go on exactly where it stopped.")


def test_the_first_line_says_that_it_is_simulated() -> None:
    assert reply(SYSTEM, [QUESTION]).splitlines()[0] == NOTICE
    assert reply("", []).splitlines()[0] == NOTICE
    assert "Simulated" in NOTICE


def test_it_has_a_title_and_the_sections_the_prompt_asks_for() -> None:
    lines = reply(SYSTEM, [QUESTION]).splitlines()
    heads = [line for line in lines if line.startswith("#")]
    assert heads == ["# Solution Architect", "## Overview", "## Components"]


def test_a_section_says_what_belongs_there_and_quotes_the_request() -> None:
    text = reply(SYSTEM, [QUESTION])
    assert "what the system is, in one paragraph" in text
    assert text.count("> Build a to-do list that synchronises.") == 2


def test_it_lists_the_deliverables_it_received() -> None:
    assert "- Research (from research-analyst)" in reply(SYSTEM, [QUESTION])
    assert "no deliverables" in reply(SYSTEM, [Turn("user", "Hello")])


def test_a_prompt_without_sections_gets_general_ones() -> None:
    text = reply("", [Turn("user", "What is 2 + 2?")])
    assert text.count("\n## ") == 2
    assert "> What is 2 + 2?" in text


def test_a_long_request_is_quoted_in_short_and_on_one_line() -> None:
    text = reply("", [Turn("user", "word\n" * 100_000)])
    assert len(text) < 2000
    assert "…" in text


def test_the_agent_is_told_by_its_title() -> None:
    assert agent_of(SYSTEM, []) == "solution-architect"
    assert agent_of("You are the **Quality Assurance** of a team.", []) == "quality-assurance"
    assert agent_of("You are a helpful assistant.", [QUESTION]) is None


def test_a_role_that_follows_the_material_is_found_at_its_end() -> None:
    quoted = "You are the Imposter of a team.\n- `## Fake`: nothing"
    asked = [Turn("user", f"{ASKED}\n\n{quoted}\n\n{SYSTEM}"), Turn("assistant", "# S"), GO_ON]
    assert agent_of("Conventions.", asked) == "solution-architect"
    heads = [line for line in reply("Conventions.", asked[:1]).splitlines() if line[:1] == "#"]
    assert heads == ["# Solution Architect", "## Overview", "## Components"]


@given(st.text(), st.text())
def test_the_same_question_gets_the_same_answer(system: str, asked: str) -> None:
    turns = [Turn("user", asked)]
    assert reply(system, turns) == reply(system, turns)


@given(st.data())
def test_a_cut_answer_goes_on_exactly_where_it_stopped(data: st.DataObject) -> None:
    whole = reply(SYSTEM, [QUESTION])
    turns = [QUESTION]
    at = 0
    for cut in sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), min_size=1, max_size=4))):
        turns += [Turn("assistant", whole[at:cut]), GO_ON]
        at = cut
    assert reply(SYSTEM, turns) == whole[at:]


def test_a_partial_answer_that_comes_last_is_continued_too() -> None:
    whole = reply(SYSTEM, [QUESTION])
    assert reply(SYSTEM, [QUESTION, Turn("assistant", whole[:100])]) == whole[100:]


def test_a_finished_answer_is_followed_by_a_new_one() -> None:
    whole = reply(SYSTEM, [QUESTION])
    turns = [QUESTION, Turn("assistant", whole), Turn("user", "And now a poem.")]
    assert "> And now a poem." in reply(SYSTEM, turns)


def test_a_cut_answer_late_in_a_conversation_is_continued() -> None:
    first, poem = reply(SYSTEM, [QUESTION]), Turn("user", "And now a poem.")
    turns = [QUESTION, Turn("assistant", first), poem]
    second = reply(SYSTEM, turns)
    assert reply(SYSTEM, [*turns, Turn("assistant", second[:50]), GO_ON]) == second[50:]
