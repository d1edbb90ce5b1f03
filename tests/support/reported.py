"""A run to report of: a fallback, a failure, what it blocks, and texts that are hostile."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rolecall import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    CallEnded,
    Cause,
    Check,
    CostsCompared,
    Event,
    FellBack,
    Retrying,
    RouteOpened,
    RunEnded,
    RunStarted,
    StepReused,
    ToolEnded,
    Usage,
    WorkspaceChange,
    WorkspaceLeft,
    WorkspaceVerified,
)
from rolecall_plugins.report.record import RunRecord, RunRecorder

NAMES = ("intent", "architect", "security", "writer", "coder")
HOSTILE = """# Draft <script>alert(1)</script>

<img src=x onerror=alert(1)> and [a link](javascript:alert(1)) and ![pixel](https://t.example/p.png)

| a | b |
|---|---|
| <b>1</b> | מסמך 🎉 |

```html
</pre><script>alert(2)</script>
```
"""
PLAN = "# Plan <script>alert(3)</script>\n\n## Summary\n\nDo REQ-01 & REQ-02.\n"


def ended(agent: str, at: float, provider: str = "claude", **more: Any) -> CallEnded:
    """Return the end of a call of a second, for which it waited half a second."""
    values: dict[str, Any] = {
        "call": 1,
        "model": "m",
        "step": "k",
        "waited": 0.5,
        "took": 1.0,
        "max_output_tokens": 10,
        "usage": Usage(1000, 50, cache_read=400),
        "cost": 0.5,
    }
    return CallEnded(at=at, agent=agent, provider=provider, **{**values, **more})


def failing_run(folder: Path) -> tuple[Event, ...]:
    """Write what a run that fails leaves in its folder; return its events."""
    (folder / "deliverables").mkdir(parents=True)
    for name in ("intent", "architect"):
        (folder / f"deliverables/{name}.md").write_text(HOSTILE, "utf-8")
    return (
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
            past=(ended("intent", at=-1.0),),
        ),
        StepReused(at=0, agent="intent", step="k", cost=0.5),
        AgentDone(at=0, agent="intent", route="claude/m", file="deliverables/intent.md"),
        AgentStarted(at=0, agent="architect"),
        ended("architect", at=2.0, provider="gemini", cause=Cause.SAFETY, detail="blocked <b>"),
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


def whole_run(
    folder: Path,
    names: Sequence[str] = ("researcher", "planner"),
    text: str = HOSTILE,
    request: str = "Build it. Quickly.",
) -> tuple[Event, ...]:
    """Write what a run of a chain of agents leaves in its folder; return its events.

    The last agent's deliverable is the plan.
    """
    (folder / "deliverables").mkdir(parents=True, exist_ok=True)
    (folder / "PLAN.md").write_text(PLAN, "utf-8")
    events: list[Event] = [
        RunStarted(
            at=0,
            folder=str(folder),
            request=request,
            agents=tuple(names),
            first_choices=tuple((name, "claude") for name in names),
            needs=tuple((name, (need,)) for need, name in pairwise(names)),
            when=1_800_000_000.0,
        )
    ]
    for number, name in enumerate(names, 1):
        file = f"deliverables/{number:02}-{name}.md"
        (folder / file).write_text(PLAN if name == names[-1] else text, "utf-8")
        events.append(ended(name, at=2.0 * number))
        events.append(AgentDone(at=2.0 * number, agent=name, route="claude/m", file=file))
    return (*events, RunEnded(at=2.0 * len(names), done=len(names), failed=0, blocked=0))


def tool_ended(agent: str, at: float, tool: str = "workspace.write", **more: Any) -> ToolEnded:
    values: dict[str, Any] = {
        "step": f"step-{at:.0f}",
        "call": f"{at}",
        "arguments": {"path": "app.py", "content": "one\ntwo\n"},
        "text": "app.py: 2 lines written",
        "is_error": False,
        "took": 0.5,
    }
    return ToolEnded(at=at, agent=agent, tool=tool, **{**values, **more})


def verified(agent: str, at: float, tree: str, *checks: Check) -> WorkspaceVerified:
    when = 1_800_000_000.0 + at
    return WorkspaceVerified(
        at=at, agent=agent, tree=tree, sandbox="bubblewrap", when=when, checks=checks
    )


def check(code: int = 0, command: str = "pytest -q", output: str = "1 passed") -> Check:
    return Check(command=command, code=code, output=output, seconds=0.5)


EVIL = "</pre><script>alert(4)</script><img src=x onerror=alert(5)>\u202e\x1b[31m"
PATCH = f"""diff --git a/app.py b/app.py
index 422c2b7..0f7bc76 100644
--- a/app.py
+++ b/app.py
@@ -1,2 +1,2 @@ {EVIL}
 same {EVIL}
-before {EVIL}
+after {EVIL}
"""


def acting_run(folder: Path, **more: Any) -> tuple[Event, ...]:
    """Write what a run leaves whose agents act, with hostile texts; return its events."""
    started, *rest = whole_run(folder, ("coder", "planner"))
    *others, over = rest
    acts: tuple[Event, ...] = (
        tool_ended("coder", 0.4, "workspace.list", text=EVIL, arguments={"pattern": EVIL}),
        tool_ended("coder", 1.2, tree="tree-one"),
        tool_ended("coder", 1.4, EVIL, is_error=True, arguments={EVIL: EVIL}, tree="tree-one"),
        verified("coder", 1.6, "tree-one", check(1, output=f"1 failed {EVIL}")),
        tool_ended("coder", 1.8, "workspace.edit", tree="tree-two"),
        verified("coder", 1.9, "tree-two", check(), check(command=f"lint {EVIL}")),
        *more.pop("acts", ()),
    )
    left = WorkspaceLeft(
        at=5,
        files=("app.py", f"docs/{EVIL}.md"),
        changes=(
            WorkspaceChange(
                agent="coder", files=(("app.py", "A"), (f"docs/{EVIL}.md", "A")), patch=PATCH
            ),
            WorkspaceChange(agent="planner", files=(("app.py", "M"),), patch=PATCH, cut=True),
        ),
    )
    return (started, *acts, *others, left, over)


def recorded(events: Sequence[Event]) -> RunRecord:
    recorder = RunRecorder()
    for event in events:
        recorder.notify(event)
    run = recorder.record()
    assert run is not None
    return run
