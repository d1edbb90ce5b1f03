"""The workspace as one tool call of an agent sees it."""

from .tool_results import ToolResults
from .tree_entries import EMPTY_TREE
from .workspace import GitWorkspace


class AgentFiles:
    """The workspace's files, for one call; implements `Workspace`.

    A file that another agent changed last is not replaced by who has not read it within this call:
    so two that write at once cannot undo each other's work unawares.
    """

    def __init__(self, workspace: GitWorkspace, results: ToolResults, agent: str) -> None:
        self._workspace = workspace
        self._results = results
        self._agent = agent
        self._read: set[str] = set()

    @property
    def root(self) -> str:
        return self._workspace.root

    def files(self) -> list[str]:
        return self._workspace.files()

    def read(self, path: str) -> str:
        text = self._workspace.read(path)
        self._read.add(path)
        return text

    def write(self, path: str, text: str) -> None:
        if path not in self._read and self._workspace.has(path):
            author = self._author(path.removeprefix("./"))
            if author not in (None, self._agent):
                raise ValueError(
                    f"{path}: {author} wrote it, and it is not replaced as a whole; read it and "
                    "edit it, or delete it first"
                )
        self._workspace.write(path, text)

    def delete(self, path: str) -> None:
        self._workspace.delete(path)

    def _author(self, path: str) -> str | None:
        """Return the agent that changed a file last, or None where that was none of them."""
        for agent, before, after in reversed(self._results.changes()):
            if path in self._workspace.changes(before or EMPTY_TREE, after):
                return agent or None
        return None
