"""The report that a run leaves: as Markdown, and as a page."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    CallEnded,
    Cause,
    CostsCompared,
    Event,
    FellBack,
    Observer,
    Retrying,
    RouteOpened,
    RunEnded,
    RunStarted,
    StepReused,
    Usage,
)
from rolecall_plugins.report.charts import critical_path, graph
from rolecall_plugins.report.drawer import Drawer
from rolecall_plugins.report.page import LONG, as_html, render
from rolecall_plugins.report.story import Story
from rolecall_plugins.report.writer import Report

CALL: dict[str, Any] = {"call": 1, "agent": "architect", "provider": "claude", "model": "m"}
ENDED: dict[str, Any] = {"step": "k", "waited": 0.0, "took": 1.0, "max_output_tokens": 10}
NAMES = ("intent", "architect", "security", "writer", "coder")
HOSTILE = """# Plan <script>alert(1)</script>

<img src=x onerror=alert(1)> and [a link](javascript:alert(1)) and ![pixel](https://t.example/p.png)

| a | b |
|---|---|
| <b>1</b> | מסמך 🎉 |

```html
</pre><script>alert(2)</script>
```
"""


def done(agent: str, **more: Any) -> AgentDone:
    return AgentDone(at=2.5, agent=agent, route="claude/m", file="f", **more)


def test_the_report_is_written_at_the_end(tmp_path: Path) -> None:
    report = Report()
    events = (
        RunStarted(
            at=0,
            folder=str(tmp_path),
            request="Build it\nquickly",
            agents=("architect", "b"),
            first_choices=(("architect", "gemini"), ("b", "claude")),
        ),
        FellBack(at=1, agent="architect", route="gemini", to="claude", cause=Cause.EMPTY),
        CallEnded(at=2, usage=Usage(input=1000, output=50), cost=0.5, **ENDED, **CALL),
        done("architect"),
        AgentFailed(at=3, agent="b", error="b: all routes failed"),
        RouteOpened(at=3, route="claude/m", cause=Cause.OVERLOADED, seconds=30),
        RunEnded(at=4, done=1, failed=1, blocked=0),
    )
    for event in events:
        report.notify(event)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "> Build it\n> quickly" in text
    assert "1 of 2 agents done, 1 failed; 4.0 s, 1 calls, $0.5000." in text
    assert "| claude | 1 | 1 | 1 | 0 | 1,000 | 50 | $0.5000 | 1.0 s | 0.0 s |" in text
    assert "| gemini | 0 | 1 |" in text
    assert "- architect: from gemini to claude, because of `empty`" in text
    assert "- claude/m: `overloaded`, for 30 s" in text
    assert "- b: b: all routes failed" in text


def test_the_report_of_a_run_that_goes_on_counts_what_was_paid_before(tmp_path: Path) -> None:
    before = CallEnded(at=2, usage=Usage(input=1000, output=50), cost=0.5, **ENDED, **CALL)
    report = Report()
    report.notify(
        RunStarted(
            at=0,
            folder=str(tmp_path),
            request="r",
            agents=("architect",),
            first_choices=(("architect", "claude"),),
            past=(before,),
        )
    )
    report.notify(done("architect"))
    report.notify(RunEnded(at=1, done=1, failed=0, blocked=0))
    assert "1 calls, $0.5000." in (tmp_path / "report.md").read_text("utf-8")


def ended(agent: str, at: float, provider: str = "claude", **more: Any) -> CallEnded:
    values = {**ENDED, **CALL, "agent": agent, "provider": provider, "waited": 0.5, **more}
    return CallEnded(at=at, usage=Usage(1000, 50, cache_read=400), cost=0.5, **values)


def tell(observer: Observer, folder: Path) -> None:
    """Tell a run with a fallback, a failure, and what it blocks; its texts are hostile."""
    (folder / "deliverables").mkdir(parents=True)
    for name in ("intent", "architect"):
        (folder / f"deliverables/{name}.md").write_text(HOSTILE, "utf-8")
    gemini = {"provider": "gemini", "cause": Cause.SAFETY}
    before = ended("intent", at=-1.0)
    events = (
        RunStarted(
            at=0,
            folder=str(folder),
            request="Build it <script>alert(0)</script>",
            agents=NAMES,
            first_choices=tuple((name, "gemini") for name in NAMES),
            needs=(
                ("architect", ("intent",)),
                ("security", ("architect",)),
                ("writer", ("intent", "architect")),
                ("coder", ("architect", "security")),
            ),
            when=1_800_000_000.0,
            past=(before,),
        ),
        StepReused(at=0, agent="intent", step="k", cost=0.5),
        AgentDone(at=0, agent="intent", route="claude/m", file="deliverables/intent.md"),
        AgentStarted(at=0, agent="architect"),
        ended("architect", at=2.0, **gemini),
        FellBack(at=2, agent="architect", route="gemini", to="claude", cause=Cause.SAFETY),
        ended("architect", at=4.0, first_text=0.4),
        AgentDone(at=4, agent="architect", route="claude/m", file="deliverables/architect.md"),
        Retrying(at=5, agent="security", route="claude", cause=Cause.TIMEOUT, delay=1.5),
        RouteOpened(at=5, route="claude/m", cause=Cause.TIMEOUT, seconds=30),
        AgentFailed(at=6, agent="security", error="no route <i>left</i>"),
        AgentBlocked(at=6, agent="coder", by="security"),
        CostsCompared(at=7, elsewhere=(("claude/m", 1.5), ("gemini/n", None)), cached=0.25),
        RunEnded(at=7, done=2, failed=1, blocked=1, interrupted=True),
    )
    for event in events:
        observer.notify(event)


class Page(HTMLParser):
    """What a page holds, by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.ids.add(values.get("id") or "")
        if tag == "a":
            self.links.add(values.get("href") or "")
        self.loads += [values[name] or "" for name in ("src", "srcset", "data") if name in values]
        self.handlers += [name for name in values if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("told") / "run"
    story = Story()
    tell(story, folder)
    return json.loads(json.dumps(story.told(folder)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def written(told: dict[str, Any]) -> str:
    return render(told)


@pytest.fixture(scope="module")
def page(written: str) -> Page:
    return Page(written)


def test_times_count_from_the_first_call_of_all_processes(told: dict[str, Any]) -> None:
    assert [call["asked"] for call in told["calls"]] == [0.0, 3.0, 5.0]
    assert told["calls"][2] | {"permitted": 5.5, "first": 5.9, "ended": 6.5} == told["calls"][2]
    assert told["now"] == 2.5


def test_the_page_runs_no_script_and_loads_nothing(page: Page, written: str) -> None:
    assert "script" not in page.tags
    assert not page.handlers
    assert not page.loads
    assert "default-src 'none'" in written
    assert "<script>alert" not in written


def test_what_models_and_people_wrote_is_shown_as_text(page: Page) -> None:
    for text in (
        "Build it <script>alert(0)</script>",
        "Plan <script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</pre><script>alert(2)</script>",
        "no route <i>left</i>",
        "מסמך 🎉",
    ):
        assert text in page.text


def test_a_link_to_a_script_is_no_link_and_an_image_is_not_loaded(page: Page) -> None:
    assert not any(link.startswith("javascript") for link in page.links)
    assert "https://t.example/p.png" in page.links


def test_every_link_within_the_page_leads_somewhere(page: Page) -> None:
    within = {link[1:] for link in page.links if link.startswith("#")}
    assert within <= page.ids
    assert {f"agent-{name}" for name in NAMES} <= within


def test_the_page_tells_what_the_run_came_to(page: Page) -> None:
    for text in (
        "$1.5000 all on claude/m, an unknown sum all on gemini/n",
        "Prompt caches saved $0.2500.",
        "Answers that were kept saved $0.5000.",
        "architect: from gemini to claude: safety",
        "security: claude asked again after 1.5 s: timeout",
        "claude/m: left alone for 30 s: timeout",
        "1 × safety",
        "an interruption",
        "2027-01-15 08:00 UTC",
    ):
        assert text in page.text


def test_charts_have_texts_for_those_who_do_not_see_them(written: str) -> None:
    assert "architect on gemini/m, failed: safety, 3.5 s to 4.5 s" in written
    assert "architect on claude/m, until the first text, 5.5 s to 5.9 s" in written
    assert "claude: 2 agents, answered" in written


def test_a_call_without_streaming_is_one_bar(written: str) -> None:
    assert "intent on claude/m, 50 tokens, 0.5 s to 1.5 s" in written


def test_the_critical_path_is_what_the_end_waited_for(told: dict[str, Any]) -> None:
    assert critical_path(told) == ["intent", "architect"]


def test_the_graph_leaves_out_what_follows_from_others(told: dict[str, Any]) -> None:
    drawn = {edge["said"] for edge in graph(told)["layer"][0]["data"]["values"]}
    assert drawn == {
        "architect needs intent",
        "security needs architect",
        "writer needs architect",
        "coder needs security",
    }


def test_a_run_without_calls_has_a_page(told: dict[str, Any]) -> None:
    assert "No call was made." in render({**told, "calls": [], "now": 0.0})


def test_headings_of_deliverables_stand_below_the_pages_own() -> None:
    assert as_html("# a\n\n##### b") == "<h3>a</h3>\n<h6>b</h6>\n"


def test_a_very_long_deliverable_is_shown_as_it_was_written() -> None:
    text = "# <a>\n" * LONG
    assert as_html(text).startswith("<pre># &lt;a&gt;\n")


def test_the_page_is_drawn_in_a_process_of_its_own(told: dict[str, Any], tmp_path: Path) -> None:
    Drawer(tmp_path).draw(told)
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_drawn_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Drawer(tmp_path).draw({})
    (record,) = caplog.records
    assert record.message == "report.html could not be drawn: KeyError: 'calls'"


def test_the_report_of_an_observer_that_heard_no_end_is_not_drawn(tmp_path: Path) -> None:
    asyncio.run(Report().aclose())
    assert not list(tmp_path.iterdir())


class Watched(Drawer):
    made: ClassVar[list["Watched"]] = []

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.made.append(self)


@pytest.fixture
def drawers(monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    """Give the drawers that reports make."""
    monkeypatch.setattr("rolecall_plugins.report.writer.Drawer", Watched)
    monkeypatch.setattr(Watched, "made", [])
    return Watched.made


def begun(folder: Path) -> list[Event]:
    """Give the events until the last of two agents has begun."""
    return [
        RunStarted(
            at=0.0,
            folder=str(folder),
            request="Build it.",
            agents=("intent", "architect"),
            first_choices=(),
            needs=(("intent", ()), ("architect", ("intent",))),
        ),
        AgentStarted(at=0.0, agent="intent"),
        ended("intent", 1.0),
        AgentStarted(at=1.0, agent="architect"),
    ]


def test_the_drawer_gets_ready_once_the_last_agent_is_at_work(
    drawers: list[Watched], tmp_path: Path
) -> None:
    report = Report()
    for event in begun(tmp_path):
        assert not drawers
        report.notify(event)
    assert len(drawers) == 1
    report.notify(RunEnded(at=2.0, done=2, failed=0, blocked=0))
    asyncio.run(report.aclose())
    assert len(drawers) == 1
    assert (tmp_path / "report.html").is_file()


def test_of_many_runs_one_has_a_drawer_that_waits(drawers: list[Watched], tmp_path: Path) -> None:
    reports = [Report(), Report()]
    for report in reports:
        for event in begun(tmp_path):
            report.notify(event)
    assert len(drawers) == 1
    for report in reports:
        report.notify(RunEnded(at=2.0, done=2, failed=0, blocked=0))
        asyncio.run(report.aclose())
    assert len(drawers) == 2


def test_a_drawer_that_gets_no_story_leaves_without_a_word(
    drawers: list[Watched], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = Report()
    for event in begun(tmp_path):
        report.notify(event)
    asyncio.run(report.aclose())
    assert len(drawers) == 1
    assert (list(tmp_path.iterdir()), caplog.records) == ([], [])


@pytest.fixture(scope="module")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium is installed to look at the page with")
    return found


@pytest.fixture(scope="module")
def opened(browser: str, written: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Open the page in a window of some width; give what is rendered and what is logged."""
    folder = tmp_path_factory.mktemp("browser")
    path = folder / "report.html"
    path.write_text(written, "utf-8")

    def open_(width: int) -> tuple[bytes, str]:
        picture = folder / f"{width}.png"
        done = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
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

    yield open_
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("width", [420, 1280])
def test_a_browser_shows_the_page_and_has_nothing_to_complain_of(opened: Any, width: int) -> None:
    picture, logged = opened(width)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000  # an empty page has some 5,000 bytes
    assert "CONSOLE" not in logged
