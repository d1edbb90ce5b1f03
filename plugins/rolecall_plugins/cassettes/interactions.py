"""One recorded exchange, and what a cassette holds about itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from rolecall import Check

from .canonical_request import CanonicalRequest, parse_request


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
    assigned: whether the command line chose the routes. text, tools: its own prompt, and what it
        might use, where the cassette is pinned.
    """

    prompt: str = ""
    routes: Sequence[str] = ()
    assigned: bool = False
    text: str = ""
    tools: Sequence[str] = ()


@frozen
class RecordedResult:
    """What a tool call came to; `step` is the key of the step whose answer wanted it."""

    step: str
    call: str
    agent: str
    tool: str
    text: str
    is_error: bool = False


@frozen
class RecordedVerification:
    """What checks of the workspace came to; fields as of `WorkspaceVerified`."""

    agent: str
    tree: str
    sandbox: str
    when: float
    checks: Sequence[Check] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        return tuple(check.command for check in self.checks)


@frozen
class CassetteMetadata:
    """What a cassette holds about itself.

    source: the real services, or the simulator. recorded: the date.
    request: what the team was asked, empty where no run was recorded.
    team: agent to what it was. only, skip, settings: as the run had them.
    shared: what all agents were told alike, where the cassette is pinned.
    fallbacks: in the order in which they happened. sandbox: of the run, empty where it had none.
    results, verifications: what tools and checks came to, in order.
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
    sandbox: str = ""
    results: Sequence[RecordedResult] = ()
    verifications: Sequence[RecordedVerification] = ()


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
