"""Replay: answer every request with the reply that was recorded for it, and send nothing."""

from collections.abc import Awaitable, Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any, NoReturn

from vcr.cassette import Cassette
from vcr.record_mode import RecordMode
from vcr.request import Request

from rolecall import Call, Event, ProviderError, Route

from ..providers.outbound import IncomingReply, OutboundTransport, OutgoingRequest
from .canonical_request import CanonicalRequest, differences, parse_request, similarity
from .current_call import current_call
from .errors import CassetteError, Miss
from .interactions import CassetteMetadata, Fallback, Interaction
from .masking import decoded, masked_request
from .redaction import Redaction

# What tells of the body's form on the wire, which is not the form in which it is played.
PACKED = ("content-encoding", "content-length", "transfer-encoding")


class Player(Cassette):  # type: ignore[misc]
    """A cassette of vcrpy that matches by what is asked, each agent's requests in their order.

    record_again: the command that records anew. latency: waits as long as a reply took.
    """

    def __init__(
        self,
        path: Path,
        metadata: CassetteMetadata,
        interactions: Sequence[Interaction],
        redaction: Redaction,
        record_again: str,
        latency: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            str(path),
            record_mode=RecordMode.NONE,
            custom_patches=((OutboundTransport, "send", self._replaying_transport()),),
        )
        self._file = path
        self._redaction = redaction
        self._record_again = record_again
        self._latency = latency
        self._played: set[Interaction] = set()
        self._missed: dict[str, Miss] = {}
        self.metadata = metadata
        self.interactions = list(interactions)
        self.misses: list[Miss] = []

    recording = False

    @property
    def complaint(self) -> str:
        """Return what a test did not ask as it was recorded; empty where all is well."""
        if self.misses:
            return "\n".join(line for miss in self.misses for line in (str(miss), *miss.difference))
        unplayed = [str(interaction) for interaction in self.unplayed]
        if not unplayed:
            return ""
        return (
            f"{self._file}: {len(unplayed)} of {len(self.interactions)} recorded requests were not "
            f"made: {'; '.join(unplayed[:5])}. Record it again: {self._record_again}"
        )

    @property
    def unplayed(self) -> list[Interaction]:
        return [interaction for interaction in self.interactions if interaction not in self._played]

    # The part of vcrpy's interface that its patches call.

    @property
    def write_protected(self) -> bool:
        return True

    def can_play_response_for(self, request: Request) -> bool:
        self._next_interaction(request)
        return True

    def play_response(self, request: Request) -> dict[str, Any]:
        interaction = self._next_interaction(request)
        self._played.add(interaction)
        headers = interaction.response["headers"]
        return {
            **interaction.response,
            "headers": {n: v for n, v in headers.items() if n.lower() not in PACKED},
            "body": {"string": self._decoded(interaction)},
        }

    def _decoded(self, interaction: Interaction) -> bytes:
        reply = interaction.reply
        whole = reply.encode("utf-8", "replace") if isinstance(reply, str) else reply
        try:
            body: bytes = decoded(whole, interaction.response["headers"])
        except CassetteError as error:
            raise CassetteError(f"{self._file}: the reply to {interaction}: {error}") from error
        return body

    # Called by the limiter and the event bus.

    def check_call(self, call: Call) -> None:
        """Keep an agent to its recorded path: after a miss, and where it left a route."""
        if call.agent in self._missed:
            raise self._missed[call.agent]
        route = Route(call.provider, call.model)
        if any(
            interaction.agent == call.agent and interaction.route == str(route)
            for interaction in self.unplayed
        ):
            return
        for fallback in self.metadata.fallbacks:
            if fallback.agent == call.agent and _covers(fallback, route):
                raise ProviderError(
                    fallback.cause, "left here when it was recorded", retryable=False
                )

    def forecast(self, call: Call) -> float:
        """Keep balancing to the recorded path: an agent waits for ever where it did not go."""
        route = str(Route(call.provider, call.model))
        routes = {each.route for each in self.unplayed if each.agent == call.agent}
        return 0.0 if route in routes or not routes else inf

    def notify(self, event: Event) -> None:
        pass

    def _next_interaction(self, request: Request) -> Interaction:
        canonical = _canonical(request, self._redaction)
        call = current_call.get()
        agent = call.agent if call else ""
        same = [
            interaction
            for interaction in self.interactions
            if canonical.matches(interaction.canonical)
        ]
        own = [interaction for interaction in same if interaction.agent == agent]
        for interaction in own + same:
            if interaction not in self._played:
                return interaction
        self._miss(agent, canonical, request, len(own or same))

    def _miss(
        self, agent: str, canonical: CanonicalRequest, request: Request, times: int
    ) -> NoReturn:
        who = agent or f"{request.method} {request.uri.partition('?')[0]}"
        what = f" of {canonical.model}" if canonical.model else ""
        difference: list[str] = []
        if times:
            why = f"was recorded {times} times and is asked once more"
        elif not self.interactions:
            why = "is not recorded: there is no cassette, or it is empty"
        else:
            own = [interaction for interaction in self.interactions if interaction.agent == agent]
            nearest = max(
                own or self.interactions,
                key=lambda interaction: similarity(canonical, interaction.canonical),
            )
            difference = list(differences(canonical, nearest.canonical))
            differing = [line.partition(":")[0] for line in difference if not line.startswith(" ")]
            why = f"is not in the cassette; from the nearest one differs: {', '.join(differing)}"
            named = f" of {nearest.agent}" if nearest.agent else ""
            difference.insert(0, f"- recorded{named}, + asked now:")
        miss = Miss(
            f"{self._file}: what {who} asks{what} {why}. Record it again: {self._record_again}",
            difference,
        )
        self.note_miss(agent, miss)
        raise miss

    def note_miss(self, agent: str, miss: Miss) -> None:
        """Note what was not recorded; the agent that wanted it asks nothing more."""
        self.misses.append(miss)
        if agent:
            self._missed[agent] = miss

    def _replaying_transport(self) -> Callable[..., Any]:
        async def replay(_: OutboundTransport, outgoing: OutgoingRequest) -> IncomingReply:
            request = Request("POST", outgoing.url, outgoing.body, dict(outgoing.headers))
            interaction = self._next_interaction(request)
            reply = self.play_response(request)
            if self._latency is not None:
                await self._latency(interaction.seconds)
            body = iter([reply["body"]["string"]])

            async def read() -> bytes:
                return next(body, b"")

            async def close() -> None:
                pass

            headers = [
                (name, value) for name, values in reply["headers"].items() for value in values
            ]
            status = reply["status"]
            return IncomingReply(status["code"], status["message"], headers, read, close)

        return replay


def _canonical(request: Request, redaction: Redaction) -> CanonicalRequest:
    """Parse a request as it would have been recorded."""
    masked = masked_request(request, redaction)
    return parse_request(masked["method"], masked["uri"], masked["body"])


def _covers(fallback: Fallback, route: Route) -> bool:
    other = Route.parse(fallback.route)
    return other.provider == route.provider and other.model in ("", route.model)
