"""The parts of a plan that a run ends with: its summary, and its questions to the operator."""

import re
from collections.abc import Iterator, Sequence

from attrs import frozen

LONGEST = 1500  # characters of a summary that are shown
_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}##[ \t]+(.*?)[ \t]*#*[ \t]*")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])[ \t]+(.*)")
_CELL = re.compile(r"(?<!\\)\|")
_NOTHING = {"", "-", "–", "—"}


@frozen
class Section:
    """A second-level heading of a Markdown text, and the lines below it."""

    title: str
    lines: tuple[str, ...]


def split_sections(text: str) -> list[Section]:
    """Split a Markdown text at its second-level headings; what stands before the first is left out.

    A heading within a fence of code is none.
    """
    titles: list[str] = []
    bodies: list[list[str]] = []
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        heading = None if fence else _HEADING.fullmatch(line)
        if heading:
            titles.append(heading[1])
            bodies.append([])
        elif bodies:
            bodies[-1].append(line)
    return [Section(title, tuple(body)) for title, body in zip(titles, bodies, strict=True)]


def summarize(text: str) -> str:
    """Return the plan's first section, shortened where it is long."""
    sections = split_sections(text)
    summary = "\n".join(sections[0].lines).strip() if sections else ""
    if len(summary) <= LONGEST:
        return summary
    return f"{summary[:LONGEST].rpartition(' ')[0]} …"


def list_questions(text: str) -> list[str]:
    """List the questions of the section that is titled so, each with the default in force."""
    for section in split_sections(text):
        if "question" in section.title.lower():
            return list(_from_table(section.lines)) or list(_from_list(section.lines))
    return []


def _from_table(lines: Sequence[str]) -> Iterator[str]:
    rows = [_cells(line) for line in lines if line.lstrip().startswith("|")]
    if len(rows) < 3:  # a heading, what parts it from the rows, and no row
        return
    heading = [cell.lower() for cell in rows[0]]
    question_column = next((place for place, name in enumerate(heading) if "question" in name), 0)
    default_column = next((place for place, name in enumerate(heading) if "default" in name), -1)
    for row in rows[2:]:
        cells = dict(enumerate(row))
        question, default = cells.get(question_column, ""), cells.get(default_column, "")
        if question not in _NOTHING:
            yield question if default in _NOTHING else f"{question} (default: {default})"


def _from_list(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        item = _ITEM.fullmatch(line)
        if item:
            yield item[1].strip()


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace(r"\|", "|") for cell in _CELL.split(inner)]
