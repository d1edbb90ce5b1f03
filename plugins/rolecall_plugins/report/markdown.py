"""Deliverables as HTML, and as parts of a longer Markdown text."""

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONG = 300_000  # characters, beyond which a text is shown as it was written
DEEPEST = 6  # of a heading
_ID = re.compile(r"\b[A-Z][A-Z0-9]*(?:-[A-Z0-9.]*[A-Z0-9])+\b")


def to_html(text: str, deeper: int) -> str:
    """Render Markdown; HTML within it stays text, and images become links.

    deeper: levels that headings are lowered by.
    """
    if len(text) > LONG:
        return f"<pre>{escape(text)}</pre>"
    parser = _parser()
    tokens = parser.parse(text)
    for token in _headings(tokens):
        token.tag = f"h{_lowered(token, deeper)}"
    return str(parser.renderer.render(tokens, parser.options, {}))


def lower_headings(text: str, deeper: int) -> str:
    """Lower the headings of a Markdown text, so that it can be a part of another."""
    lines = text.splitlines()
    tokens = _parser().parse(text)
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and token.map is not None and token.level == 0:
            first, end = token.map
            lines[first:end] = [f"{'#' * _lowered(token, deeper)} {content.content}"] + [""] * (
                end - first - 1
            )
    return "\n".join(lines)


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.add_render_rule("text", _unbroken)
    return parser


def _unbroken(
    renderer: object, tokens: "Sequence[Token]", number: int, options: object, env: object
) -> str:
    """Render text in which an id like REQ-01 is not broken at the end of a line."""
    text = escape(tokens[number].content)
    return _ID.sub(lambda match: f'<span class="id">{match[0]}</span>', text)


def _headings(tokens: "Sequence[Token]") -> "Sequence[Token]":
    return [token for token in tokens if token.type in ("heading_open", "heading_close")]


def _lowered(token: "Token", deeper: int) -> int:
    return min(DEEPEST, int(token.tag[1:]) + deeper)
