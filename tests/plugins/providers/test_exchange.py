"""One exchange of a provider: what it waits for and for how long; opens ports on the loopback."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from attrs import evolve
from raw_server import Answer, answering, chunk, streamed, whole
from vendors import REQUEST, provider

from rolecall import LLM, CallProgress, Cause, ProviderError, Response, Settings

START: dict[str, Any] = {
    "type": "message_start",
    "message": {"model": "m", "content": [], "usage": {"input_tokens": 3}},
}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Said"}}
STOP = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 2},
}
END = {"type": "message_stop"}
PING = {"type": "ping"}


def events(*said: dict[str, Any]) -> bytes:
    return b"".join(
        chunk(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode()) for each in said
    )


def ask(answer: bytes | Answer, **more: Any) -> Response:
    """Ask Claude, whose service answers like this."""
    with answering(answer) as server:
        made: Any = provider("claude", ANTHROPIC_API_BASE=server.url)

        async def complete() -> Response:
            try:
                response: Response = await made.complete(evolve(REQUEST, model=made.model, **more))
                return response
            finally:
                await made.aclose()

        return asyncio.run(complete())


def failure(answer: bytes | Answer, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(answer, **more)
    return caught.value


@pytest.fixture(scope="module", autouse=True)
def _prepared() -> None:
    """Let no test wait for litellm's import."""
    provider("claude").prepare()  # type: ignore[attr-defined]


@pytest.fixture
def over() -> Any:
    """Set once a test is over, so that no server waits any longer."""
    event = Event()
    yield event
    event.set()


def test_a_model_may_think_longer_before_it_begins_than_it_may_fall_silent_later() -> None:
    def answer(connection: socket.socket) -> None:
        time.sleep(0.4)
        connection.sendall(streamed())
        time.sleep(0.4)
        connection.sendall(events(START, TEXT, STOP, END) + chunk(b""))

    assert ask(answer, idle_timeout=0.3).text == "Said"


def test_a_stream_that_does_not_begin_is_given_up_after_the_limit_of_its_first_byte(
    over: Event,
) -> None:
    error = failure(lambda _: over.wait(9) and None, first_byte_timeout=0.2, idle_timeout=9)
    assert error.cause == Cause.TIMEOUT
    assert str(error) == "no answer within 0.2 s"


def test_the_limit_of_the_first_byte_counts_from_the_request_and_not_from_the_replys_head(
    over: Event,
) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(streamed())
        over.wait(9)

    began = time.monotonic()
    error = failure(answer, first_byte_timeout=0.3, idle_timeout=9)
    assert error.cause == Cause.TIMEOUT
    assert time.monotonic() - began < 3


def test_a_stream_that_falls_silent_is_given_up_after_the_idle_limit(over: Event) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(streamed() + events(START, TEXT))
        over.wait(9)

    error = failure(answer, idle_timeout=0.2)
    assert error.cause == Cause.TIMEOUT
    assert str(error) == "no sign of life for 0.2 s"


def test_a_ping_is_a_sign_of_life() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(streamed() + events(START))
        for _ in range(5):
            time.sleep(0.1)
            connection.sendall(events(PING))
        connection.sendall(events(TEXT, STOP, END) + chunk(b""))

    assert ask(answer, idle_timeout=0.3).text == "Said"


def test_an_answer_that_is_not_streamed_may_take_the_whole_time(over: Event) -> None:
    error = failure(lambda _: over.wait(9) and None, stream=False, timeout=0.2, idle_timeout=0.1)
    assert error.cause == Cause.TIMEOUT
    assert str(error) == "no answer within 0.2 s"


def test_the_wait_for_the_limiters_counts_for_nothing() -> None:
    class Limited(CallProgress):
        async def sending(self) -> None:
            await asyncio.sleep(0.4)

    answer = streamed() + events(START, TEXT, STOP, END) + chunk(b"")
    limits = {"timeout": 0.3, "first_byte_timeout": 0.3, "idle_timeout": 0.3}
    assert ask(answer, progress=Limited(), **limits).text == "Said"


def test_a_large_reply_holds_up_nobody_else() -> None:
    text = "word " * 400_000
    message = {"type": "message", "content": [{"type": "text", "text": text}]}
    body = json.dumps({**message, "stop_reason": "end_turn"}).encode()
    turns: list[float] = []

    async def both(url: str) -> Response:
        made: Any = provider("claude", ANTHROPIC_API_BASE=url)
        made.prepare()

        async def other() -> None:
            while True:
                turns.append(time.monotonic())
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        response: Response = await made.complete(evolve(REQUEST, model=made.model, stream=False))
        beside.cancel()
        await made.aclose()
        return response

    with answering(whole(body)) as server:
        assert asyncio.run(both(server.url)).text == text
    assert len(turns) > len(body) // 8192


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize(
    "ending", [lambda _: None, _reset, lambda connection: connection.sendall(b"no chunk")]
)
def test_an_answer_that_is_whole_is_not_spoiled_by_how_its_connection_ends(
    ending: Callable[[socket.socket], None],
) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(streamed() + events(START, TEXT, STOP, END))
        time.sleep(0.1)
        ending(connection)

    assert ask(answer).text == "Said"


def test_an_answer_that_is_whole_does_not_wait_for_a_body_that_never_ends(over: Event) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(streamed() + events(START, TEXT, STOP, END))
        over.wait(30)

    began = time.monotonic()
    assert ask(answer, idle_timeout=30).text == "Said"
    assert time.monotonic() - began < 10


def test_a_program_without_an_event_loop_makes_its_calls_over_one_connection() -> None:
    message = {"type": "message", "content": [{"type": "text", "text": "Said"}]}
    body = json.dumps({**message, "stop_reason": "end_turn"}).encode()
    with answering(whole(body)) as server:
        settings = Settings(interval=0).with_environment(
            ANTHROPIC_API_KEY="a-key", ANTHROPIC_API_BASE=server.url
        )
        model = LLM("claude", settings=settings)
        assert [model.call("?") for _ in range(3)] == ["Said"] * 3
    assert server.connections == 1


def test_calls_of_one_loop_share_a_connection_however_often_their_provider_is_prepared() -> None:
    message = {"type": "message", "content": [{"type": "text", "text": "Said"}]}
    body = json.dumps({**message, "stop_reason": "end_turn"}).encode()
    with answering(whole(body)) as server:
        made: Any = provider("claude", ANTHROPIC_API_BASE=server.url)

        async def runs() -> None:  # each run of a team prepares its providers
            for _ in range(2):
                made.prepare()
                await made.complete(evolve(REQUEST, model=made.model))
            await made.aclose()

        asyncio.run(runs())
    assert server.connections == 1
