"""Records: what goes out and comes back while a team or a test runs, without its secrets."""

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
from .asked import is_local
from .calling import calling
from .masking import masked_reply, masked_request
from .redaction import Redaction
from .takes import Fallback, Head, Take, save

SIMULATOR = "rolecall-simulator"
_within: ContextVar[bool] = ContextVar("within", default=False)


class Recorder(Cassette):  # type: ignore[misc]
    """A cassette of vcrpy that listens to all clients, and to ours without holding them up.

    takes: what the cassette holds already; what is recorded anew takes its place.
    """

    def __init__(
        self, path: Path, redaction: Redaction, head: Head | None = None, takes: Sequence[Take] = ()
    ) -> None:
        super().__init__(
            str(path),
            record_mode=RecordMode.ALL,
            custom_patches=((Departure, "handle_async_request", self._departing()),),
        )
        self._file = path
        self._redaction = redaction
        self._before = list(takes)
        self._begun: dict[int, tuple[Request, Take, float]] = {}
        self._count = len(takes)
        self._servers: set[str] = set()
        self.head = head or Head()
        self.takes: list[Take] = []

    recording = True
    complaint = ""

    # What vcrpy's patches ask.

    @property
    def write_protected(self) -> bool:
        return False

    def filter_request(self, request: Request) -> Request | None:
        return None if _within.get() else request

    def can_play_response_for(self, request: Request) -> bool:
        if not _within.get():
            self._begin(request)
        return False

    def append(self, request: Request, response: Mapping[str, Any]) -> None:
        if not _within.get():
            self._end(request, response)

    # What the limiter and the events tell.

    def asking(self, call: Call) -> None:
        pass

    def notify(self, event: Event) -> None:
        if isinstance(event, FellBack):
            left = Fallback(event.agent, event.route, str(event.cause))
            if left not in self.head.fallbacks:
                self.head = evolve(self.head, fallbacks=[*self.head.fallbacks, left])
        elif isinstance(event, RunStarted):
            about = tomllib.loads(Path(event.folder, "run.toml").read_text("utf-8"))
            routes, assigned = about.get("routes", {}), about.get("assign", {})
            self.head = evolve(
                self.head,
                request=event.request.strip(),
                team={
                    name: {"routes": routes.get(name, []), "assigned": name in assigned}
                    for name in event.agents
                },
                only=about.get("only", []),
                skip=about.get("skip", []),
                settings=about.get("settings", {}),
            )

    def save(self, describe: Callable[[Head], Head] = lambda head: head) -> bool:
        """Write what was recorded, if anything was; raise SecretFound rather than a secret."""
        if not self.takes:
            return False
        again = {(take.agent, take.asked) for take in self.takes}
        takes = [take for take in self._before if (take.agent, take.asked) not in again]
        takes += self.takes
        head = evolve(
            self.head,
            source=self._source(),
            recorded=date.today().isoformat(),
            versions=_versions(),
            models=sorted({take.asked.model for take in takes} - {""}),
        )
        save(self._file, describe(head), takes, self._redaction)
        return True

    def _begin(self, request: Request) -> None:
        call = calling.get()
        take = Take(
            request=masked_request(request, self._redaction),
            response={},
            agent=call.agent if call else "",
            route=f"{call.provider}/{call.model}" if call else "",
            place=self._count,
        )
        self._count += 1
        self._begun[id(request)] = (request, take, time.monotonic())

    def _end(self, request: Request, response: Mapping[str, Any]) -> None:
        if id(request) not in self._begun:
            self._begin(request)  # a redirect that a client followed by itself
        _, take, begun = self._begun.pop(id(request))
        take.seconds = time.monotonic() - begun
        server = next((v for n, v in response["headers"].items() if n.lower() == "server"), "")
        simulated = SIMULATOR in str(server)
        self._servers.add(SIMULATOR if simulated else urlsplit(request.uri).hostname or "")
        take.response = masked_reply(response, self._redaction)
        self.takes.append(take)

    def _departing(self) -> Callable[..., Any]:
        """Make what stands in for `Departure`: the reply goes on its way while it is recorded."""
        original = Departure.handle_async_request

        async def depart(transport: Departure, http: httpx.Request) -> httpx.Response:
            request = Request(http.method, str(http.url), await http.aread(), dict(http.headers))
            self._begin(request)
            with _inside():
                reply = await original(transport, http)
            told = {
                "status": {"code": reply.status_code, "message": reply.reason_phrase},
                "headers": {name: [value] for name, value in reply.headers.multi_items()},
            }

            def end(body: bytes) -> None:
                self._end(request, {**told, "body": {"string": body}})

            assert isinstance(reply.stream, httpx.AsyncByteStream)
            reply.stream = _Heard(reply.stream, end)
            return reply

        return depart

    def _source(self) -> str:
        if self._servers == {SIMULATOR}:
            return "rolecall's simulator, not from a vendor"
        hosts = sorted("this machine" if is_local(host) else host for host in self._servers)
        return f"the services at {', '.join(hosts)}"


class _Heard(httpx.AsyncByteStream):
    """A body on its way to the client; told once it is whole, or closed before."""

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
        self._tell()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._tell()

    def _tell(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(bytes(self._body))


@contextmanager
def _inside() -> Iterator[None]:
    """Let the client beneath ours pass unheard: the exchange is recorded already."""
    token = _within.set(True)
    try:
        yield
    finally:
        _within.reset(token)


def _versions() -> dict[str, str]:
    found = {}
    for name in ("rolecall", "litellm", "vcrpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
