"""What the tool calls of a run came to, by the records of its journal."""

from collections.abc import Collection

from ...types.consent import Consent
from ...types.events import ConsentDecided, ToolEnded, ToolStarted, WorkspaceVerified
from ...types.verification import REGISTER_CHECKS, Registration
from ..records import ForgottenRecord, Record, TrustedRecord, WorkspaceRecord


class ToolResults:
    """Collects tool calls from records, which are to be added in their order.

    tree: the last state of the workspace that is known whole, "" where there is none.
    """

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str], ToolEnded] = {}
        self._begun: dict[tuple[str, str], ToolStarted] = {}
        self._decided: dict[tuple[str, str], ConsentDecided] = {}
        self._always: set[str] = set()
        self._verified: dict[tuple[str, tuple[str, ...]], WorkspaceVerified] = {}
        self._changes: list[tuple[str, str, str]] = []
        self.tree = ""

    def add(self, record: Record) -> None:
        match record:
            case ToolStarted():
                self._begun[record.step, record.call] = record
            case ToolEnded():
                self._begun.pop((record.step, record.call), None)
                self._ended[record.step, record.call] = record
                if record.tree:
                    self._note_change(record.agent, record.tree)
                    self.tree = record.tree
            case ConsentDecided():
                self._decided[record.step, record.call] = record
                if record.consent is Consent.ALWAYS:
                    self._always.add(record.tool)
            case WorkspaceRecord():
                # Where a call was cut off, the files are again what they were before it.
                self._begun.clear()
                self.tree = record.tree
            case WorkspaceVerified():
                commands = tuple(check.command for check in record.checks)
                self._verified[record.tree, commands] = record
            case TrustedRecord():
                for known in (self._decided, self._always, self._verified):
                    known.clear()
            case ForgottenRecord():
                for kept in (self._ended, self._decided):
                    for key in [key for key, each in kept.items() if each.agent in record.agents]:
                        del kept[key]
            case _:
                pass

    def find(self, step: str, call: str) -> ToolEnded | None:
        """Return what a call came to, or None where it never ended."""
        return self._ended.get((step, call))

    def consent(self, step: str, call: str, tool: str) -> Consent | None:
        """Return what the operator decided about a call, or None where that is open."""
        if tool in self._always:
            return Consent.ALWAYS
        decided = self._decided.get((step, call))
        return None if decided is None else decided.consent

    def cut_off(self) -> list[ToolStarted]:
        """List the calls that began and never ended."""
        return list(self._begun.values())

    def changed_by(self, agent: str) -> bool:
        """Check whether an agent has made calls that may have changed the workspace."""
        return any(ended.agent == agent and ended.tree for ended in self._ended.values())

    def registered(self, agents: Collection[str]) -> Registration | None:
        """Return what these agents registered last, or None where none of them did."""
        calls = (each for each in reversed(self._ended.values()) if each.agent in agents)
        for ended in calls:
            if ended.tool == REGISTER_CHECKS and not ended.is_error:
                return Registration.parse(ended.arguments)
        return None

    def changes(self) -> list[tuple[str, str, str]]:
        """List who changed the workspace from which tree ("" is the empty one) to which, in order.

        What an agent did without another one in between is one change.
        """
        return self._changes

    def _note_change(self, agent: str, tree: str) -> None:
        before = self.tree
        if self._changes and self._changes[-1][::2] == (agent, before):
            before = self._changes.pop()[1]
        if tree != before:
            self._changes.append((agent, before, tree))

    def verified(self, tree: str, commands: tuple[str, ...]) -> WorkspaceVerified | None:
        """Return what these checks of a tree came to, or None where they were never run."""
        return self._verified.get((tree, commands))

    def verifications(self, agents: Collection[str]) -> list[WorkspaceVerified]:
        """List the verifications of what these agents left, in order; the present state's last."""
        found = [each for each in self._verified.values() if each.agent in agents]
        return sorted(found, key=lambda each: each.tree == self.tree)
