"""Changes to a finished run: what its agents revise, and who of them."""

import re
from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve

from ..errors import UsageError
from ..types.agents import Agent, TeamGraph
from ..types.messages import Message, Request
from ..types.update import Update
from .blocks import block
from .prompts import material

REVISE = (
    "This deliverable was written before: its text so far is in <previous>. What the operator now "
    "wants changed is in <change>; where several changes contradict each other, the last one "
    "holds. Write the deliverable again as it is to be now. Keep word for word what still holds; "
    "change only what a change, or a deliverable above that it changed, makes wrong or incomplete. "
    "Ids stay with what they name; new things get new ids. Add a last sub-heading `### Changed` "
    "that lists in a few lines what is different and why."
)
TRIAGE = (
    "The operator wants a change to work that is finished: it is in <change>. The deliverables "
    "above are as they stand; only those of {roots} are revised already. Say whose deliverable the "
    "change makes wrong or incomplete, taken by itself. Leave out who is only affected because "
    "another deliverable changes: they follow by themselves. No other form holds for this answer: "
    "answer with nothing but one line per agent whose work the change touches, "
    "`- agent-name: what changes there`, or with the one word `none`.\n\n"
    "The agents:\n\n{agents}"
)
AGAIN = (
    "No line of that answer names an agent. Answer with nothing but lines "
    "`- agent-name: what changes there`, with names from the list above, or with the word `none`."
)
_LINE = re.compile(r"\s*(?:[-*•]|\d+\.)\s*[*`]*([\w.-]+)[*`]*\s*(?:[:\u2013\u2014-]\s*(.*))?")
_NONE = re.compile(r"\s*[-*]?\s*[*`]*none[*`.]*\s*", re.IGNORECASE)


def check_updatable(team: TeamGraph, deliverables: Mapping[str, str]) -> None:
    """Raise UsageError where a run cannot be updated: it is not finished, or has no plan."""
    missing = [agent.name for agent in team if agent.name not in deliverables]
    if missing:
        raise UsageError(f"{', '.join(missing)}: no deliverable yet; finish the run with resume")
    if not any(agent.plan for agent in team):
        raise UsageError("no agent of this team writes the plan (plan=True), which an update needs")


def roots(team: TeamGraph) -> tuple[str, ...]:
    """List the agents that read the request alone: they interpret a change first."""
    return tuple(agent.name for agent in team if not team.needs(agent.name))


def revisers(team: TeamGraph, touched: Mapping[str, str]) -> frozenset[str]:
    """Collect who works again: who is touched with all who need them, who interprets, who plans."""
    first = set(roots(team))
    planners = {agent.name for agent in team if agent.plan}
    named = set(touched) - first
    return frozenset(first | planners | named).union(*(team.downstream(name) for name in named))


def revision(request: Request, agent: str, updates: Sequence[Update]) -> Request:
    """Ask an agent to revise what it wrote before the last of these updates."""
    changes = "\n\n".join(
        block("change", update.change, number=update.number, date=update.date) for update in updates
    )
    previous = block("previous", updates[-1].former[agent])
    message = request.messages[-1]
    text = f"{message.text}\n\n{previous}\n\n{changes}\n\n{REVISE}"
    return evolve(request, messages=(*request.messages[:-1], Message(message.role, text)))


def triage(
    planner: Agent,
    team: TeamGraph,
    request: str,
    deliverables: Mapping[str, tuple[str, str]],
    update: Update,
    template: Request,
) -> Request:
    """Ask the planner whose work a change touches."""
    others = [agent for agent in team if agent.name not in (*roots(team), planner.name)]
    listed = "\n".join(f"- {agent.name}: {agent.goal}" for agent in others)
    parts = (
        material(request, deliverables),
        block("change", update.change),
        TRIAGE.format(roots=", ".join(roots(team)), agents=listed),
    )
    return evolve(
        template,
        system=planner.shared or f"You are the {planner.title} of a team.",
        shares_system=bool(planner.shared),
        messages=(Message("user", "\n\n".join(parts)),),
    )


def read_triage(answer: str, team: TeamGraph) -> Mapping[str, str] | None:
    """Read whose work is touched, and why; None where the answer says nothing of that."""
    touched = dict(_named(answer, team))
    if touched or any(_NONE.fullmatch(line) for line in answer.splitlines()):
        return touched
    return None


def _named(answer: str, team: TeamGraph) -> Iterator[tuple[str, str]]:
    for line in answer.splitlines():
        match = _LINE.fullmatch(line)
        if match and match[1] in team.agents:
            yield match[1], (match[2] or "").strip()
