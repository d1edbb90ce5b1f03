"""What a terminal shows of a run while it goes on."""

import io
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    CallEnded,
    CallHeld,
    CallStarted,
    CallText,
    CallWaiting,
    Cause,
    Check,
    CheckStarted,
    Consent,
    ConsentAsked,
    ConsentDecided,
    DeliverableKept,
    Event,
    FellBack,
    ProviderSettings,
    RepairStarted,
    Retrying,
    RoundStarted,
    RouteClosed,
    RouteOpened,
    RouteProbed,
    RunEnded,
    RunStarted,
    Settings,
    StepReused,
    Stop,
    ToolEnded,
    ToolStarted,
    Usage,
    WorkspaceVerified,
    WorkTouched,
)
from rolecall_plugins.terminal.live import LiveView

TWO = ("architect", "writer")
CALL: dict[str, Any] = {"call": 1, "agent": "architect", "provider": "claude", "model": "m"}
STARTED = AgentStarted(at=0, agent="architect")
CALLING = CallStarted(at=1, step="k", waited=0, max_output_tokens=9, **CALL)
ENDED = CallEnded(
    at=3,
    step="k",
    waited=0,
    took=2,
    max_output_tokens=9,
    usage=Usage(1000, 200),
    cost=0.02,
    **CALL,
)
ACTING: dict[str, Any] = {"agent": "architect", "step": "k", "call": "1", "tool": "tickets.open"}
ASKED = ConsentAsked(at=2, plugin="tickets", arguments={"title": "Deploy"}, **ACTING)
ROUND = RoundStarted(at=0, agent="architect", round=3, rounds=40)
CHECK = CheckStarted(at=1, agent="architect", command="pytest -q", number=2, checks=3)
REPAIR = RepairStarted(at=1, agent="architect", repair=1, repairs=2)
WANTS = evolve(ENDED, stop=Stop.TOOL_USE)
DONE = AgentDone(at=3, agent="architect", route="claude/m", file="f")
OVER = RunEnded(at=9, done=2, failed=0, blocked=0)


def tool(at: float = 1.0, call: str = "1", name: str = "workspace.run", **arguments: Any) -> Event:
    begun: dict[str, Any] = {**ACTING, "call": call, "tool": name}
    return ToolStarted(at=at, arguments=arguments, **begun)


def ended(at: float = 2.0, call: str = "1", text: str = "done") -> Event:
    over = {**ACTING, "call": call, "text": text, "is_error": False, "took": 1.0}
    return ToolEnded(at=at, arguments={}, **over)


def verified(code: int) -> Event:
    check = Check(command="pytest -q", code=code, output="", seconds=1.0)
    return WorkspaceVerified(
        at=4, agent="architect", tree="t", sandbox="box", when=0.0, checks=(check,)
    )


def decided(consent: Consent) -> Event:
    return ConsentDecided(at=3, consent=consent, **ACTING)


class Screen:
    """A terminal of some size, and the frame that a run's events leave on it."""

    def __init__(self, width: int = 80, height: int = 24, **settings: Any) -> None:
        self.now = 0.0
        self._file = io.StringIO()
        self._size: dict[str, Any] = {"width": width, "height": height, "color_system": None}
        console = Console(file=self._file, force_terminal=True, **self._size)
        self._view = LiveView(console, Settings(**settings), lambda: self.now)

    def tell(self, *events: Event) -> "Screen":
        for event in events:
            self.now = max(self.now, event.at)
            self._view.notify(event)
        return self

    @property
    def above(self) -> str:
        """Give all that was ever written."""
        return self._file.getvalue()

    @property
    def frame(self) -> list[str]:
        drawn = io.StringIO()
        Console(file=drawn, **self._size).print(self._view)
        return [line.rstrip() for line in drawn.getvalue().splitlines()]

    def row(self, agent: str) -> str:
        (line,) = (line for line in self.frame if f" {agent} " in line)
        return " ".join(line.split())


@pytest.fixture
def screen() -> Any:
    made: list[Screen] = []

    def make(
        *events: Event, agents: Sequence[str] = ("architect", "writer"), **more: Any
    ) -> Screen:
        made.append(Screen(**more))
        return made[-1].tell(
            RunStarted(
                at=0,
                folder="runs/x",
                request="r",
                agents=tuple(agents),
                first_choices=tuple((name, "claude") for name in agents),
                needs=tuple((name, tuple(agents[:1])) for name in agents[1:]),
            ),
            *events,
        )

    yield make
    for each in made:
        each.tell(OVER)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], "· architect claude waits for"),
        ([STARTED], "○ architect claude begins"),
        ([STARTED, CallWaiting(at=1, **CALL)], "◔ architect claude waits for a permit"),
        (
            [STARTED, CallHeld(at=1, reason="429, retry after 3 s", seconds=3, **CALL)],
            "waits for a permit: 429, retry after 3 s",
        ),
        ([STARTED, CALLING], "● architect claude asked"),
        (
            [STARTED, CALLING, CallText(at=2, delta="some", **CALL)],
            "writing, 4 characters",
        ),
        (
            [
                STARTED,
                Retrying(at=1, agent="architect", route="claude/m", cause=Cause.TIMEOUT, delay=4),
            ],
            "↻ architect claude timeout, again in 4 s",
        ),
        ([STARTED, CALLING, ENDED, DONE], "✓ architect claude done 3.0 s"),
        ([STARTED, StepReused(at=1, agent="architect", step="k"), DONE], "= architect claude kept"),
        (
            [STARTED, AgentDone(at=1, agent="architect", route="claude", file="f", cut=True)],
            "✂ architect claude cut off by the output limit",
        ),
        (
            [DeliverableKept(at=1, agent="architect", file="f")],
            "= architect claude kept, as it is in its file",
        ),
        ([AgentFailed(at=1, agent="architect", error="no route")], "✗ architect claude failed: no"),
        (
            [AgentBlocked(at=1, agent="architect", by="writer")],
            "– architect claude blocked by writer",
        ),
        (
            [
                STARTED,
                FellBack(
                    at=1, agent="architect", route="gemini/m", to="claude", cause=Cause.SAFETY
                ),
                CALLING,
            ],
            "asked, fell back from gemini: safety",
        ),
        ([STARTED, ROUND, CALLING], "● architect claude round 3: asked"),
        ([STARTED, ROUND, CALLING, ENDED], "○ architect claude round 3: answered"),
        ([STARTED, ROUND, CALLING, WANTS], "○ architect claude round 3: waits for its turn"),
        ([STARTED, ROUND, tool(command="ls")], "◆ architect claude round 3: run ls"),
        (
            [STARTED, ROUND, tool(command="ls"), tool(3.0, "2", path="b")],
            "round 3: run and 1 more (2 s) ls",
        ),
        ([STARTED, ROUND, tool(), tool(1, "2", path="b"), ended()], "round 3: run b"),
        ([STARTED, ROUND, tool(), ended()], "○ architect claude round 3: begins"),
        ([STARTED, REPAIR, ROUND, CALLING], "repair 1/2, round 3: asked"),
        ([STARTED, CHECK], "◎ architect claude verified: 2 of 3: pytest -q"),
        ([STARTED, ASKED], "? architect claude waits for your consent: tickets.open Deploy"),
    ],
)
def test_a_row_says_where_an_agent_stands(screen: Any, events: list[Event], said: str) -> None:
    assert said in screen(*events).row("architect")


def test_a_call_that_an_earlier_process_was_cut_off_in_changes_no_row(screen: Any) -> None:
    assert "waits for architect" in screen(evolve(ended(), agent="writer")).row("writer")


def test_an_agent_waits_for_those_it_needs(screen: Any) -> None:
    assert "waits for architect" in screen().row("writer")


def test_the_head_counts_agents_time_money_and_tokens(screen: Any) -> None:
    assert "1 of 2 agents · 0:03 · $0.0200 · 1k + 0k tokens" in screen(STARTED, ENDED, DONE).frame


def test_a_provider_has_its_calls_its_rate_and_its_limit(screen: Any) -> None:
    limits = {"claude": ProviderSettings(requests_per_minute=50)}
    shown = screen(STARTED, CALLING, providers=limits)
    assert "claude: 1 call · 1/min of 50 · 0 answered" in shown.frame
    shown.tell(ENDED, DONE)
    shown.now = 62.0
    assert "claude: 0 calls · 0/min of 50 · 1 answered" in shown.frame


def test_an_open_circuit_is_shown_until_it_closes(screen: Any) -> None:
    shown = screen(RouteOpened(at=1, route="claude/m", cause=Cause.OVERLOADED, seconds=30))
    assert any("circuit open: claude/m, overloaded" in line for line in shown.frame)
    shown.tell(RouteProbed(at=2, route="claude/m", agent="architect"))
    assert any("circuit open: claude/m, probing" in line for line in shown.frame)
    shown.tell(RouteClosed(at=3, route="claude/m"))
    assert not any("circuit" in line for line in shown.frame)


def test_what_goes_otherwise_than_planned_stays_above_as_a_line(screen: Any) -> None:
    shown = screen(
        FellBack(at=1, agent="architect", route="gemini", to="claude", cause=Cause.EMPTY),
        AgentFailed(at=2, agent="architect", error="all routes failed"),
        WorkTouched(at=3, touched=(("writer", "new title"),), revise=("writer",)),
    )
    assert "architect falls back from gemini to claude: empty" in shown.above
    assert "architect failed: all routes failed" in shown.above
    assert "the change touches writer" in shown.above


def test_what_a_plugin_prints_stands_above_the_drawing(
    screen: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = screen(STARTED)
    print("a stray word")
    assert "a stray word\n" in shown.above
    shown.tell(OVER)
    print("a result")
    assert capsys.readouterr().out == "a result\n"


def test_a_wide_terminal_shows_the_end_of_a_growing_text(screen: Any) -> None:
    text = CallText(at=2, delta="# Title\n\x1b[31mred‮ end", **CALL)
    row = screen(STARTED, CALLING, text, width=200).row("architect")
    assert "# Title [31mred end" in row


def test_a_wide_terminal_names_the_tool_whole_and_the_most_rounds(screen: Any) -> None:
    row = screen(STARTED, ROUND, tool(command="ls -l"), width=200).row("architect")
    assert "round 3 of 40: workspace.run ls -l" in row


def test_arguments_that_a_model_wrote_drive_no_terminal_and_show_no_secret(screen: Any) -> None:
    evil = tool(command="\x1b[31mecho planted-secret-0\u202e\n\x07rm", name="workspace.\x1b[2Jrun")
    settings = {"environment": {"ONE_API_KEY": "planted-secret-0"}}
    shown = screen(STARTED, ROUND, evil, width=200, **settings)
    row = shown.row("architect")
    assert "[31mecho [secret] rm" in row
    assert "\x1b" not in row
    assert "\u202e" not in row


def test_what_was_verified_stays_above_as_a_line(screen: Any) -> None:
    shown = screen(STARTED, verified(0), verified(1))
    assert "architect: 1 of 1 checks passed" in shown.above
    line = "architect: 0 of 1 checks passed, failed: pytest -q (exit status 1)"
    assert line in " ".join(shown.above.split())


@pytest.mark.parametrize(
    ("consent", "said"),
    [
        (Consent.ONCE, "tickets.open by architect is allowed\n"),
        (Consent.ALWAYS, "tickets.open by architect is allowed, as is every later call of it\n"),
        (Consent.REFUSED, "tickets.open by architect is refused\n"),
    ],
)
def test_while_the_operator_is_asked_nothing_is_drawn_and_lines_wait(
    screen: Any, capsys: pytest.CaptureFixture[str], consent: Consent, said: str
) -> None:
    shown = screen(STARTED, ASKED)
    before = len(shown.above)
    print("the question", file=sys.stderr)
    shown.tell(AgentFailed(at=2, agent="writer", error="no route"))
    assert shown.above[before:] == ""
    assert capsys.readouterr().err == "the question\n"
    shown.tell(decided(consent))
    after = shown.above[before:]
    assert after.index("writer failed: no route") < after.index(said)
    print("a stray word")
    assert "a stray word\n" in shown.above  # it draws again, and takes what is printed above it


def test_a_run_that_ends_while_the_operator_is_asked_leaves_its_last_frame(screen: Any) -> None:
    shown = screen(STARTED, ASKED)
    before = len(shown.above)
    shown.tell(OVER)
    assert "waits for your consent" in shown.above[before:]


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("agents", [13, 60])
def test_a_frame_fits_the_screen(screen: Any, width: int, agents: int) -> None:
    names = [f"agent-number-{number}" for number in range(agents)]
    shown = screen(agents=names, width=width, height=24)
    assert len(shown.frame) < 24
    assert max(map(len, shown.frame)) <= width


def test_where_there_is_not_room_for_all_those_at_work_are_shown(screen: Any) -> None:
    names = ["architect", *(f"agent-{number}" for number in range(60))]
    late = {**CALL, "agent": "agent-59"}
    shown = screen(CallStarted(at=1, step="k", waited=0, max_output_tokens=9, **late), agents=names)
    assert "asked" in shown.row("agent-59")
    assert any("44 more: 44 waiting" in line for line in shown.frame)


def test_whoever_waits_for_the_operator_is_shown_first(screen: Any) -> None:
    names = ["architect", *(f"agent-{number}" for number in range(60))]
    asked = evolve(ASKED, agent="agent-59")
    busy = [evolve(tool(), agent=f"agent-{number}") for number in range(30)]
    shown = screen(asked, *busy, agents=names)
    assert "waits for your consent" in shown.row("agent-59")


def test_the_last_frame_shows_everyone(screen: Any) -> None:
    names = [f"agent-{number}" for number in range(60)]
    shown = screen(agents=names).tell(OVER)
    assert len([line for line in shown.frame if " agent-" in line]) == 60


def test_a_long_chain_of_agents_is_drawn_too() -> None:
    names = [f"agent-{number}" for number in range(2000)]
    pairs = zip(names[1:], names, strict=False)
    shown = Screen().tell(
        RunStarted(
            at=0,
            folder="f",
            request="r",
            agents=tuple(names),
            first_choices=(),
            needs=tuple((name, (need,)) for name, need in pairs),
        ),
        OVER,
    )
    assert len(shown.frame) > 2000


def test_a_quota_whose_circuit_is_open_is_shown_at_its_provider(screen: Any) -> None:
    opened = RouteOpened(at=1, route="claude@B/m", cause=Cause.OVERLOADED, seconds=30.0)
    (line,) = (line for line in screen(opened).frame if "circuit" in line)
    assert line.startswith("claude: ")
    assert "circuit open: claude@B/m" in line
