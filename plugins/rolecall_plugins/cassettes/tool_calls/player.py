"""Replay: what tool calls came to, and what was verified, out of a cassette."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from rolecall import RecordedCall, Tool, ToolStarted, WorkspaceVerified

from ..errors import Miss
from ..interactions import CassetteMetadata
from ..redaction import Redaction

SHOWN = 200  # characters of a call's arguments


class ToolCallPlayer:
    """Answers in place of tools, each agent's calls in their order; a `ToolPlayer`.

    on_miss: hears of an agent's call that was not recorded. record_again: the command that does.
    """

    def __init__(
        self,
        path: Path,
        metadata: CassetteMetadata,
        redaction: Redaction,
        record_again: str,
        on_miss: Callable[[str, Miss], None],
    ) -> None:
        self._file = path
        self._redaction = redaction
        self._record_again = record_again
        self._on_miss = on_miss
        self._calls = list(metadata.acting.calls)
        self._verifications = list(metadata.acting.verifications)
        self._verified = {each.agent for each in self._verifications}
        self.tools: Sequence[Tool] = tuple(metadata.tools.values())
        self.has_sandbox = metadata.has_sandbox

    def result(self, call: ToolStarted) -> RecordedCall:
        """Return what the same call came to, that of the same answer first."""
        arguments = self._redaction.value(dict(call.arguments))
        tool = self._redaction.text(call.tool)
        same = [
            recorded
            for recorded in self._calls
            if (recorded.agent, recorded.tool) == (call.agent, tool)
            and recorded.arguments == arguments
        ]
        if not same:
            asked = json.dumps(arguments, ensure_ascii=False)[:SHOWN]
            why = "is not in the cassette"
            self._miss(call.agent, f"the result of {tool}, called by {call.agent}, {why}", asked)
        # An answer is known by its step, unless a secret was masked in what was asked.
        found = next((each for each in same if each.step == call.step), same[0])
        if found.files is None:
            why = "was too large to be recorded"
            self._miss(call.agent, f"what {tool}, called by {call.agent}, changed {why}")
        # By identity: two calls may be equal.
        self._calls = [each for each in self._calls if each is not found]
        return found

    def verification(self, agent: str, tree: str) -> WorkspaceVerified | None:
        own = [each for each in self._verifications if each.agent == agent]
        if not own and agent in self._verified:
            self._miss(agent, f"what the checks of {agent}'s work came to is not in the cassette")
        if not own:
            return None
        found = next((each for each in own if each.tree == tree), own[0])
        self._verifications = [each for each in self._verifications if each is not found]
        return found

    def _miss(self, agent: str, what: str, arguments: str = "") -> NoReturn:
        difference = [f"called now: {arguments}"] if arguments else []
        miss = Miss(f"{self._file}: {what}. Record it again: {self._record_again}", difference)
        self._on_miss(agent, miss)
        raise miss
