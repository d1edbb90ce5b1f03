"""What agents did and what was verified, as a report shows it: short, bounded, and inert."""

import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from attrs import frozen

from ..progress import describe_arguments, describe_ending, shorten
from .record import RunRecord, ToolRecord, VerificationRecord

ROWS = 1000  # tool calls that the lists of all agents may hold
FEWEST = 1  # of them that an agent's list holds at least
FILES = 1000
RESULT = 160  # characters of a result that are shown
OUTPUTS = 300_000  # characters that the outputs of all checks may take
PATCHES = 500_000  # characters that all changes may take as HTML
TREE = 10  # characters of a tree's name


@frozen
class ToolRow:
    """A tool call in words; `state` colours it."""

    call: str
    result: str
    took: str
    tree: str
    state: str


@frozen
class ToolList:
    """The tool calls of an agent; `more` are not shown."""

    rows: tuple[ToolRow, ...]
    more: int

    @property
    def total(self) -> int:
        return len(self.rows) + self.more

    @property
    def size(self) -> int:
        """Estimate the characters that it takes in a page."""
        return 400 + sum(200 + len(row.call) + len(row.result) for row in self.rows)


@frozen
class CheckRow:
    """A check in words, with the output of its command."""

    command: str
    result: str
    took: str
    output: str
    has_passed: bool


@frozen
class Verified:
    """A verification in words. agent: for whom the checks were run, unless they were replayed."""

    agent: str
    words: str
    where: str
    has_passed: bool
    replayed: bool
    checks: tuple[CheckRow, ...]


@frozen
class Change:
    """What an agent changed; `patch` is HTML, empty where there is no room for it."""

    agent: str
    words: str
    patch: str
    cut: bool


def list_tools(tools: Iterable[ToolRecord]) -> Mapping[str, ToolList]:
    """Map agents to their tool calls; of an agent with many the first and the last are shown."""
    by_agent: dict[str, list[ToolRecord]] = {}
    for tool in tools:
        by_agent.setdefault(tool.event.agent, []).append(tool)
    most = max(FEWEST, ROWS // max(1, len(by_agent)))
    lists = {}
    for agent, calls in by_agent.items():
        first, last = most // 2, most - most // 2
        shown = calls if len(calls) <= most else [*calls[:first], *calls[-last:]]
        lists[agent] = ToolList(tuple(map(_row, shown)), len(calls) - len(shown))
    return lists


def describe_verified(verified: Sequence[VerificationRecord]) -> list[Verified]:
    """Describe what was verified, the last first: it is what counts."""
    described = []
    room = OUTPUTS
    for number, record in reversed(list(enumerate(verified))):
        event = record.event
        failed = sum(not each.event.has_passed for each in verified[:number])
        checks = []
        for check in event.checks:
            output = plain(check.output[:room])
            room -= len(output)
            result = "passed" if check.has_passed else f"failed: {describe_ending(check)}"
            checks.append(
                CheckRow(
                    plain(check.command),
                    result,
                    f"{check.seconds:.1f} s",
                    output,
                    check.has_passed,
                )
            )
        passed = sum(check.has_passed for check in event.checks)
        round = f", in round {failed + 1}" if failed else ""
        no_sandbox = event.sandbox == "none"
        sandbox = "without a sandbox" if no_sandbox else f"in the sandbox {event.sandbox}"
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(event.when))
        described.append(
            Verified(
                agent=event.agent,
                words=f"{passed} of {len(checks)} checks passed{round}",
                where=f"{when}, {sandbox}, tree {event.tree[:TREE]}",
                has_passed=event.has_passed,
                replayed=event.replayed,
                checks=tuple(checks),
            )
        )
    return described


def list_files(run: RunRecord) -> Sequence[tuple[str, Sequence[str]]]:
    """List the workspace's files, each with those who wrote it, in order."""
    if run.left is None:
        return ()
    writers: dict[str, dict[str, None]] = {}
    for change in run.left.changes:
        for path, kind in change.files:
            if kind == "D":
                writers.pop(path, None)
            else:
                writers.setdefault(path, {})[change.agent] = None
    return [(plain(path), tuple(writers.get(path, ()))) for path in run.left.files[:FILES]]


def list_changes(run: RunRecord) -> list[Change]:
    """List who changed what, as many changes with their patch as there is room for."""
    changes = []
    room = PATCHES
    for change in run.left.changes if run.left else ():
        patch = to_diff(change.patch)
        room -= len(patch)
        files = len(change.files)
        names = ", ".join(plain(path) for path, _ in change.files[:4])
        more = f" and {files - 4} more" if files > 4 else ""
        has_room = room >= 0
        words = f"{names}{more}" if files else "nothing that is told"
        changes.append(
            Change(change.agent, words, patch if has_room else "", change.cut or not has_room)
        )
    return changes


def to_diff(patch: str) -> str:
    """Render a patch as HTML; what a line holds stays text."""
    return "\n".join(map(_diff_line, patch.removesuffix("\n").split("\n")))


def plain(text: str) -> str:
    """Replace what would not be seen, or would reorder what is: code must read as it runs."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\n\t" else "�" for character in text
    )


def _row(tool: ToolRecord) -> ToolRow:
    event = tool.event
    marks = (("failed", event.is_error), ("changed files", tool.changed))
    words = ", ".join(word for word, holds in marks if holds)
    result = shorten(event.text, RESULT)
    return ToolRow(
        call=shorten(f"{event.tool} {describe_arguments(event.arguments)}", 2 * RESULT),
        result=f"{words}: {result}" if words else result,
        took=f"{event.took:.1f} s",
        tree=event.tree[:TREE],
        state="failed" if event.is_error else "",
    )


def _diff_line(line: str) -> str:
    text = escape(plain(line), quote=False)
    if line.startswith(("+++ ", "--- ", "diff --git ", "index ", "new file", "deleted file")):
        return f"<b>{text}</b>" if line.startswith("diff") else f"<i>{text}</i>"
    if line.startswith("+"):
        return f"<ins>{text}</ins>"
    return f"<del>{text}</del>" if line.startswith("-") else text
