"""What the agents of a run act with."""

from collections.abc import Collection

from ..execution.context import RunContext
from ..storage.acting.workspace import GitWorkspace
from ..storage.run_folder import RunFolder
from ..types.agents import Agent
from .tool_executor import ToolExecutor
from .toolbox import Toolbox, choose
from .verification import Verifier


class Workbench:
    """The run's tools, its workspace, and who checks what is in it."""

    def __init__(self, context: RunContext, folder: RunFolder) -> None:
        workspace = GitWorkspace(folder.path, context.settings.environment, context.redact.known)
        self._context = context
        self.executor = ToolExecutor(context, folder.store, workspace)
        self.verifier = Verifier(context, folder, workspace)

    def recover(self, revising: Collection[str] = ()) -> list[str]:
        """Clear up after a process that was killed; return what a person should know.

        revising: agents that go on with the files that they wrote.
        """
        self.verifier.recover()
        return self.executor.recover(revising)

    def toolbox(self, agent: Agent) -> Toolbox:
        """Return the tools that an agent may use in this run."""
        context = self._context
        player = context.player
        has_sandbox = player.has_sandbox if player else context.sandbox is not None
        registers = not context.settings.verify
        if context.recorder is not None:
            given = choose(agent, context.tools, has_sandbox=True)
            context.recorder.offered(agent.name, given.tools, has_sandbox)
        return choose(agent, context.tools, has_sandbox, registers=registers)
