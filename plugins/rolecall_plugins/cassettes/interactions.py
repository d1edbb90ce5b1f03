"""One recorded exchange, and what a cassette holds about itself."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from .canonical_request import CanonicalRequest, parse_request


@frozen
class Fallback:
    """An agent left a route while it was recorded."""

    agent: str
    route: str
    cause: str


@frozen
class CassetteMetadata:
    """What a cassette holds about itself.

    source: the real services, or the simulator. recorded: the date.
    request: what the team was asked, empty where no run was recorded.
    team: agent to the digest of its prompt and its routes, as they were.
    only, skip, settings: as the run had them.
    fallbacks: in the order in which they happened.
    """

    source: str = "HTTP traffic"
    recorded: str = ""
    versions: Mapping[str, str] = field(factory=dict)
    models: Sequence[str] = ()
    request: str = ""
    team: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    settings: Mapping[str, Any] = field(factory=dict)
    fallbacks: Sequence[Fallback] = ()

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> "CassetteMetadata":
        known = {name: table[name] for name in cls.__annotations__ if name in table}
        fallbacks = tuple(Fallback(**each) for each in known.pop("fallbacks", ()))
        return cls(**known, fallbacks=fallbacks)


@define
class Interaction:
    """One exchange; `agent` and `route` are empty where no agent made it.

    request, response: as vcrpy keeps them. seconds: from the first byte sent to the last one read.
    position: of the exchange in the order in which the cassette's were begun.
    """

    request: dict[str, Any]
    response: dict[str, Any]
    agent: str = ""
    route: str = ""
    seconds: float = 0.0
    position: int = 0
    played: bool = False
    canonical: CanonicalRequest = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.canonical = parse_request(
            self.request["method"], self.request["uri"], self.request["body"]
        )

    def __str__(self) -> str:
        who = self.agent or f"{self.request['method']} {self.request['uri']}"
        return f"{who} ({self.canonical.model})" if self.canonical.model else who


def texts_of(body: object) -> Iterator[str]:
    """Yield a reply's texts: of a stream, what its pieces come to when they are put together."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    pieces: dict[str, list[str]] = {}
    for line in text.splitlines():
        try:
            value = json.loads(line.removeprefix("data:"))
        except ValueError:
            continue
        for name, leaf in leaves(value):
            pieces.setdefault(name, []).append(leaf)
    yield from ("".join(each) for each in pieces.values())


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON value with the name that it has there, and every name."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield "names", key
            yield from leaves(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, name)
