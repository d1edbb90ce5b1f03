"""Checks of the workspace that rolecall runs itself: what is tested, and what came of it."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, evolve

from ..execution.context import RunContext
from ..storage.acting.scratch import Scratch
from ..storage.acting.workspace import GitWorkspace
from ..storage.run_folder import RunFolder
from ..types.events import CheckStarted, WorkspaceVerified
from ..types.tools import Sandbox, Work
from ..types.verification import REGISTER_CHECKS, Check, Registration
from .blocks import block

FILE = "verification.json"
SHOWN = 6_000  # characters of a check's output
UNCHECKED = (
    f"You changed the workspace and registered no check of it. Call {REGISTER_CHECKS} with the "
    "commands that show that it is right, then write your whole deliverable again."
)


class Verifier:
    """Runs the checks of a workspace in a fresh copy of it; a tree that was checked is not again.

    The user's own checks count, else those that an agent registered for its work.
    """

    def __init__(self, context: RunContext, folder: RunFolder, workspace: GitWorkspace) -> None:
        self._context = context
        self._folder = folder
        self._workspace = workspace
        self._redact = context.redact.known
        self._scratch = Scratch(folder.path)

    def recover(self) -> None:
        """Remove what a process that was killed left of its checks."""
        self._scratch.sweep()

    async def verify_all(self, agent: str) -> WorkspaceVerified | None:
        """Check the files as all agents left them, for the one that writes the plan.

        Once it changed them itself, what it was told of them before stands: else it would be asked
        something else when the run goes on.
        """
        tree, changes = self._folder.store.tools.tree, self._folder.store.tools.changes()
        if changes and changes[-1][0] == agent:
            return None
        return await self._verify(agent, tree, self.registered.checks) if tree else None

    async def verify(self, agent: str, tree: str) -> WorkspaceVerified | None:
        """Check what an agent left; None where there is nothing to check, or no sandbox.

        In a replay nothing is run: what the checks came to is what was recorded.
        """
        return await self._verify(agent, tree, self.commands(agent))

    @property
    def registered(self) -> Registration:
        """Return the checks that count, the user's first, and how the program is started."""
        found = self._folder.store.tools.registered(self._context.team.agents) or Registration(())
        return evolve(found, checks=self._context.settings.verify or found.checks)

    async def _verify(
        self, agent: str, tree: str, commands: tuple[str, ...]
    ) -> WorkspaceVerified | None:
        store = self._folder.store
        if not commands:
            return None
        found = store.tools.verified(tree, commands)
        if found is None:
            found = await self._checked(agent, tree, commands)
            if found is None:
                return None
            store.remember(found)
            await store.flush()
            self._context.emit(found)
        elif found not in store.tools.verifications(self._context.team.agents):
            # It was so before the agent was asked again.
            store.remember(evolve(found, agent=agent))
            await store.flush()
        self._folder.save(FILE, as_json(store.tools.verifications(self._context.team.agents)))
        return found

    async def _checked(
        self, agent: str, tree: str, commands: Sequence[str]
    ) -> WorkspaceVerified | None:
        context = self._context
        if context.player is not None:
            recorded = context.player.verification(agent, tree)
            return recorded and evolve(recorded, at=context.at, tree=tree, replayed=True)
        if context.sandbox is None:
            return None
        return await self._run_checks(context.sandbox, agent, tree, commands)

    def commands(self, agent: str) -> tuple[str, ...]:
        """List the checks of what an agent leaves; empty where nobody named any."""
        registered = self._folder.store.tools.registered({agent})
        return self._context.settings.verify or (registered.checks if registered else ())

    async def _run_checks(
        self, sandbox: Sandbox, agent: str, tree: str, commands: Sequence[str]
    ) -> WorkspaceVerified:
        context, when = self._context, time.time()
        with self._scratch.folder() as scratch:
            copy = scratch / "workspace"
            await asyncio.to_thread(self._workspace.export, tree, copy)
            checks = []
            for number, command in enumerate(commands, 1):
                context.emit(
                    CheckStarted(
                        at=context.at,
                        agent=agent,
                        command=command,
                        number=number,
                        checks=len(commands),
                    )
                )
                limits = context.settings.commands
                result = await sandbox.run(Work.shell(command), str(copy), limits)
                output = _shortened(self._redact(result.output))
                check = Check(
                    command=command,
                    code=result.code,
                    output=output,
                    seconds=round(result.seconds, 2),
                    stopped=result.stopped,
                )
                checks.append(check)
        return WorkspaceVerified(
            at=context.at,
            agent=agent,
            tree=tree,
            sandbox=sandbox.name,
            when=when,
            checks=tuple(checks),
        )


def as_json(verifications: Sequence[WorkspaceVerified]) -> str:
    """Write out what was verified: the last state of the workspace, and each round before it."""
    rounds = [_round(each) for each in verifications]
    return json.dumps({**rounds[-1], "rounds": rounds}, ensure_ascii=False, indent=2)


def _round(verified: WorkspaceVerified) -> Mapping[str, Any]:
    return {
        "passed": verified.has_passed,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(verified.when)),
        "agent": verified.agent,
        "sandbox": verified.sandbox,
        "replayed": verified.replayed,
        "tree": verified.tree,
        "checks": [asdict(check) for check in verified.checks],
    }


def repair(verified: WorkspaceVerified) -> str:
    """Ask an agent to mend what the checks of its work found."""
    failed = [_report(check) for check in verified.checks if not check.has_passed]
    return (
        "rolecall ran the checks on a fresh copy of the workspace, and they failed:\n\n"
        + "\n\n".join(failed)
        + "\n\nMend the cause in the workspace, then write your whole deliverable again."
    )


def facts(verifications: Sequence[WorkspaceVerified]) -> str:
    """Describe for agents what the machine found, in one block; "" where nothing was verified."""
    if not verifications:
        return ""
    lines = [check_line(check) for check in verifications[-1].checks]
    return block("verification", "\n".join([verdict(verifications), *lines]))


def verdict(verifications: Sequence[WorkspaceVerified]) -> str:
    """Describe what the last of these came to."""
    last = verifications[-1]
    passed = sum(check.has_passed for check in last.checks)
    failed = sum(not each.has_passed for each in verifications[:-1])
    rounds = f", in round {failed + 1}" if failed else ""
    where = f"in the sandbox {last.sandbox}" if last.sandbox != "none" else "without a sandbox"
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(last.when))
    return (
        f"{passed} of {len(last.checks)} checks passed{rounds}, on a fresh copy of the workspace, "
        f"{where}, {when}."
    )


def check_line(check: Check) -> str:
    """Return what became of one check."""
    fate = "passed" if check.has_passed else f"FAILED ({_ending(check)})"
    return f"`{check.command}`: {fate}"


def _report(check: Check) -> str:
    output = block("output", check.output, command=check.command)
    return f"{output}\n[{_ending(check)}]"


def _ending(check: Check) -> str:
    return f"limit on {check.stopped}" if check.stopped else f"exit status {check.code}"


def _shortened(text: str) -> str:
    if len(text) <= SHOWN:
        return text
    half = SHOWN // 2 - 50  # so that what is shortened once stays as it is
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
