"""Makes the tool calls that agents want: reads at once, changes one at a time, each remembered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from itertools import groupby

from attrs import evolve

from ..execution.consent_gate import ConsentGate
from ..execution.context import RunContext
from ..json_schema import arguments_fault
from ..storage.acting.agent_files import AgentFiles
from ..storage.acting.tool_results import A_PERSON
from ..storage.acting.tree_entries import (
    EMPTY_TREE,
    builders_on,
    changes_between,
    tree_without,
    with_changes,
)
from ..storage.acting.workspace import OUTPUTS, GitWorkspace, TooLarge
from ..storage.records import WorkspaceRecord
from ..storage.step_store import StepStore
from ..types.events import ToolEnded, ToolStarted, WorkspaceChange, WorkspaceLeft
from ..types.parts import ToolCall, ToolResult
from ..types.tools import (
    ChangesOutside,
    FileChange,
    RecordedCall,
    Repeatable,
    Tool,
    ToolPlayer,
    Work,
)
from .toolbox import Toolbox

_log = logging.getLogger("rolecall")
SHOWN = 16_000  # characters of a result that a model is told
MOST = 500_000  # bytes of all patches that the run's end is told with
UNKNOWN = (
    "The run was cut off during this call, and it is not known whether it was carried out. "
    "Look before you make it again."
)


class ToolExecutor:
    """Makes the tool calls of a run.

    A call that may change something is on record before it is made, and what it came to before
    anyone is told: after a crash no call is made twice that should not be.
    """

    def __init__(self, context: RunContext, store: StepStore, workspace: GitWorkspace) -> None:
        self._context = context
        self._store = store
        self._workspace = workspace
        self._consent = ConsentGate(context, store)
        self._redact = context.redact.known
        self._changing = asyncio.Lock()
        self._finished: set[str] = set()

    def recover(self, revising: Collection[str] = ()) -> list[str]:
        """Put the workspace back to its last known state; return what a person should know.

        A call that began and never ended is made again where that is safe. Where none was under
        way, what differs is a person's work, and stays. What agents wrote who are asked again is
        taken out, but for those who are revising: they go on with it.
        """
        if not self._workspace.is_begun:
            return []
        lines = self._settle()
        agents = [name for name in self._store.tools.discarded if name not in revising]
        if agents:
            tree, more = self._prepare(agents)
            self._store.remember(WorkspaceRecord(tree=tree, without=tuple(agents)), wait=True)
            self._workspace.restore(tree, ignored=True)
            self._store.remember(WorkspaceRecord(tree=tree))
            lines += more
        return lines

    async def start_over(self, agents: Collection[str]) -> None:
        """Take out of the workspace what agents wrote, and forget what they were answered."""
        async with self._changing:
            self._store.forget(agents)
            self._finished.difference_update(agents)
            tree, lines = await asyncio.to_thread(self._prepare, agents)
            # Twice on record: what is half done when the process dies is done again.
            self._store.remember(WorkspaceRecord(tree=tree, without=tuple(sorted(agents))))
            await self._store.flush()
            await asyncio.to_thread(self._workspace.restore, tree, ignored=True)
            self._store.remember(WorkspaceRecord(tree=tree))
            for line in lines:
                _log.warning("%s", line)

    def _prepare(self, agents: Collection[str]) -> tuple[str, list[str]]:
        """Take agents out of the history; return the tree without them, and what to say of it."""
        changes = self._store.tools.changes()
        builders = builders_on(self._workspace, changes, agents)
        tree = tree_without(self._workspace, changes, agents)
        self._workspace.drop_commits(agents)
        lines = [f"what {', '.join(sorted(agents))} wrote is taken out of the workspace"]
        if builders:
            lines.append(f"it stays in files that {', '.join(sorted(builders))} changed later")
        return tree, lines

    def _settle(self) -> list[str]:
        cut_off, known = self._store.tools.cut_off(), self._store.tools.tree or EMPTY_TREE
        if self._store.tools.is_unsettled:
            self._workspace.restore(known, ignored=True)
            self._store.remember(WorkspaceRecord(tree=known))
        if not cut_off:
            tree = self._workspace.keep()
            if tree == known:
                return []
            self._store.remember(WorkspaceRecord(tree=tree))
            return ["the workspace was changed since the last time, and stays as it is"]
        self._workspace.restore(known)
        lines = []
        for call in cut_off:
            tool = self._context.tools.get(call.tool)
            is_safe = isinstance(tool, Repeatable) and tool.repeatable
            again = is_safe or self._context.player is not None
            fate = "made again" if again else "perhaps carried out, and not made again"
            lines.append(f"cut off in a call of {call.tool} by {call.agent}: {fate}")
            if not again:
                self._remember(_ended(call, UNKNOWN, is_error=True, at=self._context.at))
        # From here on what differs is a person's work, also where no call is made again.
        self._store.remember(WorkspaceRecord(tree=known))
        return lines

    async def commit(self, agent: str, title: str, step: str) -> None:
        """Record in the workspace's history what an agent changed, if it changed anything.

        What others, who are still at work, changed meanwhile is left to their own commits.
        """
        if self._store.tools.changed_by(agent):
            async with self._changing:
                await asyncio.to_thread(self._commit, agent, title, step)
        self._finished.add(agent)

    def _commit(self, agent: str, title: str, step: str) -> None:
        done = {A_PERSON, *self._finished}
        changes = [each for each in self._store.tools.changes() if each[0] not in done]
        own: set[str] = set()
        others: set[str] = set()
        if any(other != agent for other, _, _ in changes):
            for other, before, after in changes:
                paths = own if other == agent else others
                paths.update(self._workspace.changes(before or EMPTY_TREE, after))
        self._workspace.commit(agent, step, title, others - own)

    def describe(self) -> WorkspaceLeft | None:
        """Describe the workspace as the run leaves it; None where it has none."""
        changes = [each for each in self._store.tools.changes() if each[0] != A_PERSON]
        if not self._workspace.is_begun or not changes:
            return None
        pairs = [(before or EMPTY_TREE, after) for _, before, after in changes]
        compared = zip(changes, self._workspace.compare(pairs, MOST), strict=True)
        return WorkspaceLeft(
            at=self._context.at,
            files=tuple(sorted(self._workspace.files())),
            changes=tuple(
                WorkspaceChange(agent=agent, files=tuple(files), patch=self._redact(patch), cut=cut)
                for (agent, _, _), (files, patch, cut) in compared
            ),
        )

    async def carry_out(
        self, agent: str, step: str, calls: Sequence[ToolCall], toolbox: Toolbox
    ) -> tuple[tuple[ToolResult, ...], str]:
        """Make the calls of one answer, in their order where they change something.

        Returns the results, and the workspace's tree after the last change, "" where none was made.
        """
        ended: list[ToolEnded] = []
        for changes, group in groupby(calls, lambda call: _changes(toolbox.find(call.name))):
            making = (self._remembered(agent, step, call, toolbox) for call in group)
            if changes:
                ended += [await each for each in making]
            else:
                ended += await asyncio.gather(*making)
        results = tuple(
            ToolResult(each.text, each.is_error, call.id, call.name)
            for each, call in zip(ended, calls, strict=True)
        )
        return results, next((each.tree for each in reversed(ended) if each.tree), "")

    async def _remembered(
        self, agent: str, step: str, call: ToolCall, toolbox: Toolbox
    ) -> ToolEnded:
        ended = self._store.tools.find(step, call.id)
        if ended is None:
            tool = toolbox.find(call.name)
            name = tool.name if tool else call.name
            begun = ToolStarted(
                at=self._context.at,
                agent=agent,
                step=step,
                call=call.id,
                tool=name,
                arguments=call.arguments,
            )
            if self._context.player is not None:
                return await self._replayed(begun, self._context.player)
            refusal = await self._refusal(begun, call, tool, toolbox)
            if tool is None or refusal:
                return self._remember(_ended(begun, refusal, is_error=True, at=self._context.at))
            ended = await self._made(begun, tool)
        return ended

    async def _made(self, begun: ToolStarted, tool: Tool) -> ToolEnded:
        if not tool.read_only:
            return await self._changing_call(begun, lambda begun: self._call(begun, tool))
        begun = evolve(begun, at=self._context.at)  # it may have waited for consent
        self._context.emit(begun)
        result = await self._call(begun, tool)
        return self._remember(
            _ended(begun, result.text, is_error=result.is_error, at=self._context.at)
        )

    async def _replayed(self, begun: ToolStarted, player: ToolPlayer) -> ToolEnded:
        """Do to the workspace what a recorded call did, and to nothing else anything."""
        recorded = player.result(begun)

        async def put(_: ToolStarted) -> ToolResult:
            await asyncio.to_thread(self._put, recorded.files or ())
            return ToolResult(recorded.text, recorded.is_error)

        if recorded.changes:
            return await self._changing_call(begun, put)
        return self._remember(
            _ended(begun, recorded.text, is_error=recorded.is_error, at=self._context.at)
        )

    def _put(self, files: Sequence[FileChange]) -> None:
        tree = with_changes(self._workspace, self._store.tools.tree or EMPTY_TREE, files)
        self._workspace.restore(tree)

    async def _changing_call(
        self, begun: ToolStarted, make: Callable[[ToolStarted], Awaitable[ToolResult]]
    ) -> ToolEnded:
        """Make a call that may change the workspace while no other one does."""
        async with self._changing:
            await asyncio.to_thread(self._workspace.begin)
            begun = evolve(begun, at=self._context.at)  # others may have had their turn before
            before = self._store.tools.tree or EMPTY_TREE
            self._store.remember(begun)
            await self._store.flush()
            self._context.emit(begun)
            result = await make(begun)
            try:
                tree = await asyncio.to_thread(self._workspace.keep)
            except TooLarge as error:
                tree = self._store.tools.tree or EMPTY_TREE
                await asyncio.to_thread(self._workspace.restore, tree, ignored=True)
                why = f"{error}; they are again what they were before this call"
                result = ToolResult(why, is_error=True)
            ended = _ended(begun, result.text, is_error=result.is_error, at=self._context.at)
            files: Sequence[FileChange] | None = ()
            if self._context.recorder is not None:
                files = await asyncio.to_thread(changes_between, self._workspace, before, tree)
            return self._remember(evolve(ended, tree=tree), files)

    def _remember(self, ended: ToolEnded, files: Sequence[FileChange] | None = ()) -> ToolEnded:
        self._store.remember(ended)
        self._record(ended, files)
        self._context.emit(ended)
        return ended

    def _record(self, ended: ToolEnded, files: Sequence[FileChange] | None = ()) -> None:
        if self._context.recorder is not None:
            recorded = RecordedCall(
                agent=ended.agent,
                step=ended.step,
                tool=ended.tool,
                arguments=ended.arguments,
                text=ended.text,
                is_error=ended.is_error,
                changes=bool(ended.tree),
                files=files,
            )
            self._context.recorder.ended(recorded)

    async def _call(self, begun: ToolStarted, tool: Tool) -> ToolResult:
        work = Work(
            begun.agent,
            workspace=AgentFiles(self._workspace, self._store.tools, begun.agent),
            sandbox=self._context.sandbox,
            limits=self._context.settings.commands,
            emit=self._context.emit,
        )
        try:
            result = await tool.call(begun.arguments, work)
            if not isinstance(result, ToolResult):
                raise TypeError(f"it returned {result!r}, not a ToolResult")
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # the run ends; else something within the tool was cancelled, not the agent
            why = f"{type(error).__name__}: {error}"
            _log.warning("the tool %r broke: %s", tool.name, self._context.redact(why))
            result = ToolResult(f"the tool broke: {why}", is_error=True)
        # Half a surrogate pair, as in the name of a file, is no text that a vendor takes.
        text = result.text.encode("utf-8", "backslashreplace").decode()
        return evolve(result, text=self._shown(begun, self._redact(text)))

    def _shown(self, begun: ToolStarted, text: str) -> str:
        """Shorten a long result in its middle; the whole of it is put where tools can read it."""
        if len(text) <= SHOWN:
            return text
        half = SHOWN // 2
        left_out = f"{len(text) - 2 * half} characters left out"
        if self._workspace.is_begun:
            path = f"{OUTPUTS}/{begun.step[:12]}-{_plain(begun.call)}.txt"
            try:
                self._workspace.write(path, text)
                left_out += f"; the whole is in {path}"
            except ValueError as error:  # the agent may have put something else in its place
                left_out += f", and nowhere to be read: {error}"
        return f"{text[:half]}\n[... {left_out} ...]\n{text[-half:]}"

    async def _refusal(
        self, begun: ToolStarted, call: ToolCall, tool: Tool | None, toolbox: Toolbox
    ) -> str:
        """Return why a call is not made, or ""; the model is told, and may do better."""
        if tool is None:
            return f"there is no tool {call.name!r}; there are: {', '.join(toolbox.names)}"
        if call.malformed:
            return f"the arguments are no JSON object: {call.malformed[:200]}"
        if wrong := arguments_fault(tool.parameters, call.arguments):
            return f"the arguments do not fit: {wrong}"
        changes_outside = isinstance(tool, ChangesOutside) and tool.outside
        if changes_outside and not await self._consent.allows(begun):
            return "the operator does not allow this call"
        return ""


def _changes(tool: Tool | None) -> bool:
    return tool is not None and not tool.read_only


def _ended(begun: ToolStarted, text: str, *, is_error: bool, at: float) -> ToolEnded:
    return ToolEnded(
        at=at,
        agent=begun.agent,
        step=begun.step,
        call=begun.call,
        tool=begun.tool,
        arguments=begun.arguments,
        text=text,
        is_error=is_error,
        took=max(0.0, at - begun.at),
    )


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)[:40]
