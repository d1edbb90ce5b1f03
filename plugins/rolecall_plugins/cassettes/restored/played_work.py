"""What a replay answers tools and checks with, which are not carried out again."""

from collections import defaultdict, deque
from collections.abc import Sequence

from rolecall import CommandLimits, CommandResult, Sandbox, ToolResult, WorkspaceVerified

from ..interactions import CassetteMetadata


class PlayedWork:
    """A cassette's results of tools and checks; implements `RecordedWork`."""

    def __init__(self, metadata: CassetteMetadata) -> None:
        self.sandbox: Sandbox | None = None
        if metadata.sandbox:
            self.sandbox = PlayedSandbox(metadata.sandbox)
        self._results = {
            (result.step, result.call): ToolResult(result.text, result.is_error)
            for result in metadata.results
        }
        self._verifications: dict[tuple[str, tuple[str, ...]], deque[WorkspaceVerified]]
        self._verifications = defaultdict(deque)
        for each in metadata.verifications:
            verified = WorkspaceVerified(
                at=0.0,
                agent=each.agent,
                tree=each.tree,
                sandbox=each.sandbox,
                when=each.when,
                checks=tuple(each.checks),
            )
            self._verifications[each.agent, each.commands].append(verified)

    def result(self, step: str, call: str) -> ToolResult | None:
        return self._results.get((step, call))

    def verification(self, agent: str, commands: Sequence[str]) -> WorkspaceVerified | None:
        left = self._verifications[agent, tuple(commands)]
        return left.popleft() if left else None


class PlayedSandbox:
    """Stands for the sandbox that a recorded run had; nothing runs in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def missing(self) -> str | None:
        return None

    async def run(
        self, command: Sequence[str], folder: str, limits: CommandLimits
    ) -> CommandResult:
        return CommandResult(1, "a replay runs no command", 0.0)
