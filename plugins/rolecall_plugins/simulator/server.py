"""Serve three wire formats on a local port; the only module here that knows HTTP."""

import asyncio
import ipaddress
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType

import attrs
from aiohttp import web
from attrs import evolve

from .arrivals import Arrival
from .batches.routes import BatchRoutes
from .batches.store import Batch
from .errors import ScenarioError
from .exchange import Form, Incoming
from .scenario import Scenario
from .sending import send
from .service import Service

__all__ = ["Arrival", "Simulator", "serve_in_thread"]

_ABOUT = (
    "rolecall's simulator: the Anthropic Messages API at /v1/messages, the Gemini API at "
    "/v1beta/models/MODEL:generateContent and OpenAI's at /v1/chat/completions. "
    "Every reply is simulated; no language model is here.\n"
)
_LARGEST_BODY = 64 * 1024 * 1024
# Seconds that answers on their way get to finish when the server closes.
_GRACE = 0.1


class Simulator:
    """A simulated vendor as an async context manager; `api_clock` runs its rate limits.

    host: only a loopback address, unless `anywhere` is true.
    api_clock: seconds since 1970, for limits and the headers that tell of them.
    clock, sleep: monotonic seconds for `arrivals`, and what waits out latencies.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        anywhere: bool = False,
        api_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not anywhere and not _is_loopback(host):
            raise ScenarioError(
                f"host {host!r} is not a loopback address such as 127.0.0.1; anyone who reaches "
                "it could use the simulator: pass anywhere=True if that is what you want"
            )
        self.url = ""
        self._arrivals: list[Arrival] = []
        self._scenario = scenario
        self._host = host
        self._port = port
        self._clock = clock
        self._sleep = sleep
        self._service = Service(scenario, api_clock)
        self._runner: web.AppRunner | None = None

    @property
    def arrivals(self) -> list[Arrival]:
        """Every call so far, in the order of arrival."""
        return list(self._arrivals)

    @property
    def batches(self) -> list[Batch]:
        """Every batch so far, in the order of submission, also those whose reply was lost."""
        return list(self._service.batches.batches)

    @property
    def anthropic_base(self) -> str:
        """Where a client of the Anthropic API is to be pointed."""
        return self.url

    @property
    def gemini_base(self) -> str:
        """Where a client of the Gemini API is to be pointed."""
        return f"{self.url}/v1beta"

    @property
    def openai_base(self) -> str:
        """Where a client of OpenAI's chat completions is to be pointed."""
        return f"{self.url}/v1"

    async def __aenter__(self) -> "Simulator":
        app = web.Application(client_max_size=_LARGEST_BODY)
        versions = r"/{version:v1|v1beta|v1alpha}"
        batches = BatchRoutes(
            self._service.batches, self._service.answer_in_batch, lambda: self.url, self._sleep
        )
        app.add_routes(
            [
                *batches.routes,
                web.get("/", self._about),
                web.get("/arrivals", self._list),
                web.post("/v1/messages", self._anthropic),
                web.post("/v1/chat/completions", self._openai),
                web.post(versions + "/models/{call:[^/]+}", self._gemini),
                web.post("/models/{call:[^/]+}", self._gemini),
            ]
        )
        # Cancelled when the caller leaves, or the server closes: so do hanging answers end.
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        address, port = runner.addresses[0][:2]
        self.url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _about(self, _request: web.Request) -> web.Response:
        return web.Response(text=_ABOUT)

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response([attrs.asdict(arrival) for arrival in self.arrivals])

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get("x-api-key", "")
        return await self._serve(request, Incoming(provider="claude", body=b"", key=key))

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        model, _, action = request.match_info["call"].rpartition(":")
        if action not in ("generateContent", "streamGenerateContent"):
            raise web.HTTPNotFound(text=f"no such method: {action}\n")
        form: Form = "json"
        if action == "streamGenerateContent":
            form = "sse" if request.query.get("alt") == "sse" else "array"
        return await self._serve(
            request,
            Incoming(
                provider="gemini",
                body=b"",
                key=request.headers.get("x-goog-api-key") or request.query.get("key", ""),
                model=model,
                version=request.match_info.get("version", "v1beta"),
                form=form,
            ),
        )

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return await self._serve(request, Incoming(provider="openai", body=b"", key=key))

    async def _serve(self, request: web.Request, incoming: Incoming) -> web.StreamResponse:
        ordinal = self._service.arrive(incoming.provider)
        place = len(self._arrivals)
        arrival = Arrival(
            at=self._clock(),
            provider=incoming.provider,
            model=incoming.model,
            stream=incoming.form != "json",
        )
        self._arrivals.append(arrival)
        incoming = evolve(incoming, body=await request.read())
        decision = self._service.decide(incoming, ordinal)
        self._arrivals[place] = arrival.completed(incoming.body, decision)
        try:
            if decision.delay:
                await self._sleep(decision.delay)
            pace = self._scenario.tokens_per_second
            response = await send(request, decision.answer, pace, self._sleep)
            self._arrivals[place] = evolve(self._arrivals[place], sent=True)
            return response
        finally:
            if decision.admitted:
                self._service.finish(incoming.provider, decision)


@contextmanager
def serve_in_thread(scenario: Scenario, port: int = 0) -> Iterator[Simulator]:
    """Run a simulator in a daemon thread with an event loop of its own."""
    started: Future[tuple[Simulator, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        try:
            async with Simulator(scenario, port=port) as simulator:
                started.set_result((simulator, asyncio.get_running_loop(), stop))
                await stop.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(
        target=lambda: asyncio.run(serve()), name="rolecall simulator", daemon=True
    )
    thread.start()
    simulator, loop, stop = started.result()
    try:
        yield simulator
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
