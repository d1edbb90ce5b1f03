"""Record what goes out and comes back while a team or a test runs, without its secrets."""

import asyncio
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve, frozen
from vcr.cassette import Cassette
from vcr.record_mode import RecordMode
from vcr.request import Request

from rolecall import (
    Call,
    Cause,
    Event,
    FellBack,
    RecordedCall,
    Rerouted,
    RunStarted,
    WorkspaceVerified,
)

from ..providers.outbound import IncomingReply, OutboundTransport, OutgoingRequest
from .canonical_request import is_local
from .current_call import current_call
from .errors import CassetteError
from .files.recording_log import RecordingLog
from .files.writer import save
from .interactions import CassetteMetadata, Fallback, Interaction, RecordedAgent
from .masking import masked_reply, masked_request
from .redaction import Redaction
from .tool_calls.recorder import ToolCallRecorder
from .tool_calls.values import ToolDescription

SIMULATOR = "rolecall-simulator"
_inside_ours: ContextVar[bool] = ContextVar("inside_ours", default=False)


class Recorder(Cassette):  # type: ignore[misc]
    """A cassette of vcrpy that records all clients, and ours without holding them up.

    interactions: what the cassette holds already; what is recorded anew takes its place.
    log: where each exchange is kept as soon as it is over.
    """

    def __init__(
        self,
        path: Path,
        redaction: Redaction,
        metadata: CassetteMetadata | None = None,
        interactions: Sequence[Interaction] = (),
        log: RecordingLog | None = None,
    ) -> None:
        super().__init__(
            str(path),
            record_mode=RecordMode.ALL,
            custom_patches=((OutboundTransport, "send", self._recording_transport()),),
        )
        self._file = path
        self._redaction = redaction
        self._before = list(interactions)
        self._log = log
        self._begun: dict[int, _Begun] = {}
        self._count = 1 + max((before.position for before in interactions), default=-1)
        self._servers: set[str] = set()
        self._source_before = metadata.source if metadata and interactions else ""
        self._unrecorded: list[str] = []
        self.metadata = metadata or CassetteMetadata()
        self.interactions: list[Interaction] = []
        self.tools = ToolCallRecorder(
            redaction, self.metadata.acting, self._note_tools, self._note_act
        )

    recording = True
    saved = False

    @property
    def complaint(self) -> str:
        """Return what could not be recorded; empty where all is well."""
        return "\n".join([*self._unrecorded, *self.tools.complaints])

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

    def forecast(self, call: Call) -> float:
        return 0.0

    def notify(self, event: Event) -> None:
        if isinstance(event, FellBack):
            self._leave(event.agent, event.route, event.cause)
        elif isinstance(event, Rerouted):
            # A replay without balancing leaves the route as well, as if it had refused.
            self._leave(event.agent, event.route, Cause.RATE_LIMITED)
        elif isinstance(event, WorkspaceVerified):
            self.tools.verified(event)
        elif isinstance(event, RunStarted):
            run = tomllib.loads(Path(event.folder, "run.toml").read_text("utf-8"))
            routes, assigned = run.get("routes", {}), run.get("assign", {})
            self._note(
                request=event.request.strip(),
                team={
                    name: evolve(
                        self.metadata.team.get(name, RecordedAgent()),
                        routes=routes.get(name, []),
                        assigned=name in assigned,
                    )
                    for name in event.agents
                },
                only=run.get("only", []),
                skip=run.get("skip", []),
                settings=run.get("settings", {}),
            )

    def _leave(self, agent: str, route: str, cause: Cause) -> None:
        fallback = Fallback(agent, route, str(cause))
        if fallback not in self.metadata.fallbacks:
            self._note(fallbacks=[*self.metadata.fallbacks, fallback])

    def save(
        self, describe: Callable[[CassetteMetadata], CassetteMetadata] = lambda metadata: metadata
    ) -> None:
        """Write what was recorded; raise SecretFound rather than a secret, and NotSaved."""
        recorded = {(interaction.agent, interaction.canonical) for interaction in self.interactions}
        interactions = [
            interaction
            for interaction in self._before
            if (interaction.agent, interaction.canonical) not in recorded
        ]
        interactions += self.interactions
        metadata = evolve(
            self.metadata,
            acting=self.tools.record,
            recorded=date.today().isoformat(),
            versions=_versions(),
            models=sorted({interaction.canonical.model for interaction in interactions} - {""}),
        )
        save(self._file, describe(metadata), interactions, self._redaction)
        self.saved = True

    def _note_tools(
        self, agent: str, tools: Mapping[str, ToolDescription], has_sandbox: bool
    ) -> None:
        recorded = self.metadata.team.get(agent, RecordedAgent())
        if tools or recorded.tools:
            team = {**self.metadata.team, agent: evolve(recorded, tools=tuple(tools))}
            known = {**self.metadata.tools, **tools}
            self._note(team=team, tools=known, has_sandbox=has_sandbox)

    def _note_act(self, act: RecordedCall | WorkspaceVerified) -> None:
        if self._log is not None:
            self._log.append_act(act)

    def _note(self, **changes: Any) -> None:
        self.metadata = evolve(self.metadata, **changes)
        if self._log is not None:
            self._log.note(self.metadata)

    def _begin(self, request: Request) -> None:
        call = current_call.get()
        self._begun[id(request)] = _Begun(
            request=request,
            agent=call.agent if call else "",
            route=f"{call.provider}/{call.model}" if call else "",
            position=self._count,
            at=time.monotonic(),
        )
        self._count += 1

    def _end(self, request: Request, response: Mapping[str, Any]) -> None:
        if id(request) not in self._begun:
            self._begin(request)  # a redirect that a client followed by itself
        begun = self._begun.pop(id(request))
        try:
            interaction = Interaction(
                request=masked_request(request, self._redaction),
                response=masked_reply(response, self._redaction),
                agent=begun.agent,
                route=begun.route,
                seconds=time.monotonic() - begun.at,
                position=begun.position,
            )
        except CassetteError as error:  # nothing is wrong with the call, so it goes on
            who = begun.agent or f"{request.method} {urlsplit(request.uri).hostname}"
            self._unrecorded.append(f"a call of {who} is not recorded: {error}")
            return
        self._note_server(request, response)
        self.interactions.append(interaction)
        if self._log is not None:
            self._log.append(interaction)

    def _note_server(self, request: Request, response: Mapping[str, Any]) -> None:
        server = next((v for n, v in response["headers"].items() if n.lower() == "server"), "")
        is_simulated = SIMULATOR in str(server)
        host = SIMULATOR if is_simulated else urlsplit(request.uri).hostname or ""
        if host not in self._servers:
            self._servers.add(host)
            self._note(source=self._source())

    def _recording_transport(self) -> Callable[..., Any]:
        """Return the stand-in for the transport: the reply goes on its way while it is recorded."""
        original = OutboundTransport.send

        async def record(transport: OutboundTransport, outgoing: OutgoingRequest) -> IncomingReply:
            request = Request("POST", outgoing.url, outgoing.body, dict(outgoing.headers))
            self._begin(request)
            with _unheard():
                reply = await original(transport, outgoing)
            headers: dict[str, list[str]] = {}
            for name, value in reply.headers:
                headers.setdefault(name.lower(), []).append(value)
            status = {"code": reply.status, "message": reply.reason}
            head = {"status": status, "headers": headers}

            def end(body: bytes) -> None:
                self._end(request, {**head, "body": {"string": body}})

            body = _RecordedBody(reply, end)
            return evolve(reply, read=body.read, close=body.close)

        return record

    def _source(self) -> str:
        """Return what the exchanges come from, those that were there before included."""
        before = self._source_before
        if self._servers == {SIMULATOR}:
            source = "rolecall's simulator, not from a vendor"
        else:
            hosts = sorted("this machine" if is_local(host) else host for host in self._servers)
            source = f"the services at {', '.join(hosts)}"
        if not before or before == source:
            return source
        return before if source in before else f"{before}, and {source}"


@frozen
class _Begun:
    """A request on its way; it is kept, since its id is its key as long as it lives."""

    request: Request
    agent: str
    route: str
    position: int
    at: float


class _RecordedBody:
    """A body on its way to the client, recorded once it is whole, or closed before."""

    def __init__(self, reply: IncomingReply, end: Callable[[bytes], None]) -> None:
        self._reply = reply
        self._end: Callable[[bytes], None] | None = end
        self._body = bytearray()

    async def read(self) -> bytes:
        try:
            data = await self._reply.read()
        except asyncio.CancelledError:
            self._end = None  # nobody waited for the rest, which may well have come
            raise
        self._body += data
        if not data:
            self._finish()
        return data

    async def close(self) -> None:
        try:
            await self._reply.close()
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
