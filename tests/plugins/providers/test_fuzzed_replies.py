"""Replies that were changed at random are read, or have a cause; `--fuzz-rounds N` draws more.

Each failure names its seed: `Random(seed)` draws the same again. Opens ports on the loopback.
"""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

import pytest
from attrs import evolve, frozen
from mutations import Reply, chunks, followed, framed, misframed, mutated
from places import WIRE
from raw_server import answering
from replies import CLAUDE, GEMINI, TEXT
from vendors import REQUEST, provider

from rolecall import Cause, ProviderError, Response
from rolecall.types.retry_after import LONGEST
from rolecall_plugins.providers.anthropic_reply import ClaudeReply
from rolecall_plugins.providers.gemini_reply import GeminiReply
from rolecall_plugins.providers.reply_reader import Reading

READERS = {"anthropic": ClaudeReply, "gemini": GeminiReply, "gemini-vertex": GeminiReply}
STREAM = {"content-type": "text/event-stream"}
ROUNDS = 5  # of each mutation of each reply, unless more are asked for
SLOWEST = 50e-6  # seconds a byte, many times what reading takes
BOTH = pytest.mark.parametrize("vendor", ["anthropic", "gemini"])


@frozen
class Read:
    """What was made of a reply."""

    result: Response | ProviderError
    told: str

    @property
    def told_of(self) -> tuple[object, ...]:
        result = self.result
        if isinstance(result, Response):
            return (result, self.told)
        return (result.cause, result.usage, result.retry_after)


def handwritten(vendor: str) -> dict[str, Reply]:
    own = CLAUDE if vendor == "anthropic" else GEMINI
    error = {"error": {"type": "rate_limit_error", "code": 429, "message": "limit: 0"}}
    return {
        "stream": Reply(200, STREAM, own.stream()),
        "plain": Reply(200, {}, json.dumps(own.plain).encode()),
        "error": Reply(429, {"retry-after": "7"}, json.dumps(error).encode()),
    }


def recorded(vendor: str) -> dict[str, Reply]:
    folder = WIRE / "interactions"
    if not folder.is_dir():
        pytest.skip("the recorded traffic (../shared/wire) is not here")
    exchanges = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    return {
        each["id"]: as_reply(each["response"])
        for each in exchanges
        if each["provider"].startswith(vendor)
    }


def as_reply(response: Mapping[str, Any]) -> Reply:
    body = response["body"]
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    headers = {
        name: value if isinstance(value, str) else ", ".join(value)
        for name, value in response["headers"].items()
    }
    return Reply(response["status"], headers, text.encode())


def read(vendor: str, reply: Reply, pieces: Iterable[bytes]) -> Read:
    """Read a reply; whatever is raised but a ProviderError at the end is a defect."""
    reading = Reading(READERS[vendor](), reply.status, reply.headers)
    began = time.process_time()
    told = "".join([reading.feed(piece) for piece in pieces])
    broken = ProviderError(Cause.CONNECTION, "reset") if reply.breaks else None
    told += "" if broken else reading.close()
    try:
        result: Response | ProviderError = reading.finish(broken)
    except ProviderError as error:
        result = error
    assert time.process_time() - began < 0.5 + SLOWEST * len(reply.body)
    return Read(result, told)


def check(read: Read) -> None:
    """Check what holds of every reply."""
    read.told.encode()
    result = read.result
    if isinstance(result, Response):
        f"{result.text}{result.detail}{result.request_id or ''}{result.model}".encode()
        assert result.usage is None or min(result.usage.input, result.usage.output) >= 0
        return
    assert result.cause in set(Cause) - {Cause.PLUGIN_ERROR}
    assert result.retry_after is None or 0 <= result.retry_after <= LONGEST
    assert str(result)


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    chosen: int | None = request.config.getoption("fuzz_rounds")
    return ROUNDS if chosen is None else chosen


@BOTH
@pytest.mark.parametrize("replies", [handwritten, recorded])
def test_a_reply_that_was_changed_anywhere_is_read_or_has_a_cause(
    vendor: str, replies: Any, rounds: int
) -> None:
    for name, reply in replies(vendor).items():
        for number in range(rounds):
            seed = f"anywhere {name} {number}"
            random = Random(seed)
            changed = mutated(reply, random)
            try:
                whole = read(vendor, changed, [changed.body])
                check(whole)
                # However it is cut, it means the same.
                assert read(vendor, changed, chunks(changed.body, random)).told_of == whole.told_of
            except Exception as error:
                raise AssertionError(seed) from error


@BOTH
@pytest.mark.parametrize("replies", [handwritten, recorded])
def test_whatever_follows_a_whole_answer_leaves_it_as_it_is(
    vendor: str, replies: Any, rounds: int
) -> None:
    for name, reply in replies(vendor).items():
        own = read(vendor, reply, [reply.body]).result
        if isinstance(own, ProviderError) or not own.text:
            continue
        for number in range(rounds):
            seed = f"behind {name} {number}"
            random = Random(seed)
            changed = followed(reply, random)
            try:
                result = read(vendor, changed, chunks(changed.body, random)).result
                assert isinstance(result, Response), result
                assert (result.text, result.usage, result.stop) == (own.text, own.usage, own.stop)
            except Exception as error:
                raise AssertionError(seed) from error


@BOTH
@pytest.mark.parametrize("is_damaged", [True, False])
def test_whatever_comes_over_a_connection_is_read_or_has_a_cause(
    vendor: str, is_damaged: bool, rounds: int
) -> None:
    """Where the reply itself is not damaged, its answer is kept however the connection ends."""
    for name, reply in handwritten(vendor).items():
        for number in range(4 * rounds):
            seed = f"connection {is_damaged} {name} {number}"
            random = Random(seed)
            changed = mutated(reply, random) if is_damaged else reply
            data = framed(changed, random)
            if is_damaged:
                data = misframed(data, random)
            elif b"chunked" in data:
                data = data.removesuffix(random.choice((b"", b"\r\n", b"0\r\n\r\n")))
            result = ask(vendor, data, random.random() < 0.3, stream=name != "plain")
            if isinstance(result, ProviderError):
                assert result.cause in set(Cause) - {Cause.PLUGIN_ERROR}, seed
            if not is_damaged and name != "error":
                assert isinstance(result, Response), (seed, result)
                assert result.text == TEXT, seed


def ask(vendor: str, data: bytes, is_reset: bool, stream: bool) -> Response | ProviderError:
    """Call a provider that gets these bytes, and then the connection's end or a reset."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        if is_reset:
            time.sleep(0.01)  # else it overtakes what was sent
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    name = "claude" if vendor == "anthropic" else "gemini"
    base = "ANTHROPIC_API_BASE" if vendor == "anthropic" else "GEMINI_API_BASE"
    with answering(answer) as server:
        made: Any = provider(name, **{base: server.url})

        async def complete() -> Response | ProviderError:
            try:
                asked = evolve(REQUEST, model=made.model, stream=stream, timeout=5, idle_timeout=5)
                response: Response = await made.complete(asked)
                return response
            except ProviderError as error:
                return error
            finally:
                await made.aclose()

        return asyncio.run(complete())
