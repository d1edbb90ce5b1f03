"""Providers that are vendors of litellm.

What takes time to import is imported by `prepare`, in a thread while a run starts, and never for
commands that only look at a provider.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import date
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from rolecall import (
    Cause,
    Deployment,
    ProviderError,
    Request,
    Response,
    Settings,
    Stop,
    Usage,
)

from .configured.accesses import Access, Accesses
from .configured.once import Once
from .litellm_import import import_litellm
from .model_prices import Model, known
from .vendors import Vendor
from .writing.encoding import encoded, join

if TYPE_CHECKING:
    from .litellm_doors import RequestBuilder
    from .outbound import OutboundTransport, OutgoingRequest
    from .reply_reader import Reply
    from .transport import Exchange

CHARACTERS_PER_TOKEN = 4
KEYLESS = "none"  # what is sent as a key where an endpoint wants none


@frozen
class _Prepared:
    """What calls are made with; where there is no builder litellm makes every call.

    builders: by key.
    """

    litellm: Any
    builders: "Mapping[str, RequestBuilder]"
    transport: "OutboundTransport"


class LiteLLMProvider:
    """A provider that is one vendor of litellm.

    litellm's transformation builds a request, our transport sends it, and our reader reads the
    reply. Where the program has set callbacks, rules or the like, litellm makes the whole call
    through the same transport, and reads the reply as well.
    """

    def __init__(self, vendor: Vendor, settings: Settings) -> None:
        self._vendor = vendor
        self._settings = settings
        self._accesses = Accesses(
            settings,
            vendor.name,
            keys=vendor.keys,
            bases=vendor.bases,
            console=vendor.console,
            form=vendor.form,
            needs_key=vendor.needs_key,
            needs_base=vendor.needs_base,
        )
        self._prepared = Once(self._prepare)
        self.name = vendor.name
        self.model = settings.provider(vendor.name).model or vendor.model

    @property
    def deployments(self) -> Sequence[Deployment]:
        return self._accesses.deployments

    def missing(self) -> str | None:
        return self._accesses.missing()

    def diagnose(self, models: Iterable[str]) -> Iterable[str]:
        yield from self._accesses.diagnose()
        for model in models:
            yield from self._diagnose_model(model)
        yield from self._diagnose_litellm()

    def max_output_tokens(self, model: str) -> int | None:
        return self._known(model).max_output_tokens

    def context_window(self, model: str) -> int | None:
        return self._known(model).context_window

    def cost(self, model: str, usage: Usage) -> float | None:
        """Price a call by litellm's bundled map."""
        return self._known(model).price(usage)

    def prepare(self) -> None:
        """Import what the first call would wait for, and try whether litellm's doors are open."""
        self._prepared.get()

    async def complete(self, request: Request) -> Response:
        if (prepared := self._prepared.value) is None:
            from asyncio import to_thread

            prepared = await to_thread(self._prepared.get)
        from .transport import Exchange

        access = self._accesses.of(request)
        priced = request.model
        request = evolve(request, model=self._accesses.model(request, access))
        outgoing = self._build(prepared, request, access)
        async with aclosing(Exchange(request, self._reply, prepared.transport)) as exchange:
            if outgoing is None:
                response = await self._call_litellm(prepared.litellm, request, access, exchange)
            else:
                await exchange.send(outgoing)
                response = await exchange.response()
        usage = response.usage
        return evolve(response, cost=None if usage is None else self.cost(priced, usage))

    async def aclose(self) -> None:
        if self._prepared.value is not None:
            await self._prepared.value.transport.aclose()

    def _build(
        self, prepared: _Prepared, request: Request, access: Access
    ) -> "OutgoingRequest | None":
        """Build a request that is ready to leave, or None where litellm is to make the call."""
        from .litellm_doors import CLOSED, wants_the_call
        from .outbound import OutgoingRequest

        builder = prepared.builders.get(access.key)
        if builder is None or wants_the_call(prepared.litellm):
            return None
        try:
            built = builder.build(
                request.model,
                self._messages(request),
                request.max_output_tokens,
                request.temperature,
                request.stream,
            )
        except CLOSED:
            return None
        except Exception as error:
            raise refused(error) from error
        self._vendor.amend(built.body, request, self.name)
        join(built.body, access.deployment.options)
        return OutgoingRequest(
            self._vendor.address(access.base, request.model, request.stream),
            built.headers,
            encoded(built.body),
        )

    async def _call_litellm(
        self, litellm: Any, request: Request, access: Access, exchange: "Exchange"
    ) -> Response:
        """Have litellm make the call, send it through the exchange, and read the reply as well."""
        from .litellm_doors import client_of, rule_that_failed
        from .transport import ExchangeTransport

        chosen = {} if request.temperature is None else {"temperature": request.temperature}
        rejected = ""
        try:
            transport = ExchangeTransport(
                exchange, lambda body: self._amended(body, request, access)
            )
            answer = await litellm.acompletion(
                model=request.model,
                custom_llm_provider=self._vendor.prefix,
                messages=self._messages(request),
                max_tokens=request.max_output_tokens,
                stream=request.stream,
                timeout=request.timeout,
                api_key=access.key or KEYLESS,
                api_base=self._vendor.endpoint(access.base) if access.base else None,
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
                raise refused(error) from error
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

    def _amended(self, body: bytes, request: Request, access: Access) -> bytes:
        """Return a body as it is to be sent; litellm's very bytes where they are to stay."""
        value = json.loads(body)
        self._vendor.amend(value, request, self.name)
        join(value, access.deployment.options)
        return body if value == json.loads(body) else encoded(value)

    def _reply(self, address: str) -> "Reply":
        return self._vendor.reply(self.name)

    def _known(self, model: str) -> Model:
        return known(self._vendor.prefix, model) if self._vendor.is_own else Model({})

    def _prepare(self) -> _Prepared:
        litellm = import_litellm()
        from . import litellm_doors as doors
        from .outbound import OutboundTransport

        self._reply("")
        self._known(self.model)
        prefix = self._vendor.prefix
        builders = {
            each.key: doors.RequestBuilder(litellm, prefix, each.key or KEYLESS)
            for each in self._accesses.usable
        }
        options = doors.connection_options(litellm, self._settings)
        is_open = all(builder.why_closed(self.model) is None for builder in builders.values())
        return _Prepared(litellm, builders if is_open else {}, OutboundTransport(options))

    def _diagnose_model(self, model: str) -> Iterator[str]:
        entry = self._known(model)
        until = entry.retired
        if not entry.is_known:
            if not self._vendor.is_own:
                return  # no list has the models of somebody's endpoint
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
        builder = RequestBuilder(import_litellm(), self._vendor.prefix, KEYLESS)
        closed = builder.why_closed(self.model)
        if closed:
            yield f"litellm {installed} makes each call itself, which costs more time: {closed}"


def refused(error: Exception) -> ProviderError:
    return ProviderError(Cause.INVALID_REQUEST, f"litellm refused to send the request: {error}")
