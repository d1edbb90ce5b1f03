"""The page that a run leaves."""

import shutil
import subprocess
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from attrs import evolve
from reported import (
    HOSTILE,
    NAMES,
    acting_run,
    check,
    failing_run,
    recorded,
    tool_ended,
    verified,
    whole_run,
)

from rolecall import Event, WorkspaceLeft, WorkspaceVerified
from rolecall_plugins.report.page import BEGINNING, LARGE, ROOM, make_title, render_page
from rolecall_plugins.report.record import RunRecord

Open = Callable[[int], tuple[bytes, str]]


class Page(HTMLParser):
    """What a page holds, by element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.pieces: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if "id" in values:
            self.ids.append(values["id"] or "")
        if tag == "a":
            self.links.add(values.get("href") or "")
        self.loads += [values[name] or "" for name in ("src", "srcset", "data") if name in values]
        self.handlers += [name for name in values if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data
        self.pieces.append(data)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_page(recorded(failing_run(tmp_path_factory.mktemp("failed") / "run")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_page(recorded(whole_run(tmp_path_factory.mktemp("whole"))))


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_page(recorded(acting_run(tmp_path_factory.mktemp("acted"))))


def test_the_page_begins_with_the_request_and_the_plan(whole: str) -> None:
    body = whole[whole.index("<main>") :]
    order = ['id="request"', 'id="plan"', 'id="deliverables"', 'id="timeline"', 'id="team"']
    assert sorted(order, key=body.index) == order
    assert 'Do <span class="id">REQ-01</span> &amp; ' in body[: body.index('id="deliverables"')]


def test_the_plan_is_shown_once(whole: str) -> None:
    assert whole.count("&lt;script&gt;alert(3)") == 1
    assert 'It is the <a href="#plan">plan</a>.' in whole


def test_the_page_runs_no_script_and_loads_nothing(failed: str, whole: str, acted: str) -> None:
    for html in (failed, whole, acted):
        page = Page(html)
        assert "script" not in page.tags
        assert not page.handlers
        assert not page.loads
        assert "default-src 'none'" in html
        assert "<script>alert" not in html


def test_what_models_and_people_wrote_is_shown_as_text(failed: str) -> None:
    page = Page(failed)
    for text in (
        "Build it <script>alert(0)</script>",
        "Draft <script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</pre><script>alert(2)</script>",
        "no route <i>left</i>",
        "safety: blocked <b>",
        "מסמך 🎉",
    ):
        assert text in page.text
    assert not any(link.startswith("javascript") for link in page.links)


def test_every_link_within_the_page_leads_to_one_place(failed: str, whole: str, acted: str) -> None:
    for html in (failed, whole, acted):
        page = Page(html)
        within = {link[1:] for link in page.links if link.startswith("#")}
        assert within <= set(page.ids)
        assert len(set(page.ids)) == len(page.ids)
    assert {f"agent-{name}" for name in NAMES} <= set(Page(failed).ids)


def test_a_run_that_is_not_whole_says_first_what_is_missing_and_how_to_go_on(failed: str) -> None:
    page = Page(failed)
    first = page.text[: page.text.index("What the machine did")]
    for text in (
        "The run was interrupted.",
        "security: failed: no route <i>left</i>",
        "coder: blocked: security failed",
        "writer: not run",
        "Go on with: rolecall resume ",
        "2 of 5 deliverables",
    ):
        assert text in first


def test_a_plan_of_an_earlier_state_is_said_to_be_one(tmp_path: Path) -> None:
    events = failing_run(tmp_path / "run")
    (tmp_path / "run" / "PLAN.md").write_text("# Before", "utf-8")
    assert "The plan is of an earlier state." in render_page(recorded(events))


def test_a_whole_run_says_nothing_of_how_to_go_on(whole: str) -> None:
    assert "rolecall resume" not in whole
    assert 'class="alert"' not in whole


def test_the_page_tells_what_the_run_came_to(failed: str) -> None:
    page = Page(failed)
    for text in (
        "$1.5000 all on claude/m, an unknown sum all on gemini/n",
        "Prompt caches saved $0.2500.",
        "Answers that were kept saved $0.5000.",
        "architect: from gemini to claude: safety",
        "security: claude asked again after 1.5 s: timeout",
        "claude/m: circuit open for 30 s: timeout",
        "1 × safety",
        "2027-01-15 08:00 UTC",
        "architect on gemini/m: waited 0.5 s, failed: safety, 3.5 s to 4.5 s",
        "the dashed line is where the last process took up the run",
    ):
        assert text in page.text
    assert "claude: 2 of 2 agents" in failed


def test_a_call_is_timed_from_the_first_call_of_all_processes(tmp_path: Path) -> None:
    run = recorded(failing_run(tmp_path / "run"))
    assert [call.queued for call in run.calls] == [0.0, 3.0, 5.0]
    assert [call.ended for call in run.calls] == [1.5, 4.5, 6.5]
    assert (run.resumed, run.seconds) == (2.5, 9.5)


def test_the_critical_path_is_what_the_end_waited_for(tmp_path: Path) -> None:
    assert recorded(failing_run(tmp_path / "run")).critical_path == ["intent", "architect"]


def test_a_run_without_calls_has_a_page(tmp_path: Path) -> None:
    started, *_, over = failing_run(tmp_path / "run")
    assert "No call was made." in render_page(recorded([evolve(started, past=()), over]))


@pytest.mark.parametrize(
    ("request_", "title"),
    [
        ("Build it", "Build it"),
        ("\n\n Build it. Quickly.\nAnd well", "Build it"),
        ("word " * 40, f"{'word ' * 17}word …"),
        ("a" * 200, f"{'a' * 90} …"),
        ("", ""),
    ],
)
def test_the_title_is_the_first_sentence_of_the_request(request_: str, title: str) -> None:
    assert make_title(request_) == title


def test_a_long_request_is_whole_behind_the_deliverables(tmp_path: Path) -> None:
    request = f"Build it. {'Well. ' * BEGINNING}The end."
    html = render_page(recorded(whole_run(tmp_path, request=request)))
    assert html.index("The end.") > html.index('id="deliverables"')
    assert html.index('href="#whole-request"') < html.index('id="plan"')


def test_a_deliverable_that_leads_elsewhere_is_not_shown(tmp_path: Path) -> None:
    events = whole_run(tmp_path / "run")
    (tmp_path / "private").write_text("a secret of the operator", "utf-8")
    file = tmp_path / "run" / "deliverables" / "01-researcher.md"
    file.unlink()
    file.symlink_to(tmp_path / "private")
    html = render_page(recorded(events))
    assert "a secret of the operator" not in html
    assert "links are not followed" in html


def test_a_large_team_has_a_page_of_bounded_size_that_is_soon_drawn(tmp_path: Path) -> None:
    def drawn(size: int) -> tuple[RunRecord, str, float]:
        names = [f"security-architecture-specialist-{number}" for number in range(size)]
        run = recorded(whole_run(tmp_path / str(size), names, text=HOSTILE * 30))
        began = time.process_time()
        return run, render_page(run), time.process_time() - began

    *_, seconds = drawn(100)
    run, html, most = drawn(1000)
    assert most < 30 * seconds  # its time grows with the team, and not with its square
    assert len(html.encode()) < 4_000_000
    assert "There is no room for it in this page" in html
    assert 'href="deliverables/1000-' in html
    assert 'class="levels"' in html
    assert len(run.agents) > LARGE
    assert len(html) > ROOM


# What agents did.


def section(html: str, name: str) -> str:
    """Return the words of a section of the page."""
    page = Page(html.partition(f'<section id="{name}">')[2].partition("</section>")[0])
    return " ".join(" ".join(page.pieces).split()).replace(" ,", ",")


def test_what_was_verified_comes_right_after_the_plan(acted: str) -> None:
    order = ['id="plan"', 'id="verification"', 'id="deliverables"', 'id="files"', 'id="timeline"']
    assert sorted(order, key=acted.index) == order
    text = section(acted, "verification")
    first, _, before = text.partition("Before: ")
    assert "2 of 2 checks passed, in round 2, on a fresh copy of the workspace" in first
    assert "For coder, 2027-01-15 08:00:01 UTC, in the sandbox bubblewrap, tree tree-two" in first
    assert "pytest -q passed 0.5 s output 1 passed" in first
    assert "0 of 1 checks passed" in before
    assert "pytest -q failed: exit status 1" in before
    assert "changed after that" not in text


def test_a_change_after_the_last_verification_is_pointed_out(tmp_path: Path) -> None:
    late = tool_ended("planner", 3.0, tree="tree-three")
    html = render_page(recorded(acting_run(tmp_path, acts=(late,))))
    assert "The workspace was changed after that." in section(html, "verification")


def test_the_marks_around_rolecalls_own_words_in_a_plan_are_not_shown(tmp_path: Path) -> None:
    events = acting_run(tmp_path)
    for begin, end in (
        ("<!-- verified by rolecall -->", "<!-- end of verification -->"),
        ("<!-- written by rolecall -->", "<!-- end of rolecall's words -->"),
    ):
        plan = f"# Plan\n\n{begin}\n## Start here\n\nNow.\n{end}\n\nMore <!-- of it -->"
        (tmp_path / "PLAN.md").write_text(plan, "utf-8")
        text = section(render_page(recorded(events)), "plan")
        assert text == "Plan Plan Start here Now. More <!-- of it -->"


def test_what_was_replayed_and_not_run_is_said_to_be_so(tmp_path: Path) -> None:
    events = acting_run(tmp_path)
    replayed = [
        evolve(event, replayed=True) if isinstance(event, WorkspaceVerified) else event
        for event in events
    ]
    told = [
        section(render_page(recorded(each)), "verification").count("replayed from a recording")
        for each in (events, replayed)
    ]
    assert told == [0, 1]


def test_work_that_was_not_verified_is_said_to_be_so(tmp_path: Path) -> None:
    events = [event for event in acting_run(tmp_path) if not isinstance(event, WorkspaceVerified)]
    assert "no check was run on what the agents wrote" in section(
        render_page(recorded(events)), "verification"
    )


def test_a_run_whose_agents_only_write_has_no_section_on_their_acts(whole: str) -> None:
    for name in ("verification", "files", "tools"):
        assert f'id="{name}"' not in whole


def test_an_agents_tool_calls_are_listed_with_what_they_came_to(acted: str) -> None:
    text = section(acted, "deliverables")
    assert "4 tool calls" in text
    assert "workspace.write app.py, content: 2 lines changed files: app.py: 2 lines" in text
    assert "failed: app.py" in text  # it left the files as they were
    assert "0.5 s tree-two" in text


def test_the_files_are_listed_with_who_wrote_them_and_the_changes(acted: str) -> None:
    text = section(acted, "files")
    assert "app.py coder, planner" in text
    assert "coder app.py, docs/" in text
    assert "There is no room for all of it in this page" in text
    assert "<ins>+after &lt;/pre&gt;&lt;script&gt;" in acted


def test_what_a_tool_was_told_and_said_can_neither_run_nor_reorder_what_is_read(acted: str) -> None:
    page = Page(acted)
    assert "<script>alert(4)</script>" in page.text
    assert "\u202e" not in acted
    assert "\x1b" not in acted
    assert "<img src=x onerror=alert(5)>" in page.text


def test_rounds_and_checks_are_on_the_timeline(acted: str) -> None:
    text = section(acted, "timeline")
    assert "coder calls workspace.write, " in text
    assert "checks for coder, " in text
    assert 'class="acting"' in acted
    assert "its tools run" in text


def test_the_sums_of_each_tool_are_told(acted: str) -> None:
    assert "workspace.edit" in section(acted, "tools")


def test_acts_of_earlier_processes_are_told_as_well(tmp_path: Path) -> None:
    started, *rest = whole_run(tmp_path, ("coder", "planner"))
    past = tool_ended("coder", -1.0, "workspace.read")
    checked = verified("coder", -0.5, "tree", check())
    started = evolve(started, acted=(past,), verified=(checked,))
    html = render_page(recorded([started, *rest]))
    assert "workspace.read" in section(html, "deliverables")
    assert "1 of 1 checks passed" in section(html, "verification")


def test_long_loops_with_long_results_leave_a_page_of_bounded_size(tmp_path: Path) -> None:
    result, lines = "<b>&" * 25_000, "+<&>\n" * 20_000
    acts: list[Event] = []
    for round_ in range(40):
        at = 1.0 + round_ / 100
        acts += [
            tool_ended("coder", at, text=result, arguments={"content": result}, tree=f"{at}")
            for _ in range(30)
        ]
        acts.append(verified("coder", at, f"{at}", check(1, output=result)))
    *events, left, over = acting_run(tmp_path, acts=tuple(acts))
    assert isinstance(left, WorkspaceLeft)
    changes = [evolve(left.changes[0], patch=lines) for _ in range(40)]
    left = evolve(left, changes=tuple(changes), files=tuple(f"{n}.py" for n in range(100_000)))
    html = render_page(recorded([*events, left, over]))
    assert len(html.encode()) < 4_000_000
    assert "in between are not shown" in html
    assert "And 99,000 more." in html


def test_a_large_team_that_acts_has_a_page_of_bounded_size(tmp_path: Path) -> None:
    names = [f"security-architecture-specialist-{number}" for number in range(1000)]
    started, *rest = whole_run(tmp_path, names, text=HOSTILE * 30)
    acts = [tool_ended(name, n + 0.1, tree=f"{n}") for n, name in enumerate(names * 9)]
    html = render_page(recorded([started, *acts, *rest]))
    assert len(html.encode()) < 4_000_000


@pytest.fixture(scope="module")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium is installed to look at the page with")
    return found


@pytest.fixture(scope="module")
def opened(browser: str, failed: str, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Open the page in a window of some width; return what is rendered and what is logged."""
    folder = tmp_path_factory.mktemp("browser")
    path = folder / "report.html"
    path.write_text(failed, "utf-8")

    def open_(width: int) -> tuple[bytes, str]:
        picture = folder / f"{width}.png"
        done = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--enable-logging=stderr",
                f"--user-data-dir={folder / 'profile'}",
                f"--window-size={width},900",
                f"--screenshot={picture}",
                path.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return picture.read_bytes(), done.stderr

    return open_


@pytest.mark.parametrize("width", [420, 1280])
def test_a_browser_shows_the_page_and_has_nothing_to_complain_of(opened: Open, width: int) -> None:
    picture, logged = opened(width)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000  # an empty page has some 5,000 bytes
    assert "CONSOLE" not in logged
