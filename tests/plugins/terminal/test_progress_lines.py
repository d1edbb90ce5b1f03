"""What a person sees of a run while it goes on."""

import asyncio
import io
import sys
from typing import Any

import pytest
from attrs import evolve

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    Call,
    CallEnded,
    CallHeld,
    CallText,
    Cause,
    Check,
    Consent,
    ConsentAsked,
    ConsentDecided,
    Event,
    FellBack,
    Retrying,
    RouteOpened,
    RunStarted,
    Settings,
    StepReused,
    ToolEnded,
    Usage,
    WorkspaceVerified,
)
from rolecall.testing import FakeClock
from rolecall_plugins.ratelimit.interval import LocalInterval
from rolecall_plugins.ratelimit.limiter import PacingLimiter
from rolecall_plugins.terminal import rolecall_observers
from rolecall_plugins.terminal.lines import DebugLines, ProgressLines
from rolecall_plugins.terminal.live import LiveView

CALL = {"call": 1, "agent": "architect", "provider": "claude", "model": "m"}
ENDED = {"step": "k", "waited": 0.0, "took": 1.0, "max_output_tokens": 10}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ACTING: dict[str, Any] = {"agent": "architect", "step": "k", "call": "1"}
CHECKS = (Check(command="pytest", code=-9, output="", seconds=1.0, stopped="time"),)
VERIFIED = WorkspaceVerified(
    at=4, agent="architect", tree="t", sandbox="box", when=0.0, checks=CHECKS
)


def tool_ended(tree: str = "t", **more: Any) -> ToolEnded:
    values = {"text": "done", "is_error": False, "took": 0.1, "tool": "workspace.write"}
    arguments = {"path": "app.py", "content": "one\ntwo\n"}
    return ToolEnded(at=1, tree=tree, arguments=arguments, **{**ACTING, **values, **more})


def decided(consent: Consent) -> ConsentDecided:
    return ConsentDecided(at=1, tool="tickets.open", consent=consent, **ACTING)


def told(*events: Event, stream: io.StringIO | None = None, debug: bool = False) -> str:
    stream = stream or io.StringIO()
    observer = DebugLines(stream) if debug else ProgressLines(stream, Settings())
    for event in events:
        observer.notify(event)
    return stream.getvalue()


def started(*agents: str) -> RunStarted:
    return RunStarted(at=0, folder="runs/x", request="r", agents=agents, first_choices=())


def done(agent: str, **more: Any) -> AgentDone:
    return AgentDone(at=2.5, agent=agent, route="claude/m", file="f", **more)


def test_a_finished_agent_is_counted_with_its_time_and_provider() -> None:
    assert "[ 1/2]    2.5 s  architect: claude\n" in told(
        started("architect", "b"), done("architect")
    )


def test_an_answer_from_before_is_said_to_be_kept() -> None:
    reused = StepReused(at=0, agent="architect", step="k")
    assert "architect: claude, kept" in told(started("architect"), reused, done("architect"))


def test_a_cut_deliverable_is_said_to_be_cut() -> None:
    assert "cut off" in told(started("architect"), done("architect", cut=True))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (AgentFailed(at=1, agent="architect", error="e"), "architect: failed"),
        (AgentBlocked(at=1, agent="b", by="architect"), "b: blocked by architect"),
        (tool_ended(), "architect: workspace.write app.py, content: 2 lines\n"),
        (tool_ended(is_error=True, took=2.0), "app.py, content: 2 lines, failed, 2.0 s\n"),
        (VERIFIED, "architect: 0 of 1 checks passed, failed: pytest (limit on time)"),
        (
            evolve(VERIFIED, replayed=True),
            "1 checks passed (replayed, not run), failed: pytest",
        ),
        (decided(Consent.ALWAYS), "architect: tickets.open is allowed, as is every later call"),
        (decided(Consent.REFUSED), "architect: tickets.open is refused\n"),
        (
            FellBack(at=1, agent="architect", route="gemini", to="claude", cause=Cause.EMPTY),
            "architect: falls back from gemini to claude: empty",
        ),
        (
            Retrying(at=1, agent="architect", route="claude/m", cause=Cause.TIMEOUT, delay=3),
            "architect: timeout, asking claude/m again in 3.0 s",
        ),
        (
            RouteOpened(at=1, route="claude/m", cause=Cause.OVERLOADED, seconds=30),
            "claude/m: overloaded, circuit open for 30 s",
        ),
        (
            CallHeld(at=1, reason="429, retry after 3 s", seconds=3.2, **CALL),
            "waiting 3.2 s for claude: 429, retry after 3 s",
        ),
    ],
)
def test_what_goes_otherwise_than_planned_is_said(event: Event, said: str) -> None:
    assert said in told(started("architect", "b"), event)


def test_short_waits_for_a_permit_are_not_worth_a_line() -> None:
    assert told(CallHeld(at=1, reason="rate limit", seconds=0.4, **CALL)) == ""


def test_the_interval_between_calls_is_not_worth_a_line() -> None:
    clock = FakeClock()
    limiter = PacingLimiter(Settings(interval=5.0), LocalInterval(clock.now), clock.now)
    waits: list[CallHeld] = []

    async def acquire(number: int) -> None:
        def on_wait(reason: str, seconds: float) -> None:
            waits.append(CallHeld(at=1, reason=reason, seconds=seconds, **CALL))

        await limiter.acquire(
            Call(number=number, agent="a", provider="claude", model="", on_wait=on_wait)
        )

    async def acquire_all() -> None:
        await asyncio.gather(*map(acquire, range(3)))

    clock.run(acquire_all())
    assert max(wait.seconds for wait in waits) > 1.5
    assert told(*waits) == ""


def test_a_reason_that_would_drive_the_terminal_is_printed_as_text() -> None:
    assert "\x1b" not in told(CallHeld(at=1, reason="\x1b[31mred", seconds=3.0, **CALL))


def test_a_retry_at_once_is_said_too() -> None:
    at_once = Retrying(at=1, agent="architect", route="claude/m", cause=Cause.EMPTY, delay=0)
    assert "architect: empty, asking claude/m again\n" in told(at_once)


def test_on_a_pipe_nothing_is_drawn_twice() -> None:
    text = CallText(at=1, delta="abc", **CALL)
    assert told(text) == ""


def test_debug_gives_a_line_for_every_event_with_tokens_and_cause() -> None:
    line = told(
        CallEnded(at=1.25, cause=Cause.EMPTY, usage=Usage(input=7, output=2), **ENDED, **CALL),
        debug=True,
    )
    assert line.startswith("   1.250 CallEnded call=1 agent=architect provider=claude")
    assert "cause=empty" in line
    assert "usage=7+2" in line


def test_debug_keeps_the_text_of_answers_to_itself() -> None:
    assert "secret words" not in told(
        CallEnded(at=1, text="secret words", **ENDED, **CALL), debug=True
    )


@pytest.mark.parametrize(
    ("settings", "term", "kinds"),
    [
        (Settings(debug=True), "xterm", [DebugLines]),
        (Settings(quiet=True), "xterm", []),
        (Settings(), "xterm", [LiveView]),
        (Settings(), "dumb", [ProgressLines]),
    ],
)
def test_a_terminal_is_drawn_on_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, term: str, kinds: list[type]
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert [type(observer) for observer in rolecall_observers(settings)] == kinds


def test_a_pipe_gets_lines() -> None:
    (observer,) = rolecall_observers(Settings())
    assert isinstance(observer, ProgressLines)


def test_a_call_that_only_reads_is_no_line() -> None:
    assert told(tool_ended(tree="")) == ""


def test_a_call_shows_no_secret_and_drives_no_terminal() -> None:
    stream = io.StringIO()
    settings = Settings(environment={"ONE_API_KEY": "planted-secret-0"})
    lines = ProgressLines(stream, settings)
    lines.notify(evolve(tool_ended(), arguments={"command": "\x1b[31mecho planted-secret-0\nrm"}))
    assert "workspace.write [31mecho [secret] rm\n" in stream.getvalue()


@pytest.mark.parametrize("debug", [False, True])
def test_lines_wait_while_the_operator_is_asked(debug: bool) -> None:
    stream = io.StringIO()
    observer = DebugLines(stream) if debug else ProgressLines(stream, Settings())
    observer.notify(started("architect", "b"))
    asked = ConsentAsked(at=1, tool="tickets.open", plugin="p", arguments={}, **ACTING)
    observer.notify(asked)
    before = stream.getvalue()
    observer.notify(done("b"))
    assert stream.getvalue() == before
    observer.notify(decided(Consent.ONCE))
    after = stream.getvalue()[len(before) :].splitlines()
    assert "claude" in after[-2]
    assert "tickets.open" in after[-1]


def test_debugging_shows_what_was_verified_and_what_of_it_failed() -> None:
    line = told(VERIFIED, debug=True)
    assert "WorkspaceVerified agent=architect" in line
    assert "result='0 of 1 checks passed, failed: pytest (limit on time)'" in line
