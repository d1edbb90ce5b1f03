"""The addresses of both vendors' batch APIs."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from ..exchange import HttpReply
from ..sending import send
from .anthropic import AnthropicBatches
from .gemini import GeminiBatches
from .store import Answer, BatchStore

_VERSIONS = r"/{version:v1|v1beta|v1alpha}"


class BatchRoutes:
    """Serve the batches of a store; `base` is the server's address, once it is known."""

    def __init__(
        self,
        store: BatchStore,
        answer: Answer,
        base: Callable[[], str],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._answer = answer
        self._base = base
        self._sleep = sleep

    @property
    def routes(self) -> list[web.RouteDef]:
        """List the routes; they go before those of single calls, which would take some of them."""
        claude, gemini = "/v1/messages/batches{path:(?:/.*)?}", "/batches{path:(?:/.*)?}"
        create = "/models/{model:[^/:]+}:batchGenerateContent"
        return [
            web.route("*", claude, self._anthropic),
            *(web.post(prefix + create, self._create) for prefix in (_VERSIONS, "")),
            *(web.route("*", prefix + gemini, self._gemini) for prefix in (_VERSIONS, "")),
        ]

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        batches = AnthropicBatches(self._store, self._answer, self._base())
        key = request.headers.get("x-api-key", "")
        path, query = request.match_info["path"], dict(request.query)
        reply = batches.handle(request.method, path, query, await request.read(), key)
        return await self._send(request, reply)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        batches = GeminiBatches(self._store, self._answer)
        model, version = request.match_info["model"], request.match_info.get("version", "v1beta")
        reply = batches.create(model, version, await request.read(), _key(request))
        return await self._send(request, reply)

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        batches = GeminiBatches(self._store, self._answer)
        path, query = request.match_info["path"], dict(request.query)
        return await self._send(request, batches.handle(request.method, path, query, _key(request)))

    async def _send(self, request: web.Request, reply: HttpReply) -> web.StreamResponse:
        return await send(request, reply, None, self._sleep)


def _key(request: web.Request) -> str:
    return request.headers.get("x-goog-api-key") or request.query.get("key", "")
