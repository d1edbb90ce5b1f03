"""Changes to a finished run: what its agents revise, and who of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from ..errors import UsageError
from ..json_schema import answer_value
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
    'answer with nothing but JSON, {{"touched": [{{"agent": name, "change": what changes}}]}}, '
    "an entry for each agent whose work the change touches, and none where it touches nobody's."
    "\n\n"
    "The agents:\n\n{agents}"
)


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
        schema=_schema([agent.name for agent in others]),
    )


def _schema(agents: Sequence[str]) -> Mapping[str, Any]:
    entry = {
        "type": "object",
        "properties": {
            "agent": {"type": "string", "enum": list(agents)},
            "change": {"type": "string"},
        },
        "required": ["agent", "change"],
    }
    touched = {"type": "array", "items": entry}
    return {"type": "object", "properties": {"touched": touched}, "required": ["touched"]}


def read_triage(answer: str) -> Mapping[str, str]:
    """Read whose work is touched, and why, from an answer that fits its schema."""
    return {entry["agent"]: entry["change"] for entry in answer_value(answer)["touched"]}
