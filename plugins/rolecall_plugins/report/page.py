"""Draws report.html: `python -m rolecall_plugins.report.page FILE`, with the story on stdin.

The page runs no script and loads nothing; what models wrote is escaped, or Markdown without HTML.
"""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .charts import critical_path, distribution, draw, graph, timeline

if TYPE_CHECKING:
    from jinja2 import Template

LONG = 300_000  # characters, beyond which a deliverable is shown as it was written
DEEPER = 2  # levels that a deliverable's headings stand below the page's own


def render(story: Mapping[str, Any]) -> str:
    """Give the page as HTML."""
    from markupsafe import Markup

    lines = timeline(story)
    dependants: dict[str, list[str]] = {}
    for agent in story["agents"]:
        for need in agent["needs"]:
            dependants.setdefault(need, []).append(agent["name"])
    return _template().render(
        story=story,
        style=Markup(_file("page.css")),
        when=datetime.fromtimestamp(story["when"], UTC).strftime("%Y-%m-%d %H:%M UTC"),
        timeline=Markup(draw(lines)) if lines else "",
        graph=Markup(draw(graph(story))),
        distribution=Markup(draw(distribution(story))),
        path=critical_path(story),
        dependants=dependants,
        as_html=lambda text: Markup(as_html(text)),
        clock=_clock,
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, autoescape=True, trim_blocks=True)
    return environment.from_string(_file("page.html.j2"))


def as_html(text: str) -> str:
    """Turn a deliverable's Markdown into HTML; HTML within it stays text, images stay links."""
    from markdown_it import MarkdownIt
    from markupsafe import escape

    if len(text) > LONG:
        return f"<pre>{escape(text)}</pre>"
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + DEEPER)}"
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def get_ready() -> None:
    """Import and make ready what a page needs, which takes as long as drawing one."""
    draw({"data": {"values": [{}]}, "mark": "point"})
    as_html("")
    _template()


def main() -> None:
    """Write the page of the story that comes, whole or not at all."""
    path = Path(sys.argv[1])
    get_ready()
    story = sys.stdin.read()
    if not story:
        return  # who was to tell it is gone
    page = render(json.loads(story))
    partial = path.with_name(path.name + ".part")
    partial.write_text(page, "utf-8", errors="replace")
    os.replace(partial, path)


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


if __name__ == "__main__":
    main()
