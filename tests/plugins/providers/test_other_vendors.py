"""Vendors that settings alone make providers, against a server that speaks their formats."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from speaking import (
    Said,
    SpeakingServer,
    bedrock,
    chunks,
    completion,
    error,
    frame,
    is_signed,
    ollama,
    speaking,
    sse,
)

from rolecall import (
    Attachment,
    CallProgress,
    DeploymentSettings,
    Message,
    Provider,
    ProviderError,
    ProviderSettings,
    Request,
    Response,
    Settings,
    SettingsError,
    Stop,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    Verbatim,
)
from rolecall.testing import ProviderContract
from rolecall_plugins.vendors import rolecall_providers

KEY = "sesame-sesame"
USED = Usage(26, 9)
ENVIRONMENT = {
    "ONE_KEY": KEY,
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_REGION": "eu-central-1",
}
REQUEST = Request("You test.", (Message("user", "Hello"),), max_output_tokens=64)
LOOK = ToolSpec("look", "Look.", {"type": "object", "properties": {"at": {"type": "string"}}})


@pytest.fixture
def server() -> Iterator[SpeakingServer]:
    with speaking() as served:
        yield served


class Progress(CallProgress):
    def __init__(self) -> None:
        self.told: list[str] = []

    async def sending(self) -> None:
        self.told.append("sending")

    def text(self, delta: str) -> None:
        self.told.append(delta)


TABLES: dict[str, dict[str, Any]] = {
    "wire": {"wire": "openai", "model": "m", "api_base": "{}/v1"},
    "openai": {"litellm": "openai", "model": "gpt-5.2", "api_base": "{}/v1"},
    "azure": {"litellm": "azure", "model": "gpt-4o", "api_base": "{}"},
    "mistral": {"litellm": "mistral", "model": "mistral-large-latest", "api_base": "{}/v1"},
    "perplexity": {"litellm": "perplexity", "model": "sonar", "api_base": "{}"},
    "vllm": {"litellm": "hosted_vllm", "model": "m", "api_base": "{}/v1"},
    "ollama": {"litellm": "ollama_chat", "model": "m", "api_base": "{}"},
    "bedrock": {
        "litellm": "bedrock",
        "model": "anthropic.claude-3-5-sonnet-20240620-v1:0",
        "api_base": "{}",
    },
}
OPENAIS = ("wire", "openai", "azure", "mistral", "perplexity", "vllm")
PATHS = {
    "wire": "/v1/chat/completions",
    "openai": "/v1/chat/completions",
    "azure": "/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01",
    "mistral": "/v1/chat/completions",
    "perplexity": "/chat/completions",
    "vllm": "/v1/chat/completions",
}


def made(name: str, server: SpeakingServer, **more: Any) -> Any:
    table = {**TABLES[name], **more}
    table["api_base"] = table["api_base"].format(server.url)
    if name == "azure":
        table.setdefault("options", {"api_version": "2025-01-01"})
    if name not in ("bedrock", "ollama"):
        table.setdefault("keys", ("ONE_KEY",))
    own = ProviderSettings(**table)
    (provider,) = rolecall_providers(Settings(providers={name: own}, environment=ENVIRONMENT))
    return provider


def ask(provider: Provider, **more: Any) -> Response:
    async def run() -> Response:
        try:
            model = provider.model  # type: ignore[attr-defined]
            return await provider.complete(evolve(REQUEST, model=model, **more))
        finally:
            await provider.aclose()  # type: ignore[attr-defined]

    return asyncio.run(run())


def failure(provider: Provider, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(provider, **more)
    return caught.value


def answered(name: str, stream: bool, *pieces: str) -> Said:
    if name == "ollama":
        return ollama(*pieces, streamed=stream)
    if name == "bedrock":
        return bedrock(*pieces, streamed=stream)
    return chunks(*pieces) if stream else completion("".join(pieces))


class TestWire(ProviderContract):
    @pytest.fixture(autouse=True)
    def _serve(self, server: SpeakingServer) -> None:
        server.says = [chunks("Hello")]
        self.provider = made("wire", server)


class TestAnyVendor(ProviderContract):
    @pytest.fixture(autouse=True)
    def _serve(self, server: SpeakingServer) -> None:
        server.says = [chunks("Hello")]
        self.provider = made("mistral", server)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", TABLES)
def test_a_vendor_answers_and_its_answer_is_told_as_it_comes(
    server: SpeakingServer, name: str, stream: bool
) -> None:
    server.says = [answered(name, stream, "Hel", "lo")]
    progress = Progress()
    response = ask(made(name, server), stream=stream, progress=progress)
    assert (response.text, response.usage, response.stop) == ("Hello", USED, Stop.END)
    assert progress.told[0] == "sending"
    assert "".join(progress.told[1:]) == ("Hello" if stream else "")
    # Of Ollama, litellm also asks for what a model can do.
    assert len([heard for heard in server.heard if heard.path != "/api/show"]) == 1


@pytest.mark.parametrize("name", OPENAIS)
def test_a_key_is_sent_to_the_vendors_address(server: SpeakingServer, name: str) -> None:
    ask(made(name, server), stream=False)
    (heard,) = server.heard
    assert heard.path == PATHS[name]
    sent = heard.headers.get("authorization", f"Bearer {heard.headers.get('api-key')}")
    assert sent == f"Bearer {KEY}"


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_of_bedrock_is_signed(server: SpeakingServer, stream: bool) -> None:
    server.says = [bedrock("Hello", streamed=stream)]
    ask(made("bedrock", server), stream=stream)
    (heard,) = server.heard
    assert is_signed(heard, KEY)
    assert not is_signed(heard, "another")


def test_options_join_what_is_sent(server: SpeakingServer) -> None:
    ask(made("wire", server, options={"top_k": 4}), stream=False, temperature=0.5)
    body = server.heard[0].body
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You test."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 64,
        "stream": False,
        "temperature": 0.5,
        "top_k": 4,
    }


def test_litellm_takes_options_as_parameters(server: SpeakingServer) -> None:
    server.says = [ollama("Hello", streamed=False)]
    ask(made("ollama", server, options={"num_ctx": 8192}), stream=False)
    assert server.heard[0].body["options"] == {"num_predict": 64, "num_ctx": 8192}


CALL = {"name": "look", "arguments": '{"at": "it"}'}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ["wire", "openai", "mistral"])
def test_tools_are_offered_and_their_calls_are_read(
    server: SpeakingServer, name: str, stream: bool
) -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": CALL}
    first = {"index": 0, "id": "call_1", "function": {"name": "look", "arguments": '{"at": '}}
    pieces = [first, {"index": 0, "function": {"arguments": '"it"}'}}]
    server.says = [
        chunks(*({"tool_calls": [piece]} for piece in pieces), finish="tool_calls")
        if stream
        else completion(None, "tool_calls", tool_calls=[call])
    ]
    response = ask(made(name, server), stream=stream, tools=(LOOK,))
    assert (response.stop, response.tool_calls) == (
        Stop.TOOL_USE,
        (ToolCall("call_1", "look", {"at": "it"}),),
    )
    assert server.heard[0].body["tools"][0]["function"]["name"] == "look"


def test_ollamas_tool_calls_are_read_as_well(server: SpeakingServer) -> None:
    calls = [{"function": {"name": "look", "arguments": {"at": "it"}}}]
    server.says = [ollama("", streamed=False, tool_calls=calls)]
    (call,) = ask(made("ollama", server), tools=(LOOK,)).tool_calls
    assert (call.name, call.arguments) == ("look", {"at": "it"})


@pytest.mark.parametrize("name", ["wire", "openai"])
def test_a_conversation_goes_back_as_it_was(server: SpeakingServer, name: str) -> None:
    own = Verbatim(name, {"reasoning_content": "Look first."})
    foreign = Verbatim("other", {"secret": 1})
    parts = (own, foreign, ToolCall("call_1", "look", {"at": "it"}))
    picture = Attachment("image/png", b"\x89PNG", "it.png")
    results = (ToolResult("It is red.", call="call_1", name="look"), picture)
    messages = (
        Message("user", "Look"),
        Message("assistant", "I look.", parts),
        Message("user", "", results),
    )
    ask(made(name, server), messages=messages, stream=False, tools=(LOOK,))
    asked, turn, result, shown = server.heard[0].body["messages"][1:]
    assert asked == {"role": "user", "content": "Look"}
    assert (turn["content"], turn["reasoning_content"]) == ("I look.", "Look first.")
    assert json.loads(turn["tool_calls"][0]["function"]["arguments"]) == {"at": "it"}
    assert "secret" not in turn
    assert result == {"role": "tool", "tool_call_id": "call_1", "content": "It is red."}
    assert shown["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("name", OPENAIS)
@pytest.mark.parametrize(
    ("said", "stop"),
    [
        (completion("He", "length"), Stop.LENGTH),
        (completion("He", "content_filter"), Stop.SAFETY),
        (completion(None, refusal="I will not."), Stop.REFUSAL),
        (completion("", "stop"), Stop.END),
        (completion(None, "tool_calls"), Stop.BAD_TOOL_CALL),
    ],
)
def test_why_a_model_stopped_is_read(
    server: SpeakingServer, name: str, said: Said, stop: Stop
) -> None:
    server.says = [said]
    assert ask(made(name, server), stream=False).stop is stop


@pytest.mark.parametrize(
    ("name", "said", "stop"),
    [
        ("ollama", ollama("He", streamed=False, done="length"), Stop.LENGTH),
        ("bedrock", bedrock("He", streamed=False, stop="max_tokens"), Stop.LENGTH),
        ("bedrock", bedrock("", streamed=False, stop="guardrail_intervened"), Stop.SAFETY),
    ],
)
def test_why_a_model_stopped_is_read_where_litellm_alone_reads_the_reply(
    server: SpeakingServer, name: str, said: Said, stop: Stop
) -> None:
    server.says = [said]
    assert ask(made(name, server), stream=False).stop is stop


def refused(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize("name", ["wire", "openai", "azure", "mistral"])
@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (error(401, **refused("Incorrect API key provided")), "auth"),
        (error(404, **refused("no", code="model_not_found")), "unknown_model"),
        (error(429, **refused("slow down", code="rate_limit_exceeded")), "rate_limited"),
        (error(429, **refused("pay", code="insufficient_quota")), "quota_exhausted"),
        (error(400, **refused("long", code="context_length_exceeded")), "context_overflow"),
        (error(400, **refused("filtered", code="content_filter")), "safety"),
        (error(400, **refused("Unknown parameter: 'x'")), "invalid_request"),
        (error(500, **refused("oh")), "server_error"),
        (error(503, **refused("busy")), "overloaded"),
        (Said(b"<html>Bad gateway</html>", 503), "overloaded"),
        (Said(b"<html>", headers={"content-type": "text/html"}), "bad_payload"),
    ],
)
def test_an_error_of_openais_format_has_its_cause(
    server: SpeakingServer, name: str, said: Said, cause: str
) -> None:
    server.says = [said]
    found = failure(made(name, server), stream=False)
    assert found.cause == cause
    assert len(server.heard) == 1
    assert KEY not in str(found)


@pytest.mark.parametrize(
    ("name", "said", "cause"),
    [
        ("ollama", error(404, error="model 'm' not found"), "unknown_model"),
        ("ollama", error(503, error="server busy"), "overloaded"),
        ("ollama", Said(b"<html>"), "bad_payload"),
        (
            "bedrock",
            error(429, {"x-amzn-errortype": "ThrottlingException:"}, message="Too many requests"),
            "rate_limited",
        ),
        (
            "bedrock",
            error(
                403,
                {"x-amzn-errortype": "UnrecognizedClientException"},
                message="The security token included in the request is invalid.",
            ),
            "auth",
        ),
        (
            "bedrock",
            error(
                400, {"x-amzn-errortype": "ValidationException"}, message="Input is too long for m"
            ),
            "context_overflow",
        ),
        ("bedrock", Said(b"{cut"), "bad_payload"),
    ],
)
def test_an_error_that_litellm_alone_reads_has_its_cause(
    server: SpeakingServer, name: str, said: Said, cause: str
) -> None:
    server.says = [said]
    assert failure(made(name, server), stream=False).cause == cause
    assert len(server.heard) == 1


def test_an_exception_within_bedrocks_stream_has_its_cause(server: SpeakingServer) -> None:
    broken = frame("throttlingException", {"message": "Too many tokens"}, "exception")
    begun = frame("messageStart", {"role": "assistant"})
    server.says = [Said(begun + broken, headers=bedrock(streamed=True).headers)]
    assert failure(made("bedrock", server)).cause == "rate_limited"


@pytest.mark.parametrize("name", ["wire", "openai", "azure", "mistral", "ollama"])
def test_a_stream_that_breaks_off_is_no_answer(server: SpeakingServer, name: str) -> None:
    whole = answered(name, True, "Hel", "lo")
    server.says = [evolve(whole, body=whole.body[:150])]
    assert failure(made(name, server)).cause in ("connection", "bad_payload")


def test_an_error_within_a_stream_has_its_cause(server: SpeakingServer) -> None:
    server.says = [sse(json.dumps(refused("Provider returned error", code=429)))]
    assert failure(made("wire", server)).cause == "rate_limited"


def test_a_refusal_names_its_limit_and_how_long_to_wait(server: SpeakingServer) -> None:
    message = (
        "Rate limit reached for m in organization org-abcdefgh12 on tokens per min (TPM): "
        "Limit 30000, Used 29000, Requested 2000. Please try again in 6s."
    )
    server.says = [error(429, **refused(message, code="rate_limit_exceeded"))]
    found = failure(made("openai", server), stream=False)
    assert (found.limits, found.retry_after, found.retryable) == ({"tokens": 30000.0}, 6.1, True)
    assert "org-abcdefgh12" not in str(found)


def test_one_request_above_a_minutes_limit_is_not_asked_again(server: SpeakingServer) -> None:
    message = "Request too large on tokens per min (TPM): Limit 3000, Requested 4000."
    server.says = [error(429, **refused(message))]
    assert not failure(made("wire", server), stream=False).retryable


@pytest.mark.parametrize("name", TABLES)
def test_an_endpoint_that_is_not_there_is_a_connection_that_failed(name: str) -> None:
    with speaking() as served:
        provider = made(name, served)
        served.server_close()
        assert failure(provider).cause == "connection"


@pytest.mark.parametrize("wire", ["anthropic", "gemini"])
def test_an_endpoint_of_the_other_formats_is_called_as_their_vendors_are(
    server: SpeakingServer, wire: str
) -> None:
    own = ProviderSettings(wire=wire, model="m", api_base=server.url, keys=("ONE_KEY",))
    (provider,) = rolecall_providers(Settings(providers={"x": own}, environment=ENVIRONMENT))
    server.says = [error(429, error={"message": "slow", "type": "rate_limit_error"})]
    assert failure(provider, stream=False).cause == "rate_limited"
    assert server.heard[0].path in ("/v1/messages", "/v1beta/models/m:generateContent")
    assert KEY in server.heard[0].headers.values()


def test_prices_are_litellms_where_the_vendor_is_known() -> None:
    def cost(**table: Any) -> float | None:
        own = ProviderSettings(model="m", **table)
        (provider,) = rolecall_providers(Settings(providers={"x": own}))
        million = Usage(1_000_000, 0)
        return provider.cost("mistral-large-latest", million)  # type: ignore[attr-defined,no-any-return]

    assert cost(litellm="mistral") == cost(wire="openai", api_base="https://api.mistral.ai/v1")
    assert cost(litellm="mistral") is not None
    assert cost(litellm="openai") is None
    assert cost(wire="openai", api_base="http://localhost:8000/v1") is None
    assert cost(litellm="ollama") == 0.0


def refusal(**table: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        rolecall_providers(Settings(providers={"x": ProviderSettings(**table)}))
    return str(caught.value).removeprefix("the settings: tool.rolecall.providers.x")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"wire": "opanai"}, ".wire: 'opanai' is none of anthropic, gemini, openai"),
        (
            {"litellm": "opanai"},
            ".litellm: litellm knows no vendor 'opanai'; did you mean 'openai'?",
        ),
        (
            {"litellm": "nobody-at-all"},
            ".litellm: litellm knows no vendor 'nobody-at-all'; "
            "rolecall providers --known lists them",
        ),
        (
            {"litellm": "openai", "wire": "openai"},
            ": has both litellm and wire; keep wire for an endpoint that speaks one of "
            "anthropic, gemini, openai, and litellm for everything else",
        ),
        (
            {"litellm": "openai", "options": {"api_key": "x"}},
            ".options.api_key: is no option; set keys in the provider's table",
        ),
        (
            {"litellm": "openai", "options": {"stream": False}},
            ".options.stream: is no option; rolecall sets it itself",
        ),
        (
            {"litellm": "bedrock", "options": {"aws_secret_access_key": "x"}},
            ".options.aws_secret_access_key: a secret does not belong into this file; put it "
            "into .env, and the variable's name into keys",
        ),
    ],
)
def test_a_table_that_cannot_be_meant_so_is_named(table: dict[str, Any], message: str) -> None:
    assert refusal(**table) == message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"litellm": "mistral", "model": "m"}, "MISTRAL_API_KEY is not set"),
        ({"litellm": "mistral", "model": "m", "keys": ("A",)}, "A is not set"),
        (
            {"litellm": "groq"},
            "tool.rolecall.providers.x.model is not set: which one is asked?",
        ),
        (
            {"wire": "openai", "model": "m"},
            "tool.rolecall.providers.x.api_base is not set: which endpoint is it?",
        ),
        (
            {"wire": "openai", "model": "m", "api_base": "localhost:8000"},
            "tool.rolecall.providers.x.api_base is no address: it must begin with https:// or "
            "http://",
        ),
        (
            {"wire": "openai", "model": "m", "keys": ("K",), "api_base": "http://me:pw@host/v1"},
            "tool.rolecall.providers.x.api_base holds a password beside K: only one can be sent",
        ),
    ],
)
def test_what_a_vendor_misses_is_said_without_a_call(table: dict[str, Any], message: str) -> None:
    own = ProviderSettings(**table)
    (provider,) = rolecall_providers(Settings(providers={"x": own}, environment={"K": KEY}))
    assert provider.missing() == message  # type: ignore[attr-defined]


def test_a_misspelt_model_is_found_without_a_call() -> None:
    own = ProviderSettings(litellm="mistral", model="mistral-large-lates", keys=("ONE_KEY",))
    (provider,) = rolecall_providers(Settings(providers={"x": own}, environment=ENVIRONMENT))
    (line,) = provider.diagnose([provider.model])  # type: ignore[attr-defined]
    assert "did you mean 'mistral-large-latest'?" in line


def test_the_variable_of_a_providers_address_wins_over_its_table(server: SpeakingServer) -> None:
    own = ProviderSettings(wire="openai", model="m", api_base="http://nowhere.invalid/v1")
    environment = {"MY_X_API_BASE": f"{server.url}/v1"}
    (provider,) = rolecall_providers(Settings(providers={"my-x": own}, environment=environment))
    assert ask(provider, stream=False).text == "Hello"


def test_limits_in_headers_are_handed_on(server: SpeakingServer) -> None:
    told = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}
    server.says = [evolve(completion(), headers={**completion().headers, **told})]
    assert ask(made("mistral", server), stream=False).headers == told


@pytest.mark.parametrize("name", ["claude", "gemini"])
def test_each_key_of_claude_and_gemini_is_sent_where_its_deployment_is_asked(
    server: SpeakingServer, name: str
) -> None:
    from importlib import import_module

    own = ProviderSettings(keys=("ONE_KEY", "TWO_KEY"), api_base=server.url)
    environment = {"ONE_KEY": "first-first", "TWO_KEY": "second-second"}
    plugin = import_module(f"rolecall_plugins.{name}")
    settings = Settings(providers={name: own}, environment=environment)
    (provider,) = plugin.rolecall_providers(settings)
    deployments = [each.name for each in provider.deployments]
    assert deployments == ["ONE_KEY", "TWO_KEY"]
    server.says = [error(429, **refused("slow down"))]
    for deployment in deployments:
        failure(provider, stream=False, deployment=deployment)
    sent = [
        heard.headers.get("x-api-key") or heard.headers.get("x-goog-api-key")
        for heard in server.heard
    ]
    assert sent == ["first-first", "second-second"]


def test_a_deployment_that_lacks_its_key_is_left_out() -> None:
    own = ProviderSettings(litellm="mistral", model="mistral-large-latest", keys=("A", "B"))
    (provider,) = rolecall_providers(Settings(providers={"x": own}, environment={"B": KEY}))
    assert provider.missing() is None  # type: ignore[attr-defined]
    assert [each.name for each in provider.deployments] == ["B"]  # type: ignore[attr-defined]
    assert "A is not set" in list(provider.diagnose(()))  # type: ignore[attr-defined]


def test_a_key_under_two_names_is_used_once() -> None:
    own = ProviderSettings(litellm="mistral", model="mistral-large-latest", keys=("A", "B"))
    environment = {"A": KEY, "B": KEY}
    (provider,) = rolecall_providers(Settings(providers={"x": own}, environment=environment))
    assert [each.name for each in provider.deployments] == ["A"]  # type: ignore[attr-defined]
    assert "B holds the same key as A; it is used once" in list(provider.diagnose(()))  # type: ignore[attr-defined]


def test_each_deployment_is_asked_at_its_own_address_for_its_own_model() -> None:
    with speaking() as eu, speaking() as us:
        deployments = {
            "eu": DeploymentSettings(api_base=f"{eu.url}/v1"),
            "us": DeploymentSettings(api_base=f"{us.url}/v1", model="m-us", options={"top_k": 1}),
        }
        own = ProviderSettings(wire="openai", model="m", deployments=deployments)
        (provider,) = rolecall_providers(Settings(providers={"x": own}))
        for name in deployments:
            ask(provider, stream=False, deployment=name)
        assert [heard.body["model"] for heard in (*eu.heard, *us.heard)] == ["m", "m-us"]
        assert us.heard[0].body["top_k"] == 1


@pytest.mark.parametrize("name", ["claude", "gemini"])
def test_the_name_of_a_vendor_that_is_there_is_free_only_without_it(name: str) -> None:
    own = ProviderSettings(wire="openai", model="m", api_base="http://localhost/v1")
    with pytest.raises(SettingsError, match="take another name"):
        rolecall_providers(Settings(providers={name: own}))
    (provider,) = rolecall_providers(Settings(providers={name: own}, block=(name,)))
    assert provider.name == name


def test_mistral_gets_ids_of_calls_as_it_takes_them(server: SpeakingServer) -> None:
    parts = (ToolCall("toolu_01abcdefghij", "look", {}), ToolCall("aB3dE6gH9", "look", {}))
    results = (
        ToolResult("One.", call="toolu_01abcdefghij", name="look"),
        ToolResult("Two.", call="aB3dE6gH9", name="look"),
    )
    messages = (
        Message("user", "Look"),
        Message("assistant", "", parts),
        Message("user", "", results),
    )
    ask(made("mistral", server), messages=messages, stream=False, tools=(LOOK,))
    _, _, turn, first, second = server.heard[0].body["messages"]
    ids = [call["id"] for call in turn["tool_calls"]]
    assert ids == [first["tool_call_id"], second["tool_call_id"]]
    assert ids[1] == "aB3dE6gH9"
    assert len(ids[0]) == 9
    assert ids[0].isalnum()


def test_an_address_that_lacks_its_version_is_hinted_at(server: SpeakingServer) -> None:
    server.says = [error(404, detail="Not Found")]
    assert "end with /v1" in str(failure(made("wire", server, api_base="{}"), stream=False))
    assert "/v1" not in str(failure(made("wire", server), stream=False))


@pytest.mark.parametrize(
    ("wire", "options", "expected"),
    [
        ("anthropic", {"top_k": 3}, ("top_k", 3)),
        (
            "gemini",
            {"generationConfig": {"topK": 3}},
            ("generationConfig", {"max_output_tokens": 64, "topK": 3}),
        ),
    ],
)
def test_options_join_what_the_other_formats_send(
    server: SpeakingServer, wire: str, options: dict[str, Any], expected: tuple[str, Any]
) -> None:
    own = ProviderSettings(wire=wire, model="m", api_base=server.url, options=options)
    (provider,) = rolecall_providers(Settings(providers={"x": own}))
    server.says = [error(429, **refused("slow"))]
    failure(provider, stream=False)
    name, value = expected
    assert server.heard[0].body[name] == value
