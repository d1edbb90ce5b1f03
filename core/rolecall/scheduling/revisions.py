"""What the operator's changes mean for a run: who revises, and whose work is unaffected."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property

from ..storage.step_store import StepStore
from ..types.agents import Agent, TeamGraph
from ..types.messages import Request
from ..types.update import Update
from .tool_loop import Written
from .triage import read_triage, revisers, revision, roots, triage

Write = Callable[[Request], Awaitable[Written]]


class Revisions:
    """The changes that a run's journal holds, applied to its team."""

    def __init__(self, team: TeamGraph, store: StepStore, template: Request) -> None:
        self._team = team
        self._store = store
        self._template = template

    @property
    def pending(self) -> Update | None:
        """Return the change of which it is not known yet whose work it touches."""
        updates = self._store.updates
        return updates[-1] if updates and updates[-1].touched is None else None

    @cached_property
    def interpreters(self) -> tuple[str, ...]:
        """List the agents that interpret a change before the others hear of it."""
        return roots(self._team)

    def revise(self, request: Request, agent: Agent) -> Request:
        """Ask an agent to revise what it wrote, where one of the changes concerns it."""
        updates = self._store.updates
        numbers = [update.number for update in updates if self._revises(agent, update)]
        return revision(request, agent.name, updates[: numbers[-1]]) if numbers else request

    def is_revising(self, agent: Agent) -> bool:
        """Check whether an agent is asked to revise what it wrote, files included.

        As long as it is not known whose work a change touches, it may be anyone's.
        """
        if self.pending is not None:
            return True
        return any(self._revises(agent, update) for update in self._store.updates)

    def is_unaffected(self, agent: Agent) -> bool:
        """Check whether an agent's work is yet to be recorded as unaffected by the last change."""
        updates = self._store.updates
        untouched = bool(updates) and not self._revises(agent, updates[-1])
        return untouched and not self._store.is_carried_over(agent.name)

    def with_changes(self, text: str) -> str:
        """Add to a plan what was changed since the first one."""
        updates = self._store.updates
        sections = [update.section for update in updates if update.touched is not None]
        return "\n\n".join([text.strip(), *sections])

    async def find_touched(self, request: str, texts: Mapping[str, str], write: Write) -> Update:
        """Ask the planner whose work the open change touches; raise CallFailed if it cannot say.

        write: gets the planner's whole text.
        """
        update = self._store.updates[-1]
        planner = self.planner
        deliverables = {
            agent.name: (agent.title, texts.get(agent.name, update.former[agent.name]))
            for agent in self._team
            if agent.name != planner.name
        }
        question = triage(planner, self._team, request, deliverables, update, self._template)
        written = await write(question)
        return self._store.record_touched(read_triage(written.text))

    @cached_property
    def planner(self) -> Agent:
        """Return the agent that writes the plan."""
        return next(agent for agent in self._team if agent.plan)

    def _revises(self, agent: Agent, update: Update) -> bool:
        if update.touched is None:
            return agent.name in self.interpreters
        return agent.name in revisers(self._team, update.touched)
