"""The report as Markdown, and when both reports are written."""

import asyncio
import shlex
from pathlib import Path

import pytest
from reported import failing_run, recorded, whole_run

from rolecall import RunError
from rolecall_plugins.report.writer import Report, render_text


def test_the_text_begins_with_the_request_and_the_plan(tmp_path: Path) -> None:
    text = render_text(recorded(whole_run(tmp_path, request="Build it.\nQuickly.")))
    assert text.startswith(
        "# Report\n\n> Build it.\n> Quickly.\n\n## Plan\n\n"
        "### Plan <script>alert(3)</script>\n\n#### Summary\n\nDo REQ-01 & REQ-02.\n\n"
        "## Deliverables\n\n"
        "- [researcher](deliverables/01-researcher.md), by claude/m\n"
        "- [planner](deliverables/02-planner.md), by claude/m\n\n"
        "## What the machine did\n\n"
        "2 of 2 deliverables; 4.0 s, 2 calls, $1.0000.\n"
    )
    assert "| claude | 2 | 2 | $1.0000 | 2.0 s | 2 | 0 | 2,000 | 100 | 1.0 s |\n" in text
    assert text.endswith("| claude/m |\n")


def test_the_text_of_a_run_that_is_not_whole_says_what_is_missing(tmp_path: Path) -> None:
    text = render_text(recorded(failing_run(tmp_path / "run")))
    run = shlex.quote(str(tmp_path / "run"))
    assert f"**The run was interrupted.** Go on with `rolecall resume {run}`.\n\n" in text
    assert (
        "- security: failed: no route <i>left</i>\n"
        "- writer: not run\n"
        "- coder: blocked: security failed\n\n## Deliverables\n"
    ) in text
    assert text.endswith(
        "## Not as planned\n\n"
        "- security: claude asked again after 1.5 s: `timeout`\n"
        "- architect: from gemini to claude: `safety`\n"
        "- claude/m: circuit open for 30 s: `timeout`\n"
    )


def test_what_was_paid_by_earlier_processes_counts(tmp_path: Path) -> None:
    assert "; 9.5 s, 3 calls, $1.5000." in render_text(recorded(failing_run(tmp_path / "run")))


def test_both_reports_are_written_when_the_run_is_over(tmp_path: Path) -> None:
    report = Report()
    for event in whole_run(tmp_path):
        report.notify(event)
    assert not list(tmp_path.glob("report.*"))
    asyncio.run(report.aclose())
    assert sorted(path.name for path in tmp_path.glob("report.*")) == ["report.html", "report.md"]
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_no_report_is_written_of_a_run_whose_end_was_not_heard(tmp_path: Path) -> None:
    report = Report()
    for event in whole_run(tmp_path)[:-1]:
        report.notify(event)
    asyncio.run(report.aclose())
    assert not list(tmp_path.glob("report.*"))


def test_a_link_in_a_reports_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    events = whole_run(tmp_path / "run")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine", "utf-8")
    for name in ("report.md", "report.html"):
        (tmp_path / "run" / name).symlink_to(elsewhere)
    report = Report()
    for event in events:
        report.notify(event)
    asyncio.run(report.aclose())
    assert elsewhere.read_text("utf-8") == "mine"
    assert (tmp_path / "run" / "report.html").is_file()
    assert not (tmp_path / "run" / "report.html").is_symlink()


def test_a_report_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    report = Report()
    for event in whole_run(tmp_path):
        report.notify(event)
    (tmp_path / "report.md").mkdir()
    with pytest.raises(RunError, match=r"report\.md: cannot be written"):
        asyncio.run(report.aclose())
