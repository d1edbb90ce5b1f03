"""Calls vendors through litellm; the only file that imports it, and only once it is needed.

The import takes seconds: `prepare` does it in a thread while a run starts. asyncio is imported
where a call is made, for `rolecall agents` makes a provider as well.
"""

import gc
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from attrs import evolve

from rolecall import Cause, ProviderError, Request, Response, Settings, Usage

from .addresses import is_loopback, wrong_endpoint, wrong_proxy
from .model_prices import Model, known
from .vendors import Vendor

if TYPE_CHECKING:
    import asyncio

    from .transport import Exchange

# Without these litellm fetches price maps over the network and loads the folder's .env itself.
_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
}
CHARACTERS_PER_TOKEN = 4
_importing = threading.Lock()


class LiteLLMProvider:
    """A provider that is one vendor of litellm."""

    def __init__(self, vendor: Vendor, settings: Settings) -> None:
        own = settings.provider(vendor.name)
        self._vendor = vendor
        self._key = settings.variable(*vendor.keys)
        self._base = settings.variable(*vendor.bases) or own.api_base
        self._wrong_address = _wrong_address(vendor, settings, self._base)
        self._litellm: Any = None
        self._handlers: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        self.name = vendor.name
        self.model = own.model or vendor.model

    def missing(self) -> str | None:
        if self._key:
            return self._wrong_address
        return f"{' or '.join(self._vendor.keys)} is not set"

    def diagnose(self, models: Iterable[str]) -> Iterable[str]:
        vendor = self._vendor
        keys = " or ".join(vendor.keys)
        if not self._key:
            yield f"{keys} is not set; make a key at {vendor.console} and put it in .env"
        elif not self._base and not re.fullmatch(vendor.form, self._key):
            yield f"{keys} has not the form of a key; copy it again from {vendor.console}"
        if self._wrong_address:
            yield self._wrong_address
        for model in models:
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

    def max_output_tokens(self, model: str) -> int | None:
        return self._known(model).max_output_tokens

    def cost(self, model: str, usage: Usage) -> float | None:
        """Price a call by litellm's bundled map."""
        return self._known(model).price(usage)

    def _known(self, model: str) -> Model:
        return known(self._vendor.prefix, model)

    def prepare(self) -> None:
        self._litellm = _litellm()

    async def complete(self, request: Request) -> Response:
        if self._litellm is None:
            from asyncio import to_thread

            await to_thread(self.prepare)
        litellm = self._litellm
        from .transport import Exchange, current

        # Reading the reply a second time, and telling nobody, is most of what litellm costs.
        watched = bool(litellm.logging_callback_manager.get_all_callbacks())
        exchange = Exchange(request, self._vendor.reply, self._vendor.amend, watched)
        token = current.set(exchange)
        try:
            await self._send(litellm, request, exchange)
            response = await exchange.response()
        finally:
            current.reset(token)
            await exchange.aclose()
        usage = response.usage
        return evolve(response, cost=None if usage is None else self.cost(request.model, usage))

    async def aclose(self) -> None:
        from asyncio import get_running_loop

        handler = self._handlers.pop(get_running_loop(), None)
        if handler is not None:
            await handler.close()

    async def _send(self, litellm: Any, request: Request, exchange: "Exchange") -> None:
        from .transport import Left

        chosen = {} if request.temperature is None else {"temperature": request.temperature}
        try:
            answer = await litellm.acompletion(
                model=request.model,
                custom_llm_provider=self._vendor.prefix,
                messages=[
                    {"role": "system", "content": self._system(request)},
                    *({"role": each.role, "content": each.text} for each in request.messages),
                ],
                max_tokens=request.max_output_tokens,
                stream=request.stream,
                timeout=request.timeout,
                api_key=self._key,
                api_base=self._vendor.endpoint(self._base) if self._base else None,
                client=self._handler(),
                num_retries=0,
                max_retries=0,
                **chosen,
            )
            if request.stream:
                async for _ in answer:
                    pass
        except Left:
            pass
        except Exception as error:
            # Once it is to be sent, the exchange knows better than litellm what came of it.
            if not exchange.begun:
                raise ProviderError(
                    Cause.INVALID_REQUEST, f"litellm refused to send the request: {error}"
                ) from error

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

    def _handler(self) -> Any:
        """Return this event loop's HTTP client; connections cannot be shared between loops."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        if loop not in self._handlers:
            from litellm.llms.custom_httpx.http_handler import (
                AsyncHTTPHandler,
                get_ssl_configuration,
            )

            from .transport import Departure, ExchangeTransport

            ssl = get_ssl_configuration()
            inner = AsyncHTTPHandler.create_async_transport(
                ssl_context=None if isinstance(ssl, bool) else ssl,
                ssl_verify=ssl if isinstance(ssl, bool) else None,
            )
            host = urlsplit(self._base).hostname or ""
            if is_loopback(host):
                inner.proxy_cache[host] = None  # no proxy stands between this machine and itself
            self._handlers[loop] = AsyncHTTPHandler(transport=ExchangeTransport(Departure(inner)))
        return self._handlers[loop]


def _wrong_address(vendor: Vendor, settings: Settings, base: str) -> str | None:
    """Describe what keeps the vendor's endpoint, or its proxy, from being reached."""
    key = f"tool.rolecall.providers.{vendor.name}.api_base"
    setting = next((name for name in vendor.bases if settings.variable(name)), key)
    return (wrong_endpoint(base, setting) if base else None) or wrong_proxy(settings, base)


def _litellm() -> Any:
    with _importing, _uncollected():
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import litellm
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


@contextmanager
def _uncollected() -> Iterator[None]:
    """Spare the garbage collector what an import of litellm makes, now and ever after.

    It is half a million objects that stay: collecting costs a quarter of the import, and later each
    full collection would stop every event loop of the process for a quarter of a second.
    """
    if "litellm" in sys.modules or not gc.isenabled():
        yield  # somebody else has chosen when to collect what
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
