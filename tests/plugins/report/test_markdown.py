"""Deliverables as HTML, and as parts of a longer text."""

import pytest

from rolecall_plugins.report.markdown import LONG, lower_headings, to_html


def test_headings_are_lowered_but_none_beyond_the_sixth_level() -> None:
    assert to_html("# a\n\n##### b", 2) == "<h3>a</h3>\n<h6>b</h6>\n"


def test_html_stays_text_and_an_image_becomes_a_link() -> None:
    html = to_html("<b>x</b> ![pixel](https://t.example/p.png)", 0)
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "<img" not in html
    assert 'href="https://t.example/p.png"' in html


@pytest.mark.parametrize("url", ["javascript:alert(1)", "vbscript:x", "data:text/html,x"])
def test_a_link_that_would_run_something_is_no_link(url: str) -> None:
    assert "href" not in to_html(f"[a link]({url})", 0)


def test_an_id_is_not_broken_at_its_hyphen() -> None:
    assert '<span class="id">REQ-01</span>' in to_html("see REQ-01, well-known", 0)
    assert "<span" not in to_html("`REQ-01` well-known A <REQ", 0)


def test_a_very_long_text_is_shown_as_it_was_written() -> None:
    assert to_html("# <a>\n" * LONG, 2).startswith("<pre># &lt;a&gt;\n")


@pytest.mark.parametrize(
    ("text", "lowered"),
    [
        ("# a\ntext\n## b", "### a\ntext\n#### b"),
        ("a\n=\ntext", "### a\n\ntext"),
        ("##### a", "###### a"),
        ("```\n# a comment\n```", "```\n# a comment\n```"),
        ("> # quoted", "> # quoted"),
        ("# a `#` *b*", "### a `#` *b*"),
    ],
)
def test_a_text_becomes_a_part_of_another_by_lowering_its_headings(text: str, lowered: str) -> None:
    assert lower_headings(text, 2) == lowered
