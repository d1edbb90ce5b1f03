"""A provider whose endpoint speaks OpenAI's chat completions, without litellm."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import evolve

from rolecall import Deployment, ProviderError, Request, Response, Settings, Usage, __version__

from ..model_prices import Model, known
from ..writing.encoding import encoded, join
from .accesses import Access, Accesses
from .once import Once

if TYPE_CHECKING:
    from ..outbound import OutboundTransport, OutgoingRequest

# Whose prices apply, by the endpoint's host; litellm's names.
VENDORS: Mapping[str, str] = {
    "api.openai.com": "openai",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "xai",
    "api.together.xyz": "together_ai",
    "api.perplexity.ai": "perplexity",
    "openrouter.ai": "openrouter",
}
# OpenAI's own models that think refuse `max_tokens`; most others know nothing else.
_COMPLETION_TOKENS = "api.openai.com"
_PATH = "/chat/completions"


class ChatCompletionsProvider:
    """A provider of any endpoint that speaks OpenAI's format.

    base: a variable whose address wins over the settings'.
    """

    def __init__(self, name: str, base: str, settings: Settings) -> None:
        own = settings.provider(name)
        self._settings = settings
        self._accesses = Accesses(
            settings, name, keys=(), bases=(base,), needs_key=False, needs_base=True, bearer=True
        )
        self._transport = Once(self._connect)
        self.name = name
        self.model = own.model

    @property
    def deployments(self) -> Sequence[Deployment]:
        return self._accesses.deployments

    def missing(self) -> str | None:
        if not self.model:
            return f"tool.rolecall.providers.{self.name}.model is not set: which one is asked?"
        return self._accesses.missing()

    def diagnose(self, models: Iterable[str]) -> Iterable[str]:
        yield from self._accesses.diagnose()

    def max_output_tokens(self, model: str) -> int | None:
        return self._known(model).max_output_tokens

    def context_window(self, model: str) -> int | None:
        return self._known(model).context_window

    def cost(self, model: str, usage: Usage) -> float | None:
        """Price a call by litellm's bundled map, where the endpoint is a vendor's own."""
        return self._known(model).price(usage)

    def prepare(self) -> None:
        """Import what the first call would wait for."""
        self._transport.get()

    def _connect(self) -> "OutboundTransport":
        from ..connections import AiohttpConnections, ConnectionOptions, HttpxConnections
        from ..outbound import OutboundTransport
        from ..reading.openai_reply import OpenAIReply

        OpenAIReply(self.name)
        switch = self._settings.variable("DISABLE_AIOHTTP_TRANSPORT").lower()
        client = HttpxConnections if switch == "true" else AiohttpConnections
        return OutboundTransport(ConnectionOptions(client, f"rolecall/{__version__}"))

    async def complete(self, request: Request) -> Response:
        from ..reading.openai_reply import OpenAIReply
        from ..transport import Exchange

        access = self._accesses.of(request)
        outgoing = self._build(evolve(request, model=self._accesses.model(request, access)), access)
        reply = partial(OpenAIReply, self.name)
        async with aclosing(
            Exchange(request, lambda _: reply(), self._transport.get())
        ) as exchange:
            await exchange.send(outgoing)
            try:
                response = await exchange.response()
            except ProviderError as error:
                if error.status == 404 and not urlsplit(access.base).path.strip("/"):
                    error.args = (f"{error}; most such addresses end with /v1, and this has none",)
                raise
        usage = response.usage
        return evolve(response, cost=None if usage is None else self.cost(request.model, usage))

    async def aclose(self) -> None:
        if self._transport.value is not None:
            await self._transport.value.aclose()

    def _build(self, request: Request, access: Access) -> "OutgoingRequest":
        from ..outbound import OutgoingRequest
        from ..writing.openai_request import write

        base = access.base.rstrip("/").removesuffix(_PATH)
        is_new = urlsplit(base).hostname == _COMPLETION_TOKENS
        body: dict[str, Any] = {
            "model": request.model,
            **write(request, self.name),
            "max_completion_tokens" if is_new else "max_tokens": request.max_output_tokens,
            "stream": request.stream,
            **({"stream_options": {"include_usage": True}} if request.stream else {}),
            **({} if request.temperature is None else {"temperature": request.temperature}),
        }
        join(body, access.deployment.options)
        headers = {"content-type": "application/json"}
        if access.key:
            headers["authorization"] = f"Bearer {access.key}"
        return OutgoingRequest(f"{base}{_PATH}", headers, encoded(body))

    def _known(self, model: str) -> Model:
        """Return what is known of a model; nothing of one at an endpoint that is nobody's."""
        base = self._accesses.of(Request("", ())).base
        try:
            host = urlsplit(base).hostname or ""
        except ValueError:
            host = ""
        return known(VENDORS[host], model) if host in VENDORS else Model({})
