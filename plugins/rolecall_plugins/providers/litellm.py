"""Providers that are vendors of litellm.

What takes time to import is imported by `prepare`, in a thread while a run starts, and never for
commands that only look at a provider.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from datetime import date
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from rolecall import Cause, ProviderError, Request, Response, Settings, Stop, Usage

from .addresses import wrong_endpoint, wrong_proxy
from .litellm_import import import_litellm
from .model_prices import Model, known
from .vendors import Vendor

if TYPE_CHECKING:
    from .litellm_doors import RequestBuilder
    from .outbound import OutboundTransport, OutgoingRequest
    from .transport import Exchange

CHARACTERS_PER_TOKEN = 4


@frozen
class _Prepared:
    """What calls are made with; without a builder litellm makes every call."""

    litellm: Any
    builder: "RequestBuilder | None"
    transport: "OutboundTransport"


class LiteLLMProvider:
    """A provider that is one vendor of litellm.

    litellm's transformation builds a request, our transport sends it, and our reader reads the
    reply. Where the program has set callbacks, rules or the like, litellm makes the whole call
    through the same transport, and reads the reply as well.
    """

    def __init__(self, vendor: Vendor, settings: Settings) -> None:
        own = settings.provider(vendor.name)
        self._vendor = vendor
        self._settings = settings
        self._key = settings.variable(*vendor.keys)
        self._base = settings.variable(*vendor.bases) or own.api_base
        self._wrong_address = _wrong_address(vendor, settings, self._base)
        self._prepared: _Prepared | None = None
        self._preparing = Lock()
        self.name = vendor.name
        self.model = own.model or vendor.model

    def missing(self) -> str | None:
        names = self._vendor.keys
        if not self._key:
            return f"{' or '.join(names)} is not set"
        if not (self._key.isascii() and self._key.isprintable()):
            name = next(name for name in names if self._settings.variable(name))
            console = self._vendor.console
            return f"{name} holds a character that no key has; copy it again from {console}"
        return self._wrong_address

    def diagnose(self, models: Iterable[str]) -> Iterable[str]:
        yield from self._diagnose_access()
        for model in models:
            yield from self._diagnose_model(model)
        yield from self._diagnose_litellm()

    def max_output_tokens(self, model: str) -> int | None:
        return self._known(model).max_output_tokens

    def cost(self, model: str, usage: Usage) -> float | None:
        """Price a call by litellm's bundled map."""
        return self._known(model).price(usage)

    def prepare(self) -> None:
        """Import what the first call would wait for, and try whether litellm's doors are open.

        Each run of a team asks for it, and all of them share the connections that it makes.
        """
        with self._preparing:
            if self._prepared is None:
                self._prepared = self._prepare()

    async def complete(self, request: Request) -> Response:
        if self._prepared is None:
            from asyncio import to_thread

            await to_thread(self.prepare)
            assert self._prepared is not None
        prepared = self._prepared
        from .transport import Exchange

        outgoing = self._build(prepared, request)
        async with aclosing(
            Exchange(request, self._vendor.reply(), prepared.transport)
        ) as exchange:
            if outgoing is None:
                response = await self._call_litellm(prepared.litellm, request, exchange)
            else:
                await exchange.send(outgoing)
                response = await exchange.response()
        usage = response.usage
        return evolve(response, cost=None if usage is None else self.cost(request.model, usage))

    async def aclose(self) -> None:
        if self._prepared is not None:
            await self._prepared.transport.aclose()

    def _build(self, prepared: _Prepared, request: Request) -> "OutgoingRequest | None":
        """Build a request that is ready to leave, or None where litellm is to make the call."""
        from .litellm_doors import CLOSED, wants_the_call
        from .outbound import OutgoingRequest

        if prepared.builder is None or wants_the_call(prepared.litellm):
            return None
        try:
            built = prepared.builder.build(
                request.model,
                self._messages(request),
                request.max_output_tokens,
                request.temperature,
                request.stream,
            )
        except CLOSED:
            return None
        except Exception as error:
            raise _refused(error) from error
        self._vendor.amend(built.body, request)
        return OutgoingRequest(
            self._vendor.address(self._base, request.model, request.stream),
            built.headers,
            _encoded(built.body),
        )

    async def _call_litellm(self, litellm: Any, request: Request, exchange: "Exchange") -> Response:
        """Have litellm make the call, send it through the exchange, and read the reply as well."""
        from .litellm_doors import client_of, rule_that_failed
        from .transport import ExchangeTransport

        chosen = {} if request.temperature is None else {"temperature": request.temperature}
        rejected = ""
        try:
            transport = ExchangeTransport(exchange, lambda body: self._amended(body, request))
            answer = await litellm.acompletion(
                model=request.model,
                custom_llm_provider=self._vendor.prefix,
                messages=self._messages(request),
                max_tokens=request.max_output_tokens,
                stream=request.stream,
                timeout=request.timeout,
                api_key=self._key,
                api_base=self._vendor.endpoint(self._base) if self._base else None,
                client=client_of(transport),
                caching=False,  # a cached answer would take the permit of a call, and its price
                num_retries=0,
                max_retries=0,
                **chosen,
            )
            if request.stream:
                async for _ in answer:
                    pass
        except Exception as error:
            if not exchange.begun:
                raise _refused(error) from error
            # What came of a call that was sent, the exchange knows better; rules it does not know.
            rejected = rule_that_failed(litellm, error)
        response = await exchange.response()
        if rejected:
            detail = f"a rule that the program gave litellm rejects the answer: {rejected}"
            return evolve(response, stop=Stop.SAFETY, detail=detail)
        return response

    def _messages(self, request: Request) -> list[dict[str, Any]]:
        return [
            {"role": "system", "content": self._system(request)},
            *({"role": message.role, "content": message.text} for message in request.messages),
        ]

    def _system(self, request: Request) -> object:
        """Return the system prompt, marked for the vendor's cache where that pays.

        A kept prompt costs a quarter more once and a tenth from then on, for five minutes each
        time. Source: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching.
        """
        least = CHARACTERS_PER_TOKEN * self._known(request.model).least_cached
        long = len(request.system) >= least
        if not (self._vendor.marks_cache and request.shares_system and long):
            return request.system
        kept = {"type": "ephemeral"}
        return [{"type": "text", "text": request.system, "cache_control": kept}]

    def _amended(self, body: bytes, request: Request) -> bytes:
        """Return a body as it is to be sent; litellm's very bytes where they are to stay."""
        value = json.loads(body)
        self._vendor.amend(value, request)
        return body if value == json.loads(body) else _encoded(value)

    def _known(self, model: str) -> Model:
        return known(self._vendor.prefix, model)

    def _prepare(self) -> _Prepared:
        litellm = import_litellm()
        from importlib.metadata import version

        from . import litellm_doors as doors
        from .connections import AiohttpConnections, ConnectionOptions, HttpxConnections
        from .outbound import OutboundTransport

        self._vendor.reply()
        self._known(self.model)
        builder = doors.RequestBuilder(litellm, self._vendor.prefix, self._key)
        without_aiohttp = doors.is_switched_on(litellm, "disable_aiohttp_transport", self._settings)
        without_proxies = doors.is_switched_on(litellm, "disable_aiohttp_trust_env", self._settings)
        options = ConnectionOptions(
            client=HttpxConnections if without_aiohttp else AiohttpConnections,
            user_agent=f"litellm/{version('litellm')}",
            ssl=doors.ssl_setting(),
            proxies=not without_proxies,
            ipv4_only=litellm.force_ipv4,
        )
        is_open = builder.why_closed(self.model) is None
        return _Prepared(litellm, builder if is_open else None, OutboundTransport(options))

    def _diagnose_access(self) -> Iterator[str]:
        vendor = self._vendor
        keys = " or ".join(vendor.keys)
        if not self._key:
            yield f"{keys} is not set; make a key at {vendor.console} and put it in .env"
        elif missing := self.missing():
            yield missing
        elif not self._base and not re.fullmatch(vendor.form, self._key):
            yield f"{keys} has not the form of a key; copy it again from {vendor.console}"
        if self._wrong_address and not self._key:
            yield self._wrong_address

    def _diagnose_model(self, model: str) -> Iterator[str]:
        entry = self._known(model)
        until = entry.retired
        if not entry.is_known:
            yield (
                f"litellm does not know {model!r}, so its price is unknown; spell it as the "
                f'vendor does, or set tool.rolecall.prices."{model}"'
            )
        elif until is not None:
            ended = "was" if until <= date.today() else "will be"
            yield f"{model} {ended} switched off on {until}; choose a newer model for its route"

    def _diagnose_litellm(self) -> Iterator[str]:
        from importlib.metadata import version

        from packaging.version import Version

        from .litellm_doors import NEWEST_TESTED, RequestBuilder

        installed = version("litellm")
        if Version(installed) <= Version(NEWEST_TESTED):
            return
        yield (
            f"litellm {installed} is newer than {NEWEST_TESTED}, the newest that rolecall was "
            "tested with; where calls fail, install that"
        )
        builder = RequestBuilder(import_litellm(), self._vendor.prefix, self._key or "a-key")
        closed = builder.why_closed(self.model)
        if closed:
            yield f"litellm {installed} makes each call itself, which costs more time: {closed}"


def _wrong_address(vendor: Vendor, settings: Settings, base: str) -> str | None:
    """Describe what keeps the vendor's endpoint, or its proxy, from being reached."""
    key = f"tool.rolecall.providers.{vendor.name}.api_base"
    setting = next((name for name in vendor.bases if settings.variable(name)), key)
    return (wrong_endpoint(base, setting) if base else None) or wrong_proxy(settings, base)


def _encoded(body: object) -> bytes:
    """Write a body as JSON; half a surrogate pair, which no UTF-8 can hold, as a question mark."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _refused(error: Exception) -> ProviderError:
    return ProviderError(Cause.INVALID_REQUEST, f"litellm refused to send the request: {error}")
