"""What the tool calls of a run came to, by the records of its journal."""

from collections.abc import Collection

from ...types.consent import Consent
from ...types.events import ConsentDecided, ToolEnded, ToolStarted, WorkspaceVerified
from ...types.verification import REGISTER_CHECKS, Registration
from ..records import ForgottenRecord, Record, TrustedRecord, UpdateRecord, WorkspaceRecord

# Who changed the workspace, from which tree and to which.
Change = tuple[str, str, str]
A_PERSON = ""  # in an agent's place


class ToolResults:
    """Collects tool calls from records, which are to be added in their order.

    tree: the last state of the workspace that is known whole, "" where there is none.
    former: that before the last update, or before agents were last asked again; None if never.
    is_unsettled: whether the files are about to be those of the tree, and perhaps are not yet.
    """

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str], ToolEnded] = {}
        self._begun: dict[tuple[str, str], ToolStarted] = {}
        self._decided: dict[tuple[str, str], ConsentDecided] = {}
        self._always: set[str] = set()
        self._verified: dict[tuple[str, tuple[str, ...]], WorkspaceVerified] = {}
        self._rounds: list[WorkspaceVerified] = []
        self._changes: list[Change] = []
        self._discarded: set[str] = set()
        self.tree = ""
        self.former: str | None = None
        self.is_unsettled = False

    def add(self, record: Record) -> None:
        match record:
            case ToolStarted():
                self._begun[record.step, record.call] = record
            case ToolEnded():
                self._begun.pop((record.step, record.call), None)
                self._ended[record.step, record.call] = record
                if record.tree:
                    # A journal of before that was done goes on without taking anything out.
                    self._discarded.discard(record.agent)
                    self._note_change(record.agent, record.tree)
            case ConsentDecided():
                self._decided[record.step, record.call] = record
                if record.consent is Consent.ALWAYS:
                    self._always.add(record.tool)
            case WorkspaceRecord():
                # Where a call was cut off, the files are again what they were before it.
                self._begun.clear()
                self._settle(record)
            case WorkspaceVerified():
                commands = tuple(check.command for check in record.checks)
                self._verified[record.tree, commands] = record
                self._rounds.append(record)
            case TrustedRecord():
                for known in (self._decided, self._always, self._verified, self._rounds):
                    known.clear()
            case UpdateRecord():
                self.former = self.tree
            case ForgottenRecord():
                self._forget(record.agents)
            case _:
                pass

    def _settle(self, record: WorkspaceRecord) -> None:
        self.is_unsettled = bool(record.without)
        if record.without:
            self._discarded.difference_update(record.without)
            self._changes = [each for each in self._changes if each[0] not in record.without]
            self.tree = record.tree
        else:
            self._note_change(A_PERSON, record.tree)

    def _forget(self, agents: Collection[str]) -> None:
        self._discarded.update(agent for agent, _, _ in self._changes if agent in agents)
        self.former = self.tree
        for kept in (self._ended, self._decided):
            for key in [key for key, each in kept.items() if each.agent in agents]:
                del kept[key]
        self._rounds = [each for each in self._rounds if each.agent not in agents]

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

    @property
    def is_empty(self) -> bool:
        """Check whether no agent has made any call."""
        return not self._ended

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

    def changes(self) -> list[Change]:
        """List who changed the workspace from which tree ("" is the empty one) to which, in order.

        What somebody did without another one in between is one change. Those of an agent that is
        asked again are in it until they are taken out of the workspace.
        """
        return self._changes

    @property
    def discarded(self) -> tuple[str, ...]:
        """List the agents that are asked again and whose changes are to be taken out first."""
        return tuple(sorted(self._discarded))

    def _note_change(self, agent: str, tree: str) -> None:
        before = self.tree
        if self._changes and self._changes[-1][::2] == (agent, before):
            before = self._changes.pop()[1]
        if tree != before:
            self._changes.append((agent, before, tree))
        self.tree = tree

    def verified(self, tree: str, commands: tuple[str, ...]) -> WorkspaceVerified | None:
        """Return what these checks of a tree came to, or None where they were never run."""
        return self._verified.get((tree, commands))

    @property
    def has_verifications(self) -> bool:
        return bool(self._verified)

    def verifications(self, agents: Collection[str] | None = None) -> list[WorkspaceVerified]:
        """List the verifications of what these agents left, in order; the present state's last.

        agents: None is all of them.
        """
        found = [each for each in self._rounds if agents is None or each.agent in agents]
        return sorted(found, key=lambda each: each.tree == self.tree)
