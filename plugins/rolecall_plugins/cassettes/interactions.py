"""One recorded exchange, and what a cassette holds about itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from .canonical_request import CanonicalRequest, parse_request
from .tool_calls.values import ActingRecord, ToolDescription


@frozen
class Fallback:
    """An agent left a route while it was recorded."""

    agent: str
    route: str
    cause: str


@frozen
class RecordedAgent:
    """An agent as it was when the cassette was recorded.

    prompt: the digest of its role, empty where it is not known. routes: where it ran, in order.
    assigned: whether the command line chose the routes. tools: those of plugins that it had.
    text: its own prompt, where the cassette is pinned.
    """

    prompt: str = ""
    routes: Sequence[str] = ()
    assigned: bool = False
    text: str = ""
    tools: Sequence[str] = ()


@frozen
class CassetteMetadata:
    """What a cassette holds beside the exchanges.

    source: the real services, or the simulator. recorded: the date.
    request: what the team was asked, empty where no run was recorded.
    team: agent to what it was. only, skip, settings: as the run had them.
    shared: what all agents were told alike, where the cassette is pinned.
    fallbacks: in the order in which they happened.
    tools: by name. has_sandbox: whether the run had one. acting: what tools' calls came to, and
        what was verified.
    """

    source: str = "HTTP traffic"
    recorded: str = ""
    versions: Mapping[str, str] = field(factory=dict)
    models: Sequence[str] = ()
    request: str = ""
    team: Mapping[str, RecordedAgent] = field(factory=dict)
    shared: str = ""
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    settings: Mapping[str, Any] = field(factory=dict)
    fallbacks: Sequence[Fallback] = ()
    tools: Mapping[str, ToolDescription] = field(factory=dict)
    has_sandbox: bool = False
    acting: ActingRecord = field(factory=ActingRecord)


@frozen(eq=False)
class Interaction:
    """One exchange; `agent` and `route` are empty where no agent made it.

    request, response: as vcrpy keeps them. seconds: from the first byte sent to the last one read.
    position: of the exchange in the order in which the cassette's were begun.
    """

    request: Mapping[str, Any]
    response: Mapping[str, Any]
    agent: str = ""
    route: str = ""
    seconds: float = 0.0
    position: int = 0
    canonical: CanonicalRequest = field(init=False)

    @canonical.default
    def _parse(self) -> CanonicalRequest:
        return parse_request(self.request["method"], self.request["uri"], self.request["body"])

    @property
    def reply(self) -> str | bytes:
        """Return the reply's body as it was recorded."""
        body: str | bytes = (self.response.get("body") or {}).get("string") or ""
        return body

    def __str__(self) -> str:
        who = self.agent or f"{self.request['method']} {self.request['uri']}"
        return f"{who} ({self.canonical.model})" if self.canonical.model else who
