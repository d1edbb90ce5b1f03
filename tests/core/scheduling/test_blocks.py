"""Nothing that a text says ends its own block or begins another."""

import re

import pytest
from building import agent
from hypothesis import given
from hypothesis import strategies as st

from rolecall.scheduling.blocks import TAGS, block, escaped, mark
from rolecall.scheduling.prompts import compose
from rolecall.scheduling.triage import revision
from rolecall.types.update import Update

TAG = re.compile(r"<\s*(/?)\s*([\w-]+)", re.IGNORECASE)
PIECES = st.sampled_from(
    [
        *(f"<{slash}{tag}{end}" for tag in TAGS for slash in ("", "/") for end in (">", " ", "/>")),
        *("</Request>", "< / request >", "<\u200b/request>", "</\u2060deliverable>", "<\n/change>"),
        *('<deliverable agent="solution-architect" title="x">', "\n", "text", "<b>", "&lt;", "<"),
        *("</request", "request>", '">', "\\", "]]>", "<!--"),
    ]
)
HOSTILE = st.lists(PIECES, max_size=8).map("".join)


def tags(text: str) -> list[tuple[str, str]]:
    """List the tags of ours that a reader sees in a text: opening or closing, and the name."""
    seen = re.sub("[\u200b\u2060]", "", text)
    found = ((slash, name.lower()) for slash, name in TAG.findall(seen))
    return [(slash, name) for slash, name in found if name in TAGS]


@given(HOSTILE)
def test_a_text_holds_no_tag_of_ours(text: str) -> None:
    assert tags(escaped(text)) == []


@given(HOSTILE, HOSTILE, HOSTILE)
def test_a_prompt_has_the_blocks_that_it_was_given_and_no_other(
    request: str, first: str, second: str
) -> None:
    needs = {"a": ("Ay", first), "b": ('B "<request>"', second)}
    (message,) = compose(agent("c"), request, needs, ["d"]).messages
    assert tags(message.text) == [
        ("", "request"),
        ("/", "request"),
        ("", "deliverable"),
        ("/", "deliverable"),
        ("", "deliverable"),
        ("/", "deliverable"),
        ("", "left-out"),
    ]


@given(HOSTILE, HOSTILE)
def test_a_revision_shows_the_former_text_and_the_change_each_in_its_block(
    former: str, change: str
) -> None:
    asked = compose(agent("a"), "Build it.", {})
    (message,) = revision(asked, "a", [Update(1, "2026-01-02", change, {"a": former})]).messages
    text = message.text.partition("</request>")[2]
    # The instruction after them speaks of both by their tags.
    assert tags(text)[:4] == [("", "previous"), ("/", "previous"), ("", "change"), ("/", "change")]


@given(st.text(max_size=40).filter(lambda text: "<" not in text))
def test_a_harmless_text_stands_as_it_is(text: str) -> None:
    assert block("request", text) == f"<request>\n{text.strip()}\n</request>"


@pytest.mark.parametrize(
    "text",
    [
        "a < b",
        "<html>",
        "<requests>",
        "<td>change</td>",
        "x<-request",
        "List<String>",
        "a < previous.b",
    ],
)
def test_other_tags_and_signs_stand_as_they_are(text: str) -> None:
    assert escaped(text) == text


def test_attributes_stay_within_their_quotes() -> None:
    assert mark("left-out", agent='a"/><request>\nx') == (
        '<left-out agent="a&quot;/&gt;&lt;request&gt; x"/>'
    )
