"""One agent's part of a run: its deliverable is kept as it stands, or asked for, and saved."""

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from attrs import evolve, frozen

from ..errors import AllRoutesFailed, ProviderError, RunError
from ..execution.context import RunContext
from ..execution.dispatcher import Dispatcher
from ..json_schema import answer_fault
from ..storage.acting.tree_entries import EMPTY_TREE
from ..storage.run_folder import RunFolder, deliverable_file
from ..storage.step_store import step_key
from ..types.agents import Agent, Route
from ..types.answer import Answer
from ..types.causes import Cause
from ..types.events import (
    AgentDone,
    AgentStarted,
    DeliverableKept,
    FellBack,
    RepairStarted,
    StepReused,
    WorkspaceVerified,
)
from ..types.messages import Request, Stop
from .checks.plan_head import headed, write_head
from .prompts import Continuation, compose, describe_tools, mend
from .revisions import Revisions
from .tool_loop import ToolLoop, Written
from .toolbox import Toolbox
from .verification import UNCHECKED, facts, repair
from .workbench import Workbench

_log = logging.getLogger("rolecall")
PLAN = "PLAN.md"
CUT = "> **Cut off.** The output limit ended this deliverable before it was finished.\n\n"


@frozen
class Deliverable:
    """What an agent wrote; `cut` where the output limit ended it."""

    text: str
    cut: bool = False


@frozen
class AgentTask:
    """Gets an agent's deliverable.

    texts: the deliverables that are there already, by agent.
    workbench: what agents act with.
    """

    agent: Agent
    context: RunContext
    folder: RunFolder
    dispatcher: Dispatcher
    revisions: Revisions
    texts: Mapping[str, str]
    workbench: Workbench

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the files that the deliverable is saved in."""
        file = deliverable_file(self.context.numbers[self.agent.name], self.agent.name)
        return (file, PLAN) if self.agent.plan else (file,)

    async def run(self) -> Deliverable:
        """Keep a person's word or what is frozen; else ask, and save the answer."""
        context, name = self.context, self.agent.name
        text = self._kept_text()
        if text is not None:
            self._save(text)
            context.emit(DeliverableKept(at=context.at, agent=name, file=self.files[0]))
            return Deliverable(text)
        if self.agent.plan:
            await self.workbench.verifier.verify_all(name)
        toolbox = self.workbench.toolbox(self.agent)
        request = evolve(self._request(toolbox), tools=toolbox.specs)
        if self.revisions.is_unaffected(self.agent):
            self._carry_over(request)
        await self._start_over(request)
        context.emit(AgentStarted(at=context.at, agent=name))
        working = self._act(request, toolbox) if toolbox.specs else self.write(request)
        written = await working
        text, answer = written.text, written.answer
        cut = answer.response.stop is Stop.LENGTH
        if self.agent.plan:
            text = self.revisions.with_changes(headed(text, self._head()))
        text = context.redact.known(text)  # a secret may come in pieces that only now are together
        deliverable = Deliverable(CUT + text if cut else text, cut)
        # On the disk before the file is: after a crash it would look like a person's edit.
        self.folder.store.record_deliverable(name, deliverable.text)
        await self.folder.store.flush()
        await self.workbench.executor.commit(name, self.agent.title, answer.step)
        self._save(deliverable.text)
        context.emit(
            AgentDone(at=context.at, agent=name, route=answer.route, file=self.files[0], cut=cut)
        )
        return deliverable

    async def _start_over(self, request: Request) -> None:
        """Take out what this agent, and those who need it, wrote in answer to another question."""
        context, name, store = self.context, self.agent.name, self.folder.store
        if store.tools.is_empty:
            return  # a long request, and who is downstream in a large team, take long to look at
        if self.revisions.is_revising(self.agent) or store.is_answered(step_key(name, 0, request)):
            return
        agents = [
            each
            for each in (name, *context.team.downstream(name))
            if store.tools.changed_by(each)
            and each not in context.frozen
            and not self.revisions.is_revising(context.team.agents[each])
        ]
        if agents:
            await self.workbench.executor.start_over(agents)

    async def _act(self, request: Request, toolbox: Toolbox) -> Written:
        """Get the text of an agent that has tools, and whose work may be verified."""
        context, name = self.context, self.agent.name
        loop = ToolLoop(name, context, toolbox, self.workbench.executor, self.write)
        written = await loop.run(request)
        repairs = context.settings.repairs if self.agent.verify else 0
        for number in range(1, repairs + 1):
            lacking = await self._lacking(written)
            if not lacking:
                return written
            at = context.at
            context.emit(RepairStarted(at=at, agent=name, repair=number, repairs=repairs))
            request = written.followed_by(lacking)
            written = await loop.run(request, written.pieces, written.tree)
        if self.agent.verify:
            await self._verify(written)
        return written

    async def _lacking(self, written: Written) -> str:
        """Return what is to be asked of an agent before its work will do, or ""."""
        if written.tree and not self.workbench.verifier.commands(self.agent.name):
            return UNCHECKED
        verified = await self._verify(written)
        return "" if verified is None or verified.has_passed else repair(verified)

    async def _verify(self, written: Written) -> WorkspaceVerified | None:
        if not written.tree:
            return None
        return await self.workbench.verifier.verify(self.agent.name, written.tree)

    async def write(self, request: Request, first: int = 0) -> Written:
        """Ask for a whole text that fits its schema; raise AllRoutesFailed where none comes.

        first: how often the agent was asked before.
        """
        routes: Sequence[Route] = self.agent.routes
        failures: list[tuple[str, ProviderError]] = []
        while True:
            written = await self._mended(request, first, routes)
            fault = _fault(written)
            if not fault:
                return written
            route = written.answer.route
            failures.append((route, ProviderError(Cause.BAD_SCHEMA, fault)))
            routes = self._other_routes(route, routes)
            if not routes:
                raise AllRoutesFailed(self.agent.name, failures)
            context, to = self.context, str(routes[0])
            context.emit(
                FellBack(
                    at=context.at,
                    agent=self.agent.name,
                    route=route,
                    to=to,
                    cause=Cause.BAD_SCHEMA,
                )
            )
            first = written.pieces

    async def _mended(self, request: Request, first: int, routes: Sequence[Route]) -> Written:
        """Ask for a text, and again where it does not fit its schema, told what is wrong."""
        written = await self._whole(request, first, routes)
        for _ in range(self.context.settings.repairs):
            if not (fault := _fault(written)):
                break
            again = written.followed_by(mend(fault))
            written = await self._whole(again, written.pieces, routes)
        return written

    async def _whole(self, request: Request, first: int, routes: Sequence[Route]) -> Written:
        """Ask for a whole text, in as many pieces as the output limit cuts it into."""
        continuation = Continuation(request, self.context.settings.continuations)
        answer = await self._ask(first, request, routes)
        while (rest := continuation.add(answer.response)) is not None:
            request = rest
            answer = await self._ask(first + continuation.pieces, request, routes)
        return Written(continuation.text, answer, request, first + continuation.pieces)

    def _other_routes(self, answered: str, routes: Sequence[Route]) -> Sequence[Route]:
        """List the routes but for the one that answered, which need not be the first."""
        resolve = self.context.pricing.resolve
        return tuple(route for route in routes if str(resolve(route)) != answered)

    async def _ask(self, ordinal: int, request: Request, routes: Sequence[Route]) -> Answer:
        context, name, store = self.context, self.agent.name, self.folder.store
        if ordinal:
            await store.flush()  # what the agent goes on from is paid, so it must not be lost
        key = step_key(name, ordinal, request)
        # What thinking is known to have used up need not be paid for again.
        enough = 2 * store.calls.exhausted_budget(key)
        if enough > request.max_output_tokens:
            request = evolve(request, max_output_tokens=enough)
        priority = context.priorities[name]
        agent = evolve(self.agent, routes=tuple(routes))
        ask = partial(self.dispatcher.run, agent, request, key, priority)
        answer = await store.step(key, ask, name)
        if answer.reused:
            cost = answer.response.cost
            context.emit(
                StepReused(at=context.at, agent=name, step=key, cost=cost, source=answer.source)
            )
        return answer

    def _request(self, toolbox: Toolbox) -> Request:
        team = self.context.team
        needs = {
            name: (team.agents[name].title, self.texts[name])
            for name in team.needs(self.agent.name)
        }
        left_out = self.context.left_out.get(self.agent.name, ())
        template = self.context.settings.template
        request = compose(
            self.agent,
            self.context.request,
            needs,
            left_out,
            template,
            facts(self._verifications_upstream()),
            describe_tools(toolbox.names, toolbox.left_out),
        )
        return self.revisions.revise(request, self.agent)

    def _head(self) -> str:
        """Write what rolecall says at the head of a plan; "" where agents left no file."""
        tools, verifier = self.folder.store.tools, self.workbench.verifier
        if not tools.tree or tools.tree == EMPTY_TREE:
            return ""
        if not verifier.registered.checks:
            why_not = "no check was registered"
        else:
            why_not = "there is no sandbox to run checks in; the commands above run them"
        verified = self._verifications(self.context.team.agents)
        return write_head(verifier.registered, verified, tools.tree, why_not)

    def _verifications_upstream(self) -> list[WorkspaceVerified]:
        if not self.folder.store.tools.has_verifications:
            return []  # in a large team, looking for who is upstream takes long
        upstream = self.context.team.upstream(self.agent.name)
        if self.agent.plan:
            upstream |= {self.agent.name}  # for whom all was verified once more
        return self._verifications(upstream)

    def _verifications(self, agents: Collection[str]) -> list[WorkspaceVerified]:
        return self.folder.store.tools.verifications(agents)

    def _kept_text(self) -> str | None:
        """Return the text that stands without asking: a person's word, or what is frozen."""
        name, store = self.agent.name, self.folder.store
        texts = [text for file in self.files if (text := self.folder.read(file)) is not None]
        for text in texts:
            if store.texts.is_edited(name, text):
                if store.texts.is_new_edit(name, text) and (own := store.own_text(name)):
                    self.folder.keep_past(self.files[0], own)  # the edit took its place
                store.record_edit(name, text)
                return text
        if name not in self.context.frozen:
            return None
        if not texts:
            raise RunError(f"{name} has no deliverable yet; finish the run first")
        return texts[0]

    def _carry_over(self, request: Request) -> None:
        """Take a deliverable that a change does not touch as the answer to what is asked now."""
        text = self.folder.read(self.files[0])
        if text is not None:
            name = self.agent.name
            self.folder.store.carry_over(step_key(name, 0, request), name, text)

    def _save(self, text: str) -> None:
        before = self.folder.read(self.files[0])
        texts = self.folder.store.texts
        for file in self.files:
            self.folder.revise(file, text)
        if before and before.strip() != text.strip() and texts.was_edit(self.agent.name, before):
            _log.warning(
                "%s: your edit is revised; it is kept in history (rolecall runs diff %s)",
                self.folder.path / self.files[0],
                self.folder.path,
            )


def _fault(written: Written) -> str:
    """Return how a whole text violates the schema that was asked for, or ""."""
    schema, is_part = written.request.schema, written.request.schema_is_part
    if schema is None or written.answer.response.stop is Stop.TOOL_USE:
        return ""
    return answer_fault(schema, written.text, is_part)
