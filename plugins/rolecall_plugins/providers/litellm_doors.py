"""The doors into litellm that its documentation does not promise, and the plain way beside each.

A release may close any of them. Where one is closed the plain way is gone, which costs more or
knows less, and `rolecall doctor` says so. tests/plugins/providers/test_litellm_doors.py tries each
with the release that is installed; CI does with the lowest and the newest that are supported.
"""

import ssl
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from attrs import frozen

from rolecall import Settings

from .configured.accesses import Access
from .connections import AiohttpConnections, ConnectionOptions, HttpxConnections
from .transport import ExchangeTransport

NEWEST_TESTED = "1.110.2"

# What a closed door raises, where litellm's own refusals are errors of its own.
CLOSED = (AttributeError, ImportError, KeyError, TypeError)

# What a program sets to have its own calls seen, judged or changed. `callbacks` and the names that
# follow are documented; those with an underscore are where litellm moves them.
LISTENERS = (
    *("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback"),
    *("_async_input_callback", "_async_success_callback", "_async_failure_callback"),
    *("pre_call_rules", "post_call_rules"),
)
CHANGES = ("api_base", "max_budget", "model_alias_map", "proxy_auth")
# litellm's Gemini module registers this one by itself, and with it nobody listens.
NOBODY = "cache"
OPENAI = "https://api.openai.com/v1"


def wants_the_call(litellm: Any) -> bool:
    """Check whether the program has set something that only litellm's own call honours.

    The door is where litellm keeps its listeners; the plain way is not to see one that has moved.
    """
    return any(
        listener != NOBODY for name in LISTENERS for listener in getattr(litellm, name, ())
    ) or any(getattr(litellm, name, None) for name in CHANGES)


@frozen
class BuiltRequest:
    """What litellm makes of a question: headers, and a body that is still to be encoded."""

    headers: Mapping[str, str]
    body: dict[str, Any]


class RequestBuilder:
    """Builds a vendor's requests as litellm does, without the call around it.

    The door is litellm's transformation, the functions that its call is made of. They cost a tenth
    of `litellm.acompletion`, which is the plain way.
    """

    def __init__(self, litellm: Any, prefix: str, key: str) -> None:
        self._litellm = litellm
        self._prefix = prefix
        self._key = key
        # Either costs as much as building the body, and is the same for most calls.
        self._parameters = lru_cache(maxsize=64)(self._find_parameters)
        self._headers = lru_cache(maxsize=64)(self._find_headers)

    def build(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        max_tokens: int,
        temperature: float | None = None,
        stream: bool = False,
    ) -> BuiltRequest:
        """Build a request; raise CLOSED, or what litellm raises where the vendor refuses it.

        messages: all plain text; only the first may be marked for a cache.
        """
        drop_params = self._litellm.drop_params
        parameters = self._parameters(model, max_tokens, temperature, drop_params)
        is_marked = not isinstance(messages[0]["content"], str)
        headers = dict(self._headers(model, is_marked))
        parts = {
            "model": model,
            "messages": [dict(message) for message in messages],
            "optional_params": dict(parameters),
            "litellm_params": {},
        }
        body: dict[str, Any]
        if self._prefix == "anthropic":
            body = self._config.transform_request(headers=headers, **parts)
            if stream:  # of Gemini's requests, the address says it
                body["stream"] = True
        else:
            from litellm.llms.vertex_ai.gemini.transformation import transform_request_body

            body = transform_request_body(
                custom_llm_provider=self._prefix, cached_content=None, **parts
            )
        return BuiltRequest(headers, body)

    def why_closed(self, model: str) -> str | None:
        """Return why requests cannot be built, or None where they can."""
        try:
            built = self.build(model, [{"role": "user", "content": "?"}], 1)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if self._key in built.headers.values() and isinstance(built.body, dict):
            return None
        return "what it builds has another form"

    @property
    def _config(self) -> Any:
        litellm = self._litellm
        if self._prefix == "anthropic":
            return litellm.AnthropicConfig()
        return litellm.GoogleAIStudioGeminiConfig()

    def _find_parameters(
        self, model: str, max_tokens: int, temperature: float | None, drop_params: bool
    ) -> Mapping[str, Any]:
        from litellm.utils import get_optional_params

        parameters: Mapping[str, Any] = get_optional_params(
            model=model,
            custom_llm_provider=self._prefix,
            max_tokens=max_tokens,
            temperature=temperature,
        )
        return parameters

    def _find_headers(self, model: str, is_marked: bool) -> Mapping[str, str]:
        mark = {"cache_control": {"type": "ephemeral"}} if is_marked else {}
        headers: Mapping[str, str] = self._config.validate_environment(
            headers={},
            model=model,
            messages=[{"role": "user", "content": [{"type": "text", "text": "?", **mark}]}],
            optional_params={},
            litellm_params={},
            api_key=self._key if self._prefix == "anthropic" else {"x-goog-api-key": self._key},
        )
        return headers


def client_of(transport: ExchangeTransport) -> Any:
    """Return what `litellm.acompletion` takes as its client, so that it sends through us.

    The door is the class and its parameter. There is no plain way: without it nobody would limit
    and read what litellm sends, so a call that needs it is refused.
    """
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    return AsyncHTTPHandler(transport=transport)


def rule_that_failed(litellm: Any, error: Exception) -> str:
    """Return what one of the program's `post_call_rules` said against an answer, if it was that.

    The door is where an error of a stream keeps the one that it stands for; the plain way is to
    take the answer as the vendor meant it.
    """
    failed = getattr(error, "original_exception", None) or error
    return str(failed) if isinstance(failed, litellm.APIResponseValidationError) else ""


def is_switched_on(litellm: Any, name: str, settings: Settings) -> bool:
    """Check a switch that is documented as an attribute and as a variable."""
    return bool(getattr(litellm, name, False)) or settings.variable(name.upper()).lower() == "true"


def ssl_setting() -> ssl.SSLContext | bool:
    """Return whom to trust as litellm documents it: SSL_CERT_FILE, SSL_VERIFY, `ssl_verify`.

    The door is the function that reads them; the plain way is what Python trusts by itself.
    """
    try:
        from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

        setting: ssl.SSLContext | str | bool = get_ssl_configuration()
    except CLOSED:
        return True
    if isinstance(setting, str):
        return ssl.create_default_context(cafile=setting)
    return setting


def client_of_any(
    litellm: Any, transport: ExchangeTransport, vendor: str, access: Access, model: str
) -> Any:
    """Return what `litellm.acompletion` takes as its client, whichever vendor it calls.

    It calls some vendors through OpenAI's client, and most through its own. The door is that either
    is asked for by its attributes, so that one object can be both; the plain way, for vendors that
    take neither, is that litellm connects by itself. Such calls cannot be recorded.
    """
    import httpx
    from openai import AsyncAzureOpenAI, AsyncOpenAI

    # OpenAI's client is httpx's from 3.0 on under another name, and takes either.
    http_client: Any = httpx.AsyncClient(transport=transport)
    if vendor in ("azure", "azure_text"):
        options = access.deployment.options
        return AsyncAzureOpenAI(
            api_key=access.key,
            azure_endpoint=_without_path(access.base),
            api_version=options.get("api_version") or litellm.AZURE_DEFAULT_API_VERSION,
            http_client=http_client,
            max_retries=0,
        )
    _, _, key, base = litellm.get_llm_provider(
        model=model,
        custom_llm_provider=vendor,
        api_base=access.base or None,
        api_key=access.key or None,
    )
    openai = AsyncOpenAI(
        api_key=key or access.key or "none",
        base_url=base or access.base or OPENAI,
        http_client=http_client,
        max_retries=0,
    )

    return _either_client()(transport, openai)


@cache
def _either_client() -> Any:
    """Return the class of a client that is litellm's, and OpenAI's where that is asked for."""
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    class EitherClient(AsyncHTTPHandler):  # type: ignore[misc]
        def __init__(self, transport: ExchangeTransport, openai: Any) -> None:
            super().__init__(transport=transport)
            self._openai = openai

        async def post(self, *args: Any, **more: Any) -> Any:
            # Both have one. Only OpenAI's says what its answer is cast to; from 1.110 on litellm
            # calls that instead of `chat.completions.create`.
            if "cast_to" in more:
                return await self._openai.post(*args, **more)
            return await super().post(*args, **more)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") or name == "_openai":
                raise AttributeError(name)
            return getattr(self._openai, name)

    return EitherClient


def _without_path(base: str) -> str:
    """Return an endpoint's address without what its client appends."""
    return base.rstrip("/").partition("/openai/")[0].removesuffix("/openai")


def connection_options(litellm: Any, settings: Settings) -> ConnectionOptions:
    """Return how connections are made where the program has told litellm how."""
    without_aiohttp = is_switched_on(litellm, "disable_aiohttp_transport", settings)
    without_proxies = is_switched_on(litellm, "disable_aiohttp_trust_env", settings)
    return ConnectionOptions(
        client=HttpxConnections if without_aiohttp else AiohttpConnections,
        user_agent=f"litellm/{version('litellm')}",
        ssl=ssl_setting(),
        proxies=not without_proxies,
        ipv4_only=litellm.force_ipv4,
    )
