"""The parts of a plan that a run ends with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.cli.digest import LONGEST, list_questions, split_sections, summarize

PLAN = """\
> **Simulated reply.**

# The plan

Before all sections.

## Summary

You will have one program.

- It mails.

```sh
## no heading
```

## Questions to the operator

| id | question | default in force | needed |
|---|---|---|---|
| Q-1 | When does it \\| end? | 04:30 | T-09 |
| Q-2 | Under which licence? | – | – |
| Q-3 | – | yes | – |

## Next actions ##

1. Go.
"""


def test_a_plan_is_split_at_its_second_level_headings() -> None:
    titles = [section.title for section in split_sections(PLAN)]
    assert titles == ["Summary", "Questions to the operator", "Next actions"]


def test_the_summary_is_the_first_section() -> None:
    assert summarize(PLAN) == (
        "You will have one program.\n\n- It mails.\n\n```sh\n## no heading\n```"
    )


def test_a_long_summary_is_shortened_between_words() -> None:
    summary = summarize(f"## Summary\n\n{'word ' * LONGEST}")
    assert summary.endswith("word …")
    assert len(summary) <= LONGEST + 2


@pytest.mark.parametrize("text", ["", "# Only a title\n\nand a paragraph", "##none\n"])
def test_a_text_without_sections_has_no_summary_and_no_questions(text: str) -> None:
    assert (summarize(text), list_questions(text)) == ("", [])


def test_questions_in_a_table_come_with_the_default_in_force() -> None:
    assert list_questions(PLAN) == [
        "When does it | end? (default: 04:30)",
        "Under which licence?",
    ]


def test_questions_in_a_list_are_taken_as_they_are() -> None:
    assert list_questions("## Open Questions\n\n- One?\n* Two?\n3. Three?\n\nText.") == [
        "One?",
        "Two?",
        "Three?",
    ]


@pytest.mark.parametrize(
    "body", ["None.", "| question |\n|---|", "| a | b |\n|---|---|\n| – | x |"]
)
def test_a_section_without_questions_has_none(body: str) -> None:
    assert list_questions(f"## Questions\n\n{body}\n") == []


@given(st.text(alphabet="#`~|-* \n:ab\\1.", max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert isinstance(summarize(text), str)
    assert all(isinstance(question, str) for question in list_questions(f"## questions\n{text}"))
