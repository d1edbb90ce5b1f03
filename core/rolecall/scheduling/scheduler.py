"""Walks the team's graph: an agent runs as soon as the deliverables it needs are there."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from ..errors import BudgetReached, RolecallError, RunError
from ..execution.context import RunContext
from ..execution.dispatcher import Dispatcher
from ..execution.redaction import redact_error
from ..storage.run_folder import RunFolder
from ..types.agents import Agent
from ..types.events import (
    AgentBlocked,
    AgentFailed,
    RunEnded,
    RunStarted,
    WorkTouched,
)
from .agent_task import AgentTask
from .revisions import Revisions
from .triage import revisers
from .workbench import Workbench

_log = logging.getLogger("rolecall")


@frozen
class RunOutcome:
    """What became of the team's agents.

    failed: agent to its error. blocked: agent to the failed one that it waited for.
    cut: those whose deliverable stayed cut off.
    """

    done: tuple[str, ...] = ()
    failed: Mapping[str, RolecallError] = field(factory=dict)
    blocked: Mapping[str, str] = field(factory=dict)
    cut: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return 0 when all is done, 3 by budget, 4 when an agent ran out of routes, else 1."""
        if any(isinstance(error, BudgetReached) for error in self.failed.values()):
            return BudgetReached.exit_code
        if self.failed:
            return max(error.exit_code for error in self.failed.values())
        return 1 if self.cut else 0


class Scheduler:
    """Runs a team on one request, in one folder."""

    def __init__(self, context: RunContext, folder: RunFolder) -> None:
        self._context = context
        self._team = context.team
        self._folder = folder
        self._dispatcher = Dispatcher(context)
        self._workbench = Workbench(context, folder)
        self._revisions = Revisions(self._team, folder.store, context.settings.template)
        self._texts: dict[str, str] = {}
        self._cut: list[str] = []
        self._failed: dict[str, RolecallError] = {}
        self._blocked: dict[str, str] = {}

    async def run(self) -> RunOutcome:
        """Run every agent that can run; failures stop only what needs them."""
        context, team = self._context, self._team
        context.emit(
            RunStarted(
                at=context.at,
                folder=str(self._folder.path),
                request=context.request,
                agents=tuple(agent.name for agent in team),
                first_choices=tuple(
                    (agent.name, agent.routes[0].provider) for agent in team if agent.routes
                ),
                needs=tuple((name, team.needs(name)) for name in team.agents),
                when=context.when,
                past=tuple(self._folder.store.calls.past),
                acted=tuple(self._folder.store.calls.acted),
                verified=tuple(self._folder.store.calls.verified),
                forecast=context.forecast,
            )
        )
        revising = [agent.name for agent in team if self._revisions.is_revising(agent)]
        for line in self._workbench.recover(revising):
            _log.warning("%s", line)
        self._dispatcher.prepare(route.provider for agent in team for route in agent.routes)
        interrupted = True
        failure: RunError | None = None
        try:
            if self._revisions.pending is not None:
                await self._take_up_change()
            if not self._failed:
                await self._walk(team.agents)
            interrupted = False
        except* RunError as group:  # the disk takes nothing more: paying on is no use
            failure = _first(group)  # raised here, some Pythons would wrap it in a group again
        finally:
            self._describe_workspace()
            context.emit(
                RunEnded(
                    at=context.at,
                    done=len(self._texts),
                    failed=len(self._failed),
                    blocked=len(self._blocked),
                    interrupted=interrupted,
                )
            )
        if failure is not None:
            raise failure
        done = tuple(name for name in team.agents if name in self._texts)
        return RunOutcome(done, dict(self._failed), dict(self._blocked), tuple(self._cut))

    def _describe_workspace(self) -> None:
        try:
            left = self._workbench.executor.describe()
        except (RolecallError, OSError) as error:
            _log.warning("what the agents changed cannot be told: %s", error)
        else:
            if left is not None:
                self._context.emit(left)

    async def _take_up_change(self) -> None:
        """Have a change interpreted by those who read the request; ask whose work it touches."""
        await self._walk(self._revisions.interpreters)
        if self._failed:
            return
        context, planner = self._context, self._revisions.planner
        try:
            update = await self._revisions.find_touched(
                context.request, self._texts, self._task(planner).write
            )
        except RunError:
            raise
        except RolecallError as error:
            self._fail(planner, error)
            for name in self._team.agents:
                if name not in self._texts and name != planner.name:
                    self._block(name, planner.name)
            return
        touched = update.touched or {}
        revising = revisers(self._team, touched)
        revise = tuple(name for name in self._team.agents if name in revising)
        context.emit(WorkTouched(at=context.at, touched=tuple(touched.items()), revise=revise))

    async def _walk(self, names: Iterable[str]) -> None:
        """Run those of these agents that are not through, each as soon as it can."""
        waiting = {
            name: sum(need not in self._texts for need in self._team.needs(name))
            for name in names
            if name not in self._texts
        }
        ready = [name for name, needs in waiting.items() if not needs]
        finished: asyncio.Queue[str] = asyncio.Queue()
        running = 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                # Callers queue in the order they ask: the longest remaining path goes first.
                for name in sorted(ready, key=lambda name: -self._context.priorities[name]):
                    tasks.create_task(self._work(self._team.agents[name], finished), name=name)
                running += len(ready)
                if not running:
                    break
                name = await finished.get()
                running -= 1
                ready = [] if name in self._failed else self._released(name, waiting)

    def _released(self, name: str, waiting: dict[str, int]) -> list[str]:
        """List who waited for this agent alone; `waiting` counts what each still waits for."""
        dependants = [other for other in self._team.dependants[name] if other in waiting]
        for dependant in dependants:
            waiting[dependant] -= 1
        return [dependant for dependant in dependants if not waiting[dependant]]

    async def _work(self, agent: Agent, finished: "asyncio.Queue[str]") -> None:
        try:
            deliverable = await self._task(agent).run()
            self._texts[agent.name] = deliverable.text
            if deliverable.cut:
                self._cut.append(agent.name)
        except RunError:
            raise
        except RolecallError as error:
            self._fail(agent, error)
        finished.put_nowait(agent.name)

    def _task(self, agent: Agent) -> AgentTask:
        return AgentTask(
            agent,
            self._context,
            self._folder,
            self._dispatcher,
            self._revisions,
            self._texts,
            self._workbench,
        )

    def _fail(self, agent: Agent, error: RolecallError) -> None:
        redact_error(error, self._context.redact)
        self._failed[agent.name] = error
        by_budget = isinstance(error, BudgetReached)
        at = self._context.at
        self._context.emit(
            AgentFailed(at=at, agent=agent.name, error=str(error), by_budget=by_budget)
        )
        behind = self._behind(agent.name)
        for name in self._team.order if behind else ():
            if name in behind:
                self._block(name, agent.name)

    def _behind(self, failed: str) -> set[str]:
        """List who waits for an agent, directly or through others, and is not blocked yet.

        Behind one that is blocked already, everybody is.
        """
        behind: set[str] = set()
        ahead = [failed]
        for name in ahead:  # grows while it is read
            new = set(self._team.dependants[name]) - behind - self._blocked.keys()
            behind |= new
            ahead.extend(new)
        return behind

    def _block(self, name: str, by: str) -> None:
        if name not in self._blocked:
            self._blocked[name] = by
            self._context.emit(AgentBlocked(at=self._context.at, agent=name, by=by))


def _first(group: ExceptionGroup[RunError]) -> RunError:
    """Return the first error of a group, whose groups may lie within each other."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
