"""What a cassette holds of a run's tools."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from rolecall import RecordedCall, ToolResult, Work, WorkspaceVerified


@frozen
class ToolDescription:
    """A tool as models were told of it. In a replay it is offered in the tool's place."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    read_only: bool = False
    needs_sandbox: bool = False

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        """Refuse: what a recorded call came to is in the cassette."""
        raise NotImplementedError(f"{self.name} is replayed, and not called")


def _calls(calls: Iterable[RecordedCall]) -> tuple[RecordedCall, ...]:
    return tuple(calls)


def _verifications(verified: Iterable[WorkspaceVerified]) -> tuple[WorkspaceVerified, ...]:
    return tuple(verified)


@frozen
class ActingRecord:
    """What tool calls came to, and what was verified, each agent's in their order."""

    calls: tuple[RecordedCall, ...] = field(default=(), converter=_calls)
    verifications: tuple[WorkspaceVerified, ...] = field(default=(), converter=_verifications)

    def with_later(self, later: "ActingRecord") -> "ActingRecord":
        """Return this with what was recorded later, which takes the place of the same."""
        calls = {_key(call) for call in later.calls}
        verified = {(each.agent, each.tree) for each in later.verifications}
        return ActingRecord(
            [*(call for call in self.calls if _key(call) not in calls), *later.calls],
            [
                *(each for each in self.verifications if (each.agent, each.tree) not in verified),
                *later.verifications,
            ],
        )

    def in_order(self, agents: Sequence[str]) -> "ActingRecord":
        """Return this sorted by the agents' order, so that it does not tell who was faster."""
        places = {name: place for place, name in enumerate(agents)}

        def place(each: RecordedCall | WorkspaceVerified) -> tuple[int, str]:
            return places.get(each.agent, len(places)), each.agent

        return ActingRecord(sorted(self.calls, key=place), sorted(self.verifications, key=place))


def _key(call: RecordedCall) -> tuple[str, str, str, str]:
    return call.agent, call.step, call.tool, repr(call.arguments)
