"""Record what goes out and comes back while a team or a test runs, without its secrets."""

import asyncio
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from attrs import evolve
from vcr.cassette import Cassette
from vcr.record_mode import RecordMode
from vcr.request import Request

from rolecall import Call, Event, FellBack, RunStarted

from ..providers.transport import Departure
from .canonical_request import is_local
from .current_call import current_call
from .files.writer import save
from .interactions import CassetteMetadata, Fallback, Interaction
from .masking import masked_reply, masked_request
from .redaction import Redaction

SIMULATOR = "rolecall-simulator"
_inside_ours: ContextVar[bool] = ContextVar("inside_ours", default=False)


class Recorder(Cassette):  # type: ignore[misc]
    """A cassette of vcrpy that listens to all clients, and to ours without holding them up.

    interactions: what the cassette holds already; what is recorded anew takes its place.
    """

    def __init__(
        self,
        path: Path,
        redaction: Redaction,
        metadata: CassetteMetadata | None = None,
        interactions: Sequence[Interaction] = (),
    ) -> None:
        super().__init__(
            str(path),
            record_mode=RecordMode.ALL,
            custom_patches=((Departure, "handle_async_request", self._recording_transport()),),
        )
        self._file = path
        self._redaction = redaction
        self._before = list(interactions)
        self._begun: dict[int, tuple[Request, Interaction, float]] = {}
        self._count = len(interactions)
        self._servers: set[str] = set()
        self.metadata = metadata or CassetteMetadata()
        self.interactions: list[Interaction] = []

    recording = True
    complaint = ""

    # The part of vcrpy's interface that its patches call.

    @property
    def write_protected(self) -> bool:
        return False

    def filter_request(self, request: Request) -> Request | None:
        return None if _inside_ours.get() else request

    def can_play_response_for(self, request: Request) -> bool:
        if not _inside_ours.get():
            self._begin(request)
        return False

    def append(self, request: Request, response: Mapping[str, Any]) -> None:
        if not _inside_ours.get():
            self._end(request, response)

    # Called by the limiter and the event bus.

    def check_call(self, call: Call) -> None:
        pass

    def notify(self, event: Event) -> None:
        if isinstance(event, FellBack):
            fallback = Fallback(event.agent, event.route, str(event.cause))
            if fallback not in self.metadata.fallbacks:
                self.metadata = evolve(
                    self.metadata, fallbacks=[*self.metadata.fallbacks, fallback]
                )
        elif isinstance(event, RunStarted):
            run = tomllib.loads(Path(event.folder, "run.toml").read_text("utf-8"))
            routes, assigned = run.get("routes", {}), run.get("assign", {})
            self.metadata = evolve(
                self.metadata,
                request=event.request.strip(),
                team={
                    name: {"routes": routes.get(name, []), "assigned": name in assigned}
                    for name in event.agents
                },
                only=run.get("only", []),
                skip=run.get("skip", []),
                settings=run.get("settings", {}),
            )

    def save(
        self, describe: Callable[[CassetteMetadata], CassetteMetadata] = lambda metadata: metadata
    ) -> bool:
        """Write what was recorded, if anything was; raise SecretFound rather than a secret."""
        if not self.interactions:
            return False
        recorded = {(interaction.agent, interaction.canonical) for interaction in self.interactions}
        interactions = [
            interaction
            for interaction in self._before
            if (interaction.agent, interaction.canonical) not in recorded
        ]
        interactions += self.interactions
        metadata = evolve(
            self.metadata,
            source=self._source(),
            recorded=date.today().isoformat(),
            versions=_versions(),
            models=sorted({interaction.canonical.model for interaction in interactions} - {""}),
        )
        save(self._file, describe(metadata), interactions, self._redaction)
        return True

    def _begin(self, request: Request) -> None:
        call = current_call.get()
        interaction = Interaction(
            request=masked_request(request, self._redaction),
            response={},
            agent=call.agent if call else "",
            route=f"{call.provider}/{call.model}" if call else "",
            position=self._count,
        )
        self._count += 1
        self._begun[id(request)] = (request, interaction, time.monotonic())

    def _end(self, request: Request, response: Mapping[str, Any]) -> None:
        if id(request) not in self._begun:
            self._begin(request)  # a redirect that a client followed by itself
        _, interaction, begun = self._begun.pop(id(request))
        interaction.seconds = time.monotonic() - begun
        server = next((v for n, v in response["headers"].items() if n.lower() == "server"), "")
        simulated = SIMULATOR in str(server)
        self._servers.add(SIMULATOR if simulated else urlsplit(request.uri).hostname or "")
        interaction.response = masked_reply(response, self._redaction)
        self.interactions.append(interaction)

    def _recording_transport(self) -> Callable[..., Any]:
        """Return the stand-in for the transport: the reply goes on its way while it is recorded."""
        original = Departure.handle_async_request

        async def record(transport: Departure, http: httpx.Request) -> httpx.Response:
            request = Request(http.method, str(http.url), await http.aread(), dict(http.headers))
            self._begin(request)
            with _unheard():
                reply = await original(transport, http)
            head = {
                "status": {"code": reply.status_code, "message": reply.reason_phrase},
                "headers": {name: [value] for name, value in reply.headers.multi_items()},
            }

            def end(body: bytes) -> None:
                self._end(request, {**head, "body": {"string": body}})

            assert isinstance(reply.stream, httpx.AsyncByteStream)
            reply.stream = _RecordedStream(reply.stream, end)
            return reply

        return record

    def _source(self) -> str:
        if self._servers == {SIMULATOR}:
            return "rolecall's simulator, not from a vendor"
        hosts = sorted("this machine" if is_local(host) else host for host in self._servers)
        return f"the services at {', '.join(hosts)}"


class _RecordedStream(httpx.AsyncByteStream):
    """A body on its way to the client, recorded once it is whole, or closed before."""

    def __init__(self, stream: httpx.AsyncByteStream, end: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._end: Callable[[bytes], None] | None = end
        self._body = bytearray()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                self._body += chunk
                yield chunk
        except (asyncio.CancelledError, GeneratorExit):
            self._end = None  # nobody waited for the rest, which may well have come
            raise
        self._finish()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._finish()

    def _finish(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(bytes(self._body))


@contextmanager
def _unheard() -> Iterator[None]:
    """Ignore the client beneath ours: the exchange is recorded already."""
    token = _inside_ours.set(True)
    try:
        yield
    finally:
        _inside_ours.reset(token)


def _versions() -> dict[str, str]:
    versions = {}
    for name in ("rolecall", "litellm", "vcrpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
