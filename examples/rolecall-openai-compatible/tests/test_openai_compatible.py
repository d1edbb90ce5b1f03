"""The provider against a server that speaks chat completions; run with `pytest`."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, events, serve, whole

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
from rolecall_openai_compatible import OpenAICompatible


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
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


def provider(base: str, **environment: str) -> OpenAICompatible:
    own = ProviderSettings(model="qwen3", api_base=base)
    return OpenAICompatible(Settings(providers={"openai-compatible": own}, environment=environment))


def ask(asked: OpenAICompatible, **more: Any) -> Response:
    messages = (Message("user", "Hello"),)
    request = Request("You test.", messages, model=asked.model, max_output_tokens=64, **more)
    return asyncio.run(asked.complete(request))


def failure(endpoint: FakeEndpoint, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(provider(endpoint.url), **more)
    return caught.value


class TestOpenAICompatible(ProviderContract):
    @pytest.fixture(autouse=True)
    def _serve(self, endpoint: FakeEndpoint) -> None:
        self.provider = provider(endpoint.url)


def test_a_streamed_answer_is_told_as_it_comes(endpoint: FakeEndpoint) -> None:
    heard = Heard()
    response = ask(provider(endpoint.url), progress=heard)
    assert response == Response("Hello", Usage(26, 9))
    assert heard.told == ["sending", "Hel", "lo"]


def test_tools_are_refused_before_anything_is_sent(endpoint: FakeEndpoint) -> None:
    heard = Heard()
    look = ToolSpec("look", "Look.", {"type": "object"})
    with pytest.raises(ProviderError, match="no tools") as caught:
        ask(provider(endpoint.url), tools=(look,), progress=heard)
    assert (caught.value.cause, heard.told) == ("invalid_request", [])


def test_an_answer_may_come_whole(endpoint: FakeEndpoint) -> None:
    assert ask(provider(endpoint.url), stream=False) == Response("Hello", Usage(26, 9))


def test_an_endpoint_that_does_not_stream_is_understood(endpoint: FakeEndpoint) -> None:
    endpoint.body = whole("Hello")
    assert ask(provider(endpoint.url)).text == "Hello"


def test_the_model_is_asked_what_the_request_says(endpoint: FakeEndpoint) -> None:
    ask(provider(endpoint.url), temperature=0.5, stream=False)
    assert endpoint.asked == [
        (
            {
                "model": "qwen3",
                "messages": [
                    {"role": "system", "content": "You test."},
                    {"role": "user", "content": "Hello"},
                ],
                "max_tokens": 64,
                "stream": False,
                "temperature": 0.5,
            },
            None,
        )
    ]


def test_a_key_is_sent_where_there_is_one(endpoint: FakeEndpoint) -> None:
    ask(provider(f"{endpoint.url}/", OPENAI_COMPATIBLE_API_KEY="secret"))
    assert endpoint.asked[0][1] == "Bearer secret"


def test_without_an_endpoint_it_says_what_is_missing() -> None:
    table = "[tool.rolecall.providers.openai-compatible]"
    assert provider("").missing() == f"api_base is not set in {table}"
    assert provider("http://127.0.0.1/v1").missing() is None


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("finish", "stop"),
    [
        ("stop", Stop.END),
        ("length", Stop.LENGTH),
        ("content_filter", Stop.SAFETY),
        ("tool_calls", Stop.BAD_TOOL_CALL),
    ],
)
def test_why_it_stopped_is_told(
    endpoint: FakeEndpoint, stream: bool, finish: str, stop: Stop
) -> None:
    endpoint.body = events("Hel", finish=finish) if stream else whole("Hel", finish)
    assert ask(provider(endpoint.url), stream=stream).stop is stop


def test_characters_that_end_lines_elsewhere_are_text(endpoint: FakeEndpoint) -> None:
    endpoint.body = events("one\u2028two\x85three")
    assert ask(provider(endpoint.url)).text == "one\u2028two\x85three"


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (307, "invalid_request"),
        (400, "invalid_request"),
        (401, "auth"),
        (402, "quota_exhausted"),
        (403, "forbidden"),
        (404, "unknown_model"),
        (408, "timeout"),
        (413, "context_overflow"),
        (429, "rate_limited"),
        (500, "server_error"),
        (503, "overloaded"),
        (504, "timeout"),
        (529, "overloaded"),
    ],
)
def test_a_status_is_a_cause(endpoint: FakeEndpoint, status: int, cause: str) -> None:
    endpoint.status, endpoint.body = status, b'{"error": {"message": "as told"}}'
    error = failure(endpoint)
    assert (error.cause, error.status) == (cause, status)
    assert "as told" in str(error)


@pytest.mark.parametrize(
    ("status", "words", "cause"),
    [
        (400, "This model's maximum context length is 4096 tokens", "context_overflow"),
        (429, "insufficient_quota", "quota_exhausted"),
    ],
)
def test_words_tell_more_than_a_status(
    endpoint: FakeEndpoint, status: int, words: str, cause: str
) -> None:
    endpoint.status, endpoint.body = status, words.encode()
    assert failure(endpoint).cause == cause


@pytest.mark.parametrize(("told", "seconds"), [("7", 7.0), ("soon", None)])
def test_the_seconds_to_wait_are_told(
    endpoint: FakeEndpoint, told: str, seconds: float | None
) -> None:
    endpoint.status, endpoint.headers = 429, {"Retry-After": told}
    assert failure(endpoint).retry_after == seconds


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b'{"error": {"code": 429, "message": "slow down"}}', "rate_limited"),
        (b'data: {"error": {"code": "broken", "message": "oh"}}\n\n', "server_error"),
        (b'data: {"error": "oh"}\n\n', "server_error"),
        (b"<html>", "bad_payload"),
        (b"[]", "bad_payload"),
        (b"data: {cut\n\n", "bad_payload"),
        (b'{"choices": [3]}', "bad_payload"),
        (b'{"choices": []}', "connection"),
        (events("Hel")[:60], "connection"),
    ],
)
def test_what_is_no_answer_is_an_error_all_the_same(
    endpoint: FakeEndpoint, body: bytes, cause: str
) -> None:
    endpoint.body = body
    assert failure(endpoint).cause == cause


def test_an_endpoint_that_is_not_there_is_named() -> None:
    with pytest.raises(ProviderError, match=r"http://127\.0\.0\.1:9/v1/chat") as caught:
        ask(provider("http://127.0.0.1:9/v1"))
    assert caught.value.cause == "connection"


def test_an_endpoint_that_is_silent_is_not_waited_for(endpoint: FakeEndpoint) -> None:
    endpoint.may_answer.clear()
    assert failure(endpoint, first_byte_timeout=0.05).cause == "timeout"
