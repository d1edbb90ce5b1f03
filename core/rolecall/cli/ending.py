"""What a run ends with: what was made, the plan's summary and questions, and where to look."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

from attrs import frozen

from ..observers.ledger import Ledger
from ..scheduling.agent_task import PLAN
from ..scheduling.checks.plan_head import split_head
from ..scheduling.scheduler import RunOutcome
from ..storage.run_folder import HISTORY
from ..storage.safe_folder import SafeFolder
from ..types.agents import TeamGraph
from .digest import list_questions, summarize
from .summary import agent_state

OUT = "program"  # folder that the commands hand the files out to
MANY = 20  # files of a folder, beyond which they are counted and not listed
WIDEST = 100  # columns that text is wrapped to
# What a run's folder holds that nobody asked for, and deliverables, which are listed by agent.
OURS = {"request.md", "run.toml", "state.json", "journal.jsonl"}
OUR_FOLDERS = {"deliverables", HISTORY, "workspace.git"}
NOTES = {"done": "", "reused": "kept", "as it stands": "kept"}  # of a deliverable, by state


@frozen
class RunEnding:
    """The end of a run.

    made: files within its folder, each with what is particular about it. start: commands that hand
    out the files, check and start them. verified: what rolecall verified, in lines. summary,
    questions: the plan's; all empty where this run made none. money, seconds: what this process
    took; money is US dollars, in words.
    """

    folder: Path
    made: tuple[tuple[str, str], ...]
    start: tuple[str, ...]
    verified: tuple[str, ...]
    summary: str
    questions: tuple[str, ...]
    done: int
    agents: int
    money: str
    seconds: float

    @classmethod
    def of(
        cls,
        folder: Path,
        team: TeamGraph,
        file_of: Callable[[str], str],
        outcome: RunOutcome,
        ledger: Ledger,
        seconds: float,
    ) -> "RunEnding":
        """Collect what a run ends with from its folder; `file_of` names an agent's deliverable."""
        done = [agent for agent in team if agent.name in outcome.done]
        states = {agent.name: agent_state(agent.name, outcome, ledger) for agent in done}
        deliverables = [(file_of(name), NOTES.get(state, state)) for name, state in states.items()]
        files = SafeFolder(folder)
        has_plan = any(agent.plan for agent in done)  # else one there is of an earlier state
        head, plan = split_head(files.read_text(PLAN) or "" if has_plan else "")
        start, verified = _started(head, folder)
        others = [
            (name, "") for name in files.files() if _is_made(name) and (has_plan or name != PLAN)
        ]
        return cls(
            folder=folder,
            made=(*deliverables, *others),
            start=start,
            verified=verified,
            summary=summarize(plan),
            questions=tuple(list_questions(plan)),
            done=len(done),
            agents=len(team),
            money=ledger.total.money,
            seconds=seconds,
        )

    @property
    def pages(self) -> list[str]:
        """List the files to open first: the plan, and pages for a browser."""
        names = [name for name, _ in self.made if "/" not in name]
        return [name for name in names if name == PLAN or name.endswith(".html")]

    def json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "files": [name for name, _ in self.made],
            "start": list(self.start),
            "verified": list(self.verified),
            "plan": {"summary": self.summary, "questions": list(self.questions)},
            "elapsed_seconds": round(self.seconds, 3),
        }

    def text(self, width: int | None = None) -> str:
        """Return it for people, wrapped where a width is given; the last line is the folder."""
        return "\n".join(self._lines(min(width, WIDEST) if width else None))

    def _lines(self, width: int | None) -> Iterator[str]:
        if self.made:
            yield "Made"
            for name, note in _few(self.made):
                yield f"  {name}{f' ({note})' if note else ''}"
            yield ""
        if self.start:
            yield "Start it"
            yield from (f"  {command}" for command in self.start)
            yield ""
        for line in self.verified:
            yield from _wrapped(line, width, "", "  ")
        if self.verified:
            yield ""
        if self.summary:
            yield "In short"
            for line in self.summary.splitlines():
                yield from _wrapped(line, width, "  ", "  ")
            yield ""
        if self.questions:
            yield "Questions to the operator"
            for number, question in enumerate(self.questions, 1):
                yield from _wrapped(question, width, f"{number:3}. ", "     ")
            yield ""
        took = f"{self.done} of {self.agents} agents in {self.seconds:.1f} s for {self.money}"
        yield f"{took}; rolecall report shows calls, tokens and costs"
        yield from (str(self.folder / name) for name in self.pages)
        yield str(self.folder)


def _started(head: str, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the head of a plan: its commands, as they are given here, and what was verified."""
    lines = head.splitlines()
    commands = [line.strip() for line in lines if line.startswith("    ")]
    if commands:
        commands[:2] = [f"rolecall files {shlex.quote(str(folder))} -o {OUT}", f"cd {OUT}"]
    said = head.partition("**")[2].splitlines()
    # Of the checks only those that failed: the plan lists all.
    passed = [line for line in said if line.startswith("- ") and line.endswith(": passed")]
    verified = [line.replace("**", "") for line in said if line and line not in passed]
    return tuple(commands), tuple(verified)


def _is_made(name: str) -> bool:
    folder, slash, _ = name.partition("/")
    return not name.startswith(".") and folder not in (OUR_FOLDERS if slash else OURS)


def _few(made: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Count the files of a folder that has many of them, but those with a note."""
    by_folder: dict[str, list[tuple[str, str]]] = {}
    for name, note in made:
        folder, slash, _ = name.partition("/")
        by_folder.setdefault(folder if slash else "", []).append((name, note))
    for folder, files in by_folder.items():
        if not folder or len(files) <= MANY:
            yield from files
        else:
            yield f"{folder}/", f"{len(files):,} files"
            yield from ((name, note) for name, note in files if note)


def _wrapped(text: str, width: int | None, first: str, rest: str) -> list[str]:
    if width is None or not text:
        return [f"{first}{text}".rstrip()]
    return wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
