"""Walks the team's graph: an agent runs as soon as the deliverables it needs are there."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from attrs import evolve, field, frozen

from ..errors import BudgetReached, RolecallError, RunError
from ..execution.context import RunContext
from ..execution.dispatcher import Dispatcher
from ..storage.run_folder import RunFolder, deliverable_file
from ..storage.step_store import step_key
from ..types.agents import Agent
from ..types.answer import Answer
from ..types.events import (
    AgentBlocked,
    AgentDone,
    AgentFailed,
    AgentStarted,
    DeliverableKept,
    RunEnded,
    RunStarted,
    StepReused,
    WorkTouched,
)
from ..types.messages import Request, Stop
from .prompts import compose, write
from .revisions import Changes
from .triage import revisers

PLAN = "PLAN.md"
CUT = "> **Cut off.** The output limit ended this deliverable before it was finished.\n\n"


@frozen
class Outcome:
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
        """Give 0 when all is done, 3 by budget, 4 when an agent ran out of routes, else 1."""
        if any(isinstance(error, BudgetReached) for error in self.failed.values()):
            return BudgetReached.exit_code
        if self.failed:
            return max(error.exit_code for error in self.failed.values())
        return 1 if self.cut else 0


class Runner:
    """Runs a team on one request, in one folder."""

    def __init__(self, context: RunContext, folder: RunFolder) -> None:
        settings = context.settings
        self._context = context
        self._team = context.team
        self._folder = folder
        self._dispatcher = Dispatcher(context)
        self._changes = Changes(self._team, folder.memo, settings.template, settings.continuations)
        self._texts: dict[str, str] = {}
        self._cut: list[str] = []
        self._failed: dict[str, RolecallError] = {}
        self._blocked: dict[str, str] = {}

    async def run(self) -> Outcome:
        """Run every agent that can run; failures stop only what needs them."""
        self._context.emit(
            RunStarted(
                at=self._context.at,
                folder=str(self._folder.path),
                request=self._context.request,
                agents=tuple(agent.name for agent in self._team),
                first_choices=tuple(
                    (agent.name, agent.routes[0].provider) for agent in self._team if agent.routes
                ),
                needs=tuple((name, self._team.needs(name)) for name in self._team.agents),
                when=self._context.when,
                past=tuple(self._folder.memo.past),
                forecast=self._context.forecast,
            )
        )
        self._dispatcher.prepare([route.provider for agent in self._team for route in agent.routes])
        interrupted = True
        try:
            try:
                await self._go()
            except* RunError as group:  # the disk takes nothing more: paying on is no use
                raise group.exceptions[0] from None
            interrupted = False
        finally:
            self._context.emit(
                RunEnded(
                    at=self._context.at,
                    done=len(self._texts),
                    failed=len(self._failed),
                    blocked=len(self._blocked),
                    interrupted=interrupted,
                )
            )
        done = tuple(name for name in self._team.agents if name in self._texts)
        return Outcome(done, dict(self._failed), dict(self._blocked), tuple(self._cut))

    async def _go(self) -> None:
        if self._changes.open is not None:
            await self._walk(self._changes.first)
            if not self._failed:
                await self._find_touched()
        if not self._failed:
            await self._walk(self._team.agents)

    async def _find_touched(self) -> None:
        planner = self._changes.planner
        step = partial(self._step, planner)
        try:
            update = await self._changes.find_touched(self._context.request, self._texts, step)
        except RunError:
            raise
        except RolecallError as error:
            self._fail(planner, error)
            for name in self._team.agents:
                if name not in self._texts and name != planner.name:
                    self._block(name, planner.name)
            return
        touched = update.touched or {}
        revise = tuple(name for name in self._team.agents if name in revisers(self._team, touched))
        self._context.emit(
            WorkTouched(at=self._context.at, touched=tuple(touched.items()), revise=revise)
        )

    async def _walk(self, names: Iterable[str]) -> None:
        """Run those of these agents that are not through, each as soon as it can."""
        waiting = {
            name: sum(need not in self._texts for need in self._team.needs(name))
            for name in names
            if name not in self._texts
        }

        async with asyncio.TaskGroup() as tasks:

            def start(ready: Sequence[str]) -> None:
                # Callers queue in the order they ask: the longest remaining path goes first.
                for name in sorted(ready, key=lambda name: -self._context.priorities[name]):
                    tasks.create_task(work(self._team.agents[name]), name=name)

            async def work(agent: Agent) -> None:
                try:
                    await self._work(agent)
                except RunError:
                    raise
                except RolecallError as error:
                    self._fail(agent, error)
                    return
                ready = []
                for name in self._team.dependants[agent.name]:
                    if name in waiting:
                        waiting[name] -= 1
                        if not waiting[name]:
                            ready.append(name)
                start(ready)

            start([name for name, needs in waiting.items() if not needs])

    async def _work(self, agent: Agent) -> None:
        """Get an agent's deliverable: a person's word if they edited it, else the agent's."""
        file = deliverable_file(self._context.numbers[agent.name], agent.name)
        files = (file, PLAN) if agent.plan else (file,)
        standing = self._standing(agent, files)
        if standing is None and self._changes.stands(agent):
            self._adopt(agent, files[0])
        if standing is not None:
            self._save(agent, files, standing)
            self._context.emit(DeliverableKept(at=self._context.at, agent=agent.name, file=file))
            return
        self._context.emit(AgentStarted(at=self._context.at, agent=agent.name))
        text, answer = await self._write(agent)
        cut = answer.response.stop is Stop.LENGTH
        text = self._changes.told(text) if agent.plan else text
        if cut:
            text = CUT + text
            self._cut.append(agent.name)
        self._folder.memo.wrote(agent.name, text)
        await self._folder.memo.settle()
        self._save(agent, files, text)
        route = answer.route
        self._context.emit(
            AgentDone(at=self._context.at, agent=agent.name, route=route, file=file, cut=cut)
        )

    def _standing(self, agent: Agent, files: Sequence[str]) -> str | None:
        """Give the text that stands without asking: a person's word, or what is frozen."""
        texts = [text for file in files if (text := self._folder.read(file)) is not None]
        for text in texts:
            if self._folder.memo.is_edited(agent.name, text):
                self._folder.memo.edited(agent.name, text)
                return text
        if agent.name not in self._context.frozen:
            return None
        if not texts:
            raise RunError(f"{agent.name} has no deliverable yet; finish the run first")
        return texts[0]

    def _save(self, agent: Agent, files: Sequence[str], text: str) -> None:
        for file in files:
            self._folder.revise(file, text)
        self._texts[agent.name] = text

    def _adopt(self, agent: Agent, file: str) -> None:
        """Let a deliverable that a change does not touch be the answer to what is now asked."""
        text = self._folder.read(file)
        if text is not None:
            asked = self._asked(agent)
            self._folder.memo.adopt(step_key(agent.name, 0, asked), agent.name, text)

    async def _write(self, agent: Agent) -> tuple[str, Answer]:
        step = partial(self._step, agent)
        return await write(self._asked(agent), step, self._context.settings.continuations)

    def _asked(self, agent: Agent) -> Request:
        needs = {
            name: (self._team.agents[name].title, self._texts[name])
            for name in self._team.needs(agent.name)
        }
        asked = compose(
            agent,
            self._context.request,
            needs,
            self._context.left_out.get(agent.name, ()),
            self._context.settings.template,
        )
        return self._changes.asked(asked, agent)

    async def _step(self, agent: Agent, ordinal: int, request: Request) -> Answer:
        key = step_key(agent.name, ordinal, request)
        priority = self._context.priorities[agent.name]
        # What thinking is known to have used up need not be paid for again.
        enough = 2 * self._folder.memo.too_small(key)
        if enough > request.max_output_tokens:
            request = evolve(request, max_output_tokens=enough)
        if ordinal:
            await self._folder.memo.settle()  # what it goes on from is paid
        answer = await self._folder.memo.step(
            key, lambda: self._dispatcher.run(agent, request, key, priority), agent.name
        )
        if answer.reused:
            self._context.emit(
                StepReused(
                    at=self._context.at,
                    agent=agent.name,
                    step=key,
                    cost=answer.response.cost,
                    source=answer.source,
                )
            )
        return answer

    def _fail(self, agent: Agent, error: RolecallError) -> None:
        self._failed[agent.name] = error
        self._context.emit(AgentFailed(at=self._context.at, agent=agent.name, error=str(error)))
        for name in self._team.order:
            if name in self._team.downstream(agent.name):
                self._block(name, agent.name)

    def _block(self, name: str, by: str) -> None:
        if name not in self._blocked:
            self._blocked[name] = by
            self._context.emit(AgentBlocked(at=self._context.at, agent=name, by=by))
