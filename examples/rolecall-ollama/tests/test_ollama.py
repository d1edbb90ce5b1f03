"""The provider against a server that speaks as Ollama does; run with `pytest`."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fake_ollama import FakeOllama, lines, serve

from rolecall import (
    CallProgress,
    Message,
    ProviderError,
    ProviderSettings,
    Request,
    Response,
    Settings,
    Stop,
    ToolSpec,
    Usage,
)
from rolecall.testing import ProviderContract
from rolecall_ollama import Ollama


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with serve() as server:
        yield server


class Heard(CallProgress):
    """Keeps what a provider tells while a call is under way."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def sending(self) -> None:
        self.told.append("sending")

    def text(self, delta: str) -> None:
        self.told.append(delta)


def provider(server: FakeOllama) -> Ollama:
    return Ollama(Settings(environment={"OLLAMA_API_BASE": server.url}))


def ask(asked: Ollama, **more: Any) -> Response:
    messages = (Message("user", "Hello"),)
    request = Request("You test.", messages, model=asked.model, max_output_tokens=64, **more)
    return asyncio.run(asked.complete(request))


class TestOllama(ProviderContract):
    @pytest.fixture(autouse=True)
    def _serve(self, ollama: FakeOllama) -> None:
        self.provider = provider(ollama)


def test_a_streamed_answer_is_told_as_it_comes(ollama: FakeOllama) -> None:
    heard = Heard()
    response = ask(provider(ollama), progress=heard)
    assert (response.text, response.usage) == ("Hello", Usage(26, 9))
    assert (response.stop, response.cost) == (Stop.END, 0.0)
    assert heard.told == ["sending", "Hel", "lo"]


def test_tools_are_refused_before_anything_is_sent(ollama: FakeOllama) -> None:
    heard = Heard()
    look = ToolSpec("look", "Look.", {"type": "object"})
    with pytest.raises(ProviderError, match="no tools") as caught:
        ask(provider(ollama), tools=(look,), progress=heard)
    assert (caught.value.cause, heard.told) == ("invalid_request", [])


def test_an_answer_may_come_whole(ollama: FakeOllama) -> None:
    response = ask(provider(ollama), stream=False)
    assert (response.text, response.usage) == ("Hello", Usage(26, 9))


def test_the_model_is_asked_what_the_request_says(ollama: FakeOllama) -> None:
    ask(provider(ollama))
    (body,) = ollama.asked
    assert body["model"] == "llama3.2"
    assert body["options"] == {"num_predict": 64, "num_ctx": 32_768}
    assert [(each["role"], each["content"]) for each in body["messages"]] == [
        ("system", "You test."),
        ("user", "Hello"),
    ]


def test_the_settings_may_name_model_endpoint_and_context(ollama: FakeOllama) -> None:
    own = ProviderSettings(model="qwen3", api_base=f"{ollama.url}/", options={"num_ctx": 8192})
    ask(Ollama(Settings(providers={"ollama": own})))
    assert ollama.asked[0]["model"] == "qwen3"
    assert ollama.asked[0]["options"]["num_ctx"] == 8192


def test_a_cut_answer_says_so(ollama: FakeOllama) -> None:
    ollama.lines = lines("Hel", done_reason="length")
    assert ask(provider(ollama)).stop is Stop.LENGTH


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "cause", "advice"),
    [
        (404, "unknown_model", "ollama pull llama3.2"),
        (500, "server_error", "as told"),
        (503, "overloaded", "queue"),
    ],
)
def test_an_error_is_known_by_its_status(
    ollama: FakeOllama, stream: bool, status: int, cause: str, advice: str
) -> None:
    ollama.status = status
    with pytest.raises(ProviderError, match=advice) as caught:
        ask(provider(ollama), stream=stream)
    assert caught.value.cause == cause


def test_an_error_in_the_stream_is_told(ollama: FakeOllama) -> None:
    ollama.lines = [lines("Hel")[0], {"error": "out of memory"}]
    with pytest.raises(ProviderError, match="out of memory") as caught:
        ask(provider(ollama))
    assert caught.value.cause == "server_error"


def test_an_answer_that_breaks_off_is_no_answer(ollama: FakeOllama) -> None:
    ollama.lines, ollama.breaks_off = lines("Hel")[:1], True
    with pytest.raises(ProviderError, match="broke off") as caught:
        ask(provider(ollama))
    assert caught.value.cause == "connection"


def test_a_server_that_is_not_there_is_named() -> None:
    settings = Settings(environment={"OLLAMA_API_BASE": "http://127.0.0.1:9"})
    with pytest.raises(ProviderError, match=r"127.0.0.1:9; is `ollama serve` running") as caught:
        ask(Ollama(settings))
    assert caught.value.cause == "connection"


def test_a_server_that_is_silent_is_not_waited_for(ollama: FakeOllama) -> None:
    ollama.may_answer.clear()
    with pytest.raises(ProviderError, match="no sign of life") as caught:
        ask(provider(ollama), first_byte_timeout=0.05)
    assert caught.value.cause == "timeout"


def test_calls_cost_nothing(ollama: FakeOllama) -> None:
    assert provider(ollama).cost("llama3.2", Usage(1000, 1000)) == 0.0
