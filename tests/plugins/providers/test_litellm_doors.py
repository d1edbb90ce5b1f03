"""The doors into litellm that its documentation does not promise are open in what is installed.

CI runs this with the lowest and the newest release that are supported. A test that fails here says
which door has closed, and that the plain way is gone from then on.
"""

import asyncio
import json
from itertools import product
from typing import Any

import pytest
from attrs import evolve
from raw_server import answering, whole
from vendors import PLUGINS, REQUEST, provider

from rolecall import Message, ProviderError, Settings
from rolecall_plugins.providers import litellm_doors
from rolecall_plugins.providers.google import GEMINI
from rolecall_plugins.providers.litellm_doors import RequestBuilder, wants_the_call
from rolecall_plugins.providers.litellm_import import import_litellm

MODELS = {
    "claude": ("claude-sonnet-5-5", "claude-haiku-4-5", "claude-of-tomorrow"),
    "gemini": ("gemini-3.8-flash", "gemini-2.5-pro", "gemini-of-tomorrow"),
}
TURNS = (Message("user", "One"), Message("assistant", "Two, said the model "), Message("user", "3"))
REQUESTS: dict[str, dict[str, Any]] = {
    "streamed": {},
    "plain": {"stream": False},
    "a conversation": {"messages": TURNS},
    "an answer to go on with": {"messages": TURNS[:2]},
    "a prompt to keep": {"system": "word " * 5000, "shares_system": True},
    "no prompt": {"system": ""},
    "a temperature": {"temperature": 0.3},
    "a long answer": {"max_output_tokens": 64_000},
}
REFUSED = whole(b"{}", "500 Oh", "content-type: application/json")


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return litellm as a program has it that has set nothing."""
    imported = import_litellm()
    for name in litellm_doors.LISTENERS:
        monkeypatch.setattr(imported, name, [])
    return imported


def sent(name: str, plain_way: bool, **asked: Any) -> Any:
    """Return what reaches the vendor, or how litellm refuses to send it."""
    with answering(REFUSED) as server:
        bases = {"ANTHROPIC_API_BASE": server.url, "GEMINI_API_BASE": server.url}
        made: Any = provider(name, **bases)
        made.prepare()
        if plain_way:
            made._prepared.value = evolve(made._prepared.get(), builders={})

        async def ask() -> ProviderError:
            try:
                with pytest.raises(ProviderError) as caught:
                    await made.complete(evolve(REQUEST, **asked))
                return caught.value
            finally:
                await made.aclose()

        error = asyncio.run(ask())
    if not server.requests:
        return str(error)
    ((head, body),) = server.requests
    line, *headers = head.strip().split("\r\n")
    pairs = (header.lower().split(": ", 1) for header in headers)
    own = ("host", "content-length", "connection", "accept")
    return line, {name: value for name, value in pairs if name not in own}, json.loads(body)


@pytest.mark.parametrize(
    ("name", "model", "request_name"),
    [(name, *each) for name in MODELS for each in product(MODELS[name], REQUESTS)],
)
def test_a_request_that_is_built_is_the_one_that_litellm_sends(
    name: str, model: str, request_name: str, litellm: Any
) -> None:
    asked = {"model": model, **REQUESTS[request_name]}
    built, plain = sent(name, False, **asked), sent(name, True, **asked)
    assert built == plain
    assert isinstance(built, tuple) or "temperature" in built


@pytest.mark.parametrize("name", PLUGINS)
def test_requests_can_be_built(name: str) -> None:
    made: Any = provider(name)
    made.prepare()
    assert made._prepared.get().builders


def test_an_address_of_gemini_is_litellms(litellm: Any) -> None:
    from litellm.llms.vertex_ai.common_utils import get_gemini_url

    models = [
        name.removeprefix("gemini/")
        for name in litellm.model_cost
        if name.startswith("gemini/gemini")
    ]
    models += ["gemma-3-27b-it", "gemini-flash-latest", "gemini-pro-latest", "gemini-10-flash"]
    for model, stream in product(models, [False, True]):
        assert GEMINI.address("", model, stream) == get_gemini_url("chat", model, stream)[0]


def test_nobody_listens_where_litellms_gemini_module_registers_its_cache(litellm: Any) -> None:
    for name in PLUGINS:
        provider(name).prepare()  # type: ignore[attr-defined]
    for name in ("input_callback", "success_callback", "_async_success_callback"):
        getattr(litellm, name).append("cache")
    assert not wants_the_call(litellm)


@pytest.mark.parametrize("name", litellm_doors.LISTENERS)
def test_whoever_listens_or_rules_gets_litellms_own_call(name: str, litellm: Any) -> None:
    assert hasattr(litellm, name)
    getattr(litellm, name).append(lambda *_: None)
    assert wants_the_call(litellm)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_base", "http://127.0.0.1:9"),
        ("max_budget", 1.0),
        ("model_alias_map", {"a": "b"}),
        ("proxy_auth", object()),
    ],
)
def test_whoever_changes_all_calls_gets_litellms_own(
    name: str, value: Any, litellm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not wants_the_call(litellm)
    assert hasattr(litellm, name)
    monkeypatch.setattr(litellm, name, value)
    assert wants_the_call(litellm)


def test_a_closed_door_says_why(monkeypatch: pytest.MonkeyPatch, litellm: Any) -> None:
    builder = RequestBuilder(litellm, "anthropic", "a-key")
    assert builder.why_closed("claude-sonnet-5-5") is None
    monkeypatch.setattr(litellm, "AnthropicConfig", None)
    closed = RequestBuilder(litellm, "anthropic", "a-key").why_closed("claude-sonnet-5-5")
    assert closed is not None
    assert "Error" in closed


def test_whom_to_trust_is_as_litellm_documents_it(
    monkeypatch: pytest.MonkeyPatch, litellm: Any
) -> None:
    import ssl

    assert isinstance(litellm_doors.ssl_setting(), ssl.SSLContext)
    monkeypatch.setattr(litellm, "ssl_verify", False)
    assert litellm_doors.ssl_setting() is False


@pytest.mark.parametrize("name", ["disable_aiohttp_transport", "disable_aiohttp_trust_env"])
def test_a_switch_is_an_attribute_or_a_variable(
    name: str, litellm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_on(value: str = "") -> bool:
        settings = Settings(environment={name.upper(): value})
        return litellm_doors.is_switched_on(litellm, name, settings)

    assert hasattr(litellm, name)
    assert [is_on(value) for value in ("", "False", "True", "true")] == [False, False, True, True]
    monkeypatch.setattr(litellm, name, True)
    assert is_on()
