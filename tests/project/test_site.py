"""The docs site: every page is reached, and what maintainers are sent to is really there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from places import ROOT

from rolecall_plugins.team import roles

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
# Where a path of the page on the architecture may begin.
ROOTS = (ROOT, ROOT / "core" / "rolecall", ROOT / "plugins" / "rolecall_plugins")


def linked(navigation: Any) -> Iterator[str]:
    """List the pages of the site's navigation, in order."""
    if isinstance(navigation, str):
        yield navigation
    else:
        for entry in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from linked(entry)


def test_every_page_is_in_the_navigation_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(linked(site["nav"])) == PAGES


def test_the_site_is_built_strictly_and_loads_nothing_from_elsewhere() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert site["strict"] is True
    assert site["theme"]["font"] is False
    assert "extra_javascript" not in site


def test_the_page_of_the_team_lists_each_agent_with_its_provider_and_its_job() -> None:
    text = (DOCS / "team.md").read_text("utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \| (Claude|Gemini) \| ([^|]+) \|", text, re.MULTILINE)
    assert rows == [(name, routes[0].title(), goal) for name, routes, _, goal in roles.TABLE]


def test_the_drawing_of_the_team_shows_each_agent_in_the_colour_of_its_provider() -> None:
    drawing = (DOCS / "assets" / "team.svg").read_text("utf-8")
    drawn = re.findall(r'class="(\w+)" data-agent="([\w-]+)"', drawing)
    colour = {"claude": "box", "gemini": "side"}
    assert {name: drawn_as for drawn_as, name in drawn} == {
        name: colour[routes[0]] for name, routes, *_ in roles.TABLE
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_another_page_leads_to_one(page: str) -> None:
    # `mkdocs build --strict` checks anchors too; this needs nothing installed.
    text = (DOCS / page).read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (DOCS / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_path_that_a_maintainer_is_sent_to_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    paths = re.findall(r"`([\w./-]+(?:/|\.(?:py|md|toml|yml|svg|yaml)))`", text)
    assert len(paths) > 5
    run = (".venv/", "runs/", "deliverables/", "PLAN.md", "request.md", "run.toml", "release.yml")
    missing = [
        path
        for path in paths
        if not path.startswith(run) and not any((root / path).exists() for root in ROOTS)
    ]
    assert missing == []


def test_the_drawing_of_a_request_names_files_that_exist() -> None:
    drawing = (DOCS / "assets" / "walk.svg").read_text("utf-8")
    files = re.findall(r'class="name"[^>]*>([\w/]+\.py)<', drawing)
    assert len(files) > 5
    assert [file for file in files if not any((root / file).exists() for root in ROOTS)] == []
