"""A provider of whichever vendor litellm knows."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import evolve, frozen

from rolecall import Cause, Deployment, ProviderError, Request, Response, Settings, Usage

from ..litellm_import import import_litellm
from ..model_prices import Model, known, models
from .accesses import Access, Accesses
from .once import Once
from .vendor_facts import FACTS, VendorFacts

if TYPE_CHECKING:
    from ..outbound import OutboundTransport
    from ..reading.openai_reply import OpenAIReply
    from ..reply_reader import Reply
    from ..transport import Exchange


@frozen
class _Ready:
    litellm: Any
    transport: "OutboundTransport"


class AnyVendorProvider:
    """A provider of one vendor of litellm, as its table in the settings says.

    litellm makes the call, through our transport. Replies in a format that is read exactly here are
    read here; of all others litellm makes OpenAI's, and that is read here.

    vendor: litellm's name for it. base: a variable whose address wins over the settings'.
    """

    def __init__(self, name: str, vendor: str, base: str, settings: Settings) -> None:
        own = settings.provider(name)
        self._facts = FACTS.get(vendor, VendorFacts())
        self._settings = settings
        self._vendor = vendor
        self._accesses = Accesses(
            settings,
            name,
            keys=self._facts.keys or (f"{vendor.upper()}_API_KEY",),
            bases=(base,),
            needs_key=self._facts.needs_key and not own.api_base.startswith("http://"),
            needs_base=self._facts.needs_base,
            bearer=True,
        )
        self._ready = Once(self._make_ready)
        self.name = name
        self.model = own.model

    @property
    def deployments(self) -> Sequence[Deployment]:
        return self._accesses.deployments

    def missing(self) -> str | None:
        facts = self._facts
        if not self.model:
            return f"tool.rolecall.providers.{self.name}.model is not set: which one is asked?"
        if facts.package and not _is_installed(facts.package):
            return f"litellm needs {facts.package} to call it: pip install {facts.distribution}"
        if self._settings.hides_secrets and facts.goes_past:
            return "litellm connects to it by itself, so it is neither simulated nor replayed"
        return self._accesses.missing()

    def diagnose(self, models: Iterable[str]) -> Iterator[str]:
        missing = self.missing()
        if missing and missing != self._accesses.missing():
            yield missing
        yield from self._accesses.diagnose()
        for model in models:
            if model and not self._known(model).is_known and not self._facts.is_local:
                yield self._unknown(model)

    def max_output_tokens(self, model: str) -> int | None:
        return self._known(model).max_output_tokens

    def context_window(self, model: str) -> int | None:
        return self._known(model).context_window

    def cost(self, model: str, usage: Usage) -> float | None:
        """Price a call by litellm's bundled map; what runs on the user's own machine is free."""
        return 0.0 if self._facts.is_local else self._known(model).price(usage)

    def prepare(self) -> None:
        """Import what the first call would wait for."""
        self._ready.get()

    async def complete(self, request: Request) -> Response:
        if (ready := self._ready.value) is None:
            from asyncio import to_thread

            ready = await to_thread(self._ready.get)
        from ..transport import Exchange

        access = self._accesses.of(request)
        asked = evolve(request, model=self._accesses.model(request, access))
        async with aclosing(Exchange(asked, self._reader, ready.transport)) as exchange:
            response = await self._call(ready.litellm, asked, access, exchange)
        usage = response.usage
        return evolve(response, cost=None if usage is None else self.cost(request.model, usage))

    async def aclose(self) -> None:
        if self._ready.value is not None:
            await self._ready.value.transport.aclose()

    async def _call(
        self, litellm: Any, request: Request, access: Access, exchange: "Exchange"
    ) -> Response:
        """Have litellm make the call; read what came of it."""
        from ..litellm_doors import client_of_any
        from ..reading.litellm_errors import litellm_error, unread_error
        from ..reading.openai_reply import OpenAIReply
        from ..transport import ExchangeTransport

        reply = OpenAIReply(self.name)
        failed: Exception | None = None
        try:
            client = client_of_any(
                litellm,
                ExchangeTransport(exchange, lambda body: body),
                self._vendor,
                access,
                request.model,
            )
            answer = await litellm.acompletion(**self._arguments(request, access), client=client)
            await _absorb(answer, reply, exchange, request.progress.text)
        except Exception as error:
            failed = error
        if _is_read(exchange):
            return await exchange.response()
        if isinstance(exchange.failure, ProviderError):
            raise exchange.failure
        if exchange.unread is not None and exchange.unread.status >= 300:
            raise unread_error(exchange.unread)
        headers = exchange.unread.headers if exchange.unread else {}
        if failed is not None:
            raise litellm_error(failed, exchange.begun) from failed
        if exchange.unread is not None and not exchange.unread.has_ended:
            raise ProviderError(Cause.CONNECTION, "the stream ended before the answer did")
        return reply.response(headers)

    def _arguments(self, request: Request, access: Access) -> dict[str, Any]:
        from ..writing.openai_request import nine_characters, write

        streams = request.stream and not (request.tools and self._facts.streams_no_tools)
        variables = self._facts.variables.items()
        given = {name: self._settings.variable(*names) for name, names in variables}
        if self._settings.hides_secrets:
            # Something that signs needs a region and the like, but no secret.
            given = {name: value or "rehearsed" for name, value in given.items()}
        return {
            **{name: value for name, value in given.items() if value},
            **({"stream_options": {"include_usage": True}} if streams else {}),
            **({} if request.temperature is None else {"temperature": request.temperature}),
            **access.deployment.options,
            **write(request, self.name, nine_characters if self._facts.short_ids else str),
            "model": request.model,
            "custom_llm_provider": self._vendor,
            "max_tokens": request.max_output_tokens,
            "stream": streams,
            "timeout": request.timeout,
            "api_key": access.key or None,
            "api_base": access.base or None,
            "caching": False,  # a cached answer would take the permit of a call, and its price
            "num_retries": 0,
            "max_retries": 0,
            "_skip_mcp_handler": True,  # with tools it would import what nobody needs to have
        }

    def _reader(self, address: str) -> "Reply | None":
        """Return who reads what comes from an address; its path shows the format."""
        path = urlsplit(address).path
        if path.endswith("/chat/completions"):
            from ..reading.openai_reply import OpenAIReply

            return OpenAIReply(self.name)
        if path.endswith("/v1/messages"):
            from ..anthropic_reply import ClaudeReply

            return ClaudeReply(self.name)
        if path.endswith((":generateContent", ":streamGenerateContent")):
            from ..gemini_reply import GeminiReply

            return GeminiReply(self.name)
        return None

    def _make_ready(self) -> _Ready:
        litellm = import_litellm()
        from ..litellm_doors import connection_options
        from ..outbound import OutboundTransport
        from ..reading.openai_reply import OpenAIReply

        OpenAIReply(self.name)
        return _Ready(litellm, OutboundTransport(connection_options(litellm, self._settings)))

    def _known(self, model: str) -> Model:
        return known(self._facts.known_as or self._vendor, model)

    def _unknown(self, model: str) -> str:
        from difflib import get_close_matches

        near = get_close_matches(model, models().get(self._facts.known_as or self._vendor, ()), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return (
            f"litellm does not know {model!r} of {self._vendor}, so its price is unknown{hint}; "
            f'spell it as the vendor does, or set tool.rolecall.prices."{model}"'
        )


async def _absorb(
    answer: Any, reply: "OpenAIReply", exchange: "Exchange", tell: Callable[[str], None]
) -> None:
    """Read litellm's answer, or the pieces that it comes in; they have OpenAI's form."""
    if not isinstance(answer, AsyncIterator):
        reply.absorb(answer.model_dump())
        return
    async for piece in answer:
        added = reply.absorb(piece.model_dump())
        if added and not _is_read(exchange):
            tell(added)


def _is_read(exchange: "Exchange") -> bool:
    """Check whether the reply is read as it comes, and its text told there."""
    return exchange.begun and exchange.unread is None


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
