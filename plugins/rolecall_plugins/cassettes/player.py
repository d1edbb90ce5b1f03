"""Replays: every request gets the reply that was recorded for it, and nothing leaves."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import httpx
from vcr.cassette import Cassette
from vcr.record_mode import RecordMode
from vcr.request import Request

from rolecall import Call, Event, ProviderError, Route

from ..providers.transport import Departure
from .asked import Asked, differences, likeness, read
from .calling import calling
from .errors import Miss
from .masking import decoded, masked_request
from .redaction import Redaction
from .takes import Fallback, Head, Take

# What tells of the body's form on the wire, which is not the form in which it is played.
PACKED = ("content-encoding", "content-length", "transfer-encoding")


class Player(Cassette):  # type: ignore[misc]
    """A cassette of vcrpy that matches by what is asked, each agent's requests in their order.

    again: tells a person how to record anew. latency: waits as long as a reply took.
    """

    def __init__(
        self,
        path: Path,
        head: Head,
        takes: Sequence[Take],
        redaction: Redaction,
        again: str,
        latency: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            str(path),
            record_mode=RecordMode.NONE,
            custom_patches=((Departure, "handle_async_request", self._departing()),),
        )
        self._file = path
        self._redaction = redaction
        self._again = again
        self._latency = latency
        self._missed: dict[str, Miss] = {}
        self.head = head
        self.takes = list(takes)
        self.misses: list[Miss] = []

    recording = False

    @property
    def complaint(self) -> str:
        """Say what a test did not ask as it was recorded; nothing where all is well."""
        if self.misses:
            return "\n".join(line for miss in self.misses for line in (str(miss), *miss.difference))
        left = [str(take) for take in self.unplayed]
        if not left:
            return ""
        return (
            f"{self._file}: {len(left)} of {len(self.takes)} recorded requests were not made: "
            f"{'; '.join(left[:5])}. Record it again: {self._again}"
        )

    @property
    def unplayed(self) -> list[Take]:
        return [take for take in self.takes if not take.played]

    # What vcrpy's patches ask.

    @property
    def write_protected(self) -> bool:
        return True

    def can_play_response_for(self, request: Request) -> bool:
        self._find(request)
        return True

    def play_response(self, request: Request) -> dict[str, Any]:
        take = self._find(request)
        take.played = True
        headers = take.response["headers"]
        string = (take.response.get("body") or {}).get("string") or b""
        whole = string.encode() if isinstance(string, str) else string
        return {
            **take.response,
            "headers": {n: v for n, v in headers.items() if n.lower() not in PACKED},
            "body": {"string": decoded(whole, headers)},
        }

    # What the limiter and the events tell.

    def asking(self, call: Call) -> None:
        """Keep an agent to its recorded path: after a miss, and where it left a route."""
        if call.agent in self._missed:
            raise self._missed[call.agent]
        route = Route(call.provider, call.model)
        if any(take.agent == call.agent and take.route == str(route) for take in self.unplayed):
            return
        for left in self.head.fallbacks:
            if left.agent == call.agent and _means(left, route):
                raise ProviderError(left.cause, "left here when it was recorded", retryable=False)

    def notify(self, event: Event) -> None:
        pass

    def _find(self, request: Request) -> Take:
        asked = _read(request, self._redaction)
        call = calling.get()
        agent = call.agent if call else ""
        same = [take for take in self.takes if asked.matches(take.asked)]
        own = [take for take in same if take.agent == agent]
        for take in own + same:
            if not take.played:
                return take
        self._miss(agent, asked, request, len(own or same))

    def _miss(self, agent: str, asked: Asked, request: Request, times: int) -> NoReturn:
        who = agent or f"{request.method} {request.uri.partition('?')[0]}"
        what = f" of {asked.model}" if asked.model else ""
        difference: list[str] = []
        if times:
            why = f"was recorded {times} times and is asked once more"
        elif not self.takes:
            why = "is not recorded: there is no cassette, or it is empty"
        else:
            own = [take for take in self.takes if take.agent == agent]
            near = max(own or self.takes, key=lambda take: likeness(asked, take.asked))
            difference = list(differences(asked, near.asked))
            differing = [line.partition(":")[0] for line in difference if not line.startswith(" ")]
            why = f"is not in the cassette; from the nearest one differs: {', '.join(differing)}"
            named = f" of {near.agent}" if near.agent else ""
            difference.insert(0, f"- recorded{named}, + asked now:")
        miss = Miss(
            f"{self._file}: what {who} asks{what} {why}. Record it again: {self._again}", difference
        )
        self.misses.append(miss)
        if agent:
            self._missed[agent] = miss
        raise miss

    def _departing(self) -> Callable[..., Any]:
        async def depart(transport: Departure, http: httpx.Request) -> httpx.Response:
            request = Request(http.method, str(http.url), await http.aread(), dict(http.headers))
            take = self._find(request)
            reply = self.play_response(request)
            if self._latency is not None:
                await self._latency(take.seconds)
            return httpx.Response(
                reply["status"]["code"],
                headers=[(n, each) for n, all in reply["headers"].items() for each in all],
                content=reply["body"]["string"],
                request=http,
            )

        return depart


def _read(request: Request, redaction: Redaction) -> Asked:
    """Read a request as it would have been recorded."""
    masked = masked_request(request, redaction)
    return read(masked["method"], masked["uri"], masked["body"])


def _means(left: Fallback, route: Route) -> bool:
    other = Route.parse(left.route)
    return other.provider == route.provider and other.model in ("", route.model)
