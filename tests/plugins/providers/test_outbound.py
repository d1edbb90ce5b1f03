"""What leaves this machine and comes back, over both clients; opens ports on the loopback."""

import asyncio
import gzip
import socket
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from raw_server import answering, chunk, streamed, whole

from rolecall import Cause, ProviderError
from rolecall_plugins.providers.connections import (
    AiohttpConnections,
    ConnectionOptions,
    HttpxConnections,
    proxy_for,
)
from rolecall_plugins.providers.outbound import (
    IncomingReply,
    OutboundTransport,
    OutgoingRequest,
    described,
    joined,
)
from rolecall_plugins.providers.trace_headers import trace_headers

KEY = "sk-ant-fake-key"
CLIENTS = pytest.mark.parametrize("client", [AiohttpConnections, HttpxConnections])


def asked(url: str) -> OutgoingRequest:
    headers = {"content-type": "application/json", "x-api-key": KEY}
    return OutgoingRequest(url, headers, b'{"ask": "hello"}')


async def exchange(client: Any, url: str, **options: Any) -> tuple[IncomingReply, bytes]:
    transport = OutboundTransport(ConnectionOptions(client=client, user_agent="tests", **options))
    try:
        reply = await transport.send(asked(url))
        body = b""
        try:
            while piece := await reply.read():
                body += piece
        finally:
            await reply.close()
        return reply, body
    finally:
        await transport.aclose()


def failure(client: Any, url: str, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        asyncio.run(exchange(client, url, **options))
    return caught.value


@CLIENTS
def test_a_request_leaves_as_it_was_built_and_the_reply_comes_whole(client: Any) -> None:
    reply_headers = ("x-one: 1", "x-two: a", "x-two: b")
    with answering(whole(b'{"a": 1}', "201 Created", *reply_headers)) as server:
        reply, body = asyncio.run(exchange(client, f"{server.url}/v1/messages"))
    (head, sent), *others = server.requests
    assert not others
    assert head.startswith("POST /v1/messages HTTP/1.1\r\n")
    lines = head.lower().split("\r\n")
    assert f"x-api-key: {KEY}" in lines
    assert "accept-encoding: gzip, deflate" in lines
    assert "user-agent: tests" in lines
    assert sent == b'{"ask": "hello"}'
    assert (reply.status, reply.reason, body) == (201, "Created", b'{"a": 1}')
    assert joined(reply.headers)["x-two"] == "a, b"


@CLIENTS
def test_one_connection_serves_one_call_after_another(client: Any) -> None:
    async def three(url: str) -> None:
        transport = OutboundTransport(ConnectionOptions(client=client, user_agent="tests"))
        for _ in range(3):
            reply = await transport.send(asked(url))
            while await reply.read():
                pass
            await reply.close()
        await transport.aclose()

    with answering(whole(b"{}")) as server:
        asyncio.run(three(server.url))
    assert len(server.requests) == 3
    assert server.connections == 1


@CLIENTS
def test_a_redirect_is_not_followed(client: Any) -> None:
    moved = whole(b"", "307 Temporary Redirect", "location: http://127.0.0.1:9/elsewhere")
    with answering(moved) as server:
        reply, _ = asyncio.run(exchange(client, server.url))
    assert reply.status == 307
    assert len(server.requests) == 1


@CLIENTS
def test_whoever_follows_a_call_may_add_headers(client: Any) -> None:
    async def ask(url: str) -> None:
        trace_headers.set(lambda headers: headers.update(traceparent="00-1-2-01"))
        await exchange(client, url)

    with answering(whole(b"{}")) as server:
        asyncio.run(ask(server.url))
    assert "traceparent: 00-1-2-01" in server.requests[0][0]


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


HEAD = "HTTP/1.1 200 OK\r\n"
BROKEN: dict[str, bytes | Callable[[socket.socket], None]] = {
    "nothing": lambda connection: None,
    "a reset": _reset,
    "no status line": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "a header of 9 kB": f"{HEAD}x-long: {'x' * 9000}\r\n\r\n".encode(),
    "a content length that is none": f"{HEAD}content-length: many\r\n\r\n{{}}".encode(),
    "less than its content length": lambda c: c.sendall(
        f"{HEAD}content-length: 9\r\n\r\n".encode()
    ),
    "a chunk without a size": lambda c: c.sendall(streamed() + b"what?\r\n{}\r\n0\r\n\r\n"),
    "a chunk that is cut": lambda c: c.sendall(streamed() + b"ff\r\n{}"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_http_is_a_failed_connection(name: str) -> None:
    with answering(BROKEN[name]) as server:
        error = failure(AiohttpConnections, server.url)
    assert error.cause == Cause.CONNECTION
    assert len(server.requests) == 1
    assert "\n" not in str(error)


@CLIENTS
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/v1",
        "http://[::1/v1",
        "http://127.0.0.1:99999/",
        "nothing",
        "http:///v1",
        "https://127.0.0.1:9/",
        f"http://{'a' * 70}.invalid/",
    ],
)
def test_an_address_that_leads_nowhere_is_a_failed_connection(client: Any, url: str) -> None:
    assert failure(client, url).cause == Cause.CONNECTION


@CLIENTS
def test_a_server_that_does_not_answer_the_handshake_is_a_failed_connection(client: Any) -> None:
    with answering(whole(b"{}")) as server:
        error = failure(client, server.url.replace("http:", "https:"), seconds=0.1)
    assert error.cause == Cause.CONNECTION


@pytest.mark.parametrize("client", [AiohttpConnections, HttpxConnections])
def test_a_header_that_is_no_ascii_spoils_no_answer(client: Any) -> None:
    reply = b"HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\ncontent-length: 2\r\n\r\n{}"
    with answering(reply) as server:
        reply, body = asyncio.run(exchange(client, server.url))
    assert body == b"{}"
    joined(reply.headers)["x-name"].encode()


@CLIENTS
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad", "503 Busy"])
def test_a_proxy_that_refuses_is_a_failed_connection_without_its_password(
    client: Any, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(whole(b"no", status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://alice:p%40ss-word@127.0.0.1:{proxy.port}")
        error = failure(client, "https://vendor.invalid/v1")
    assert error.cause == Cause.CONNECTION
    assert len(proxy.requests) == 1
    assert status.partition(" ")[0] in str(error)
    assert "alice" not in str(error)
    assert "ss-word" not in str(error)


@CLIENTS
def test_a_proxy_gets_what_is_meant_for_others(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(whole(b'{"a": 1}')) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        _, body = asyncio.run(exchange(client, "http://vendor.invalid/v1"))
    assert body == b'{"a": 1}'
    assert proxy.requests[0][0].startswith("POST http://vendor.invalid/v1 HTTP/1.1")


@CLIENTS
def test_proxies_may_be_switched_off(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(whole(b"{}")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        failure(client, f"http://{'a' * 70}.invalid/", proxies=False)
    assert not proxy.requests


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "inside.example"])
def test_no_proxy_stands_before_this_machine_or_an_exception(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:8080")
    monkeypatch.setenv("NO_PROXY", ".inside.example,inside.example")
    assert proxy_for("https", host) is None
    assert proxy_for("https", "vendor.example") == "http://proxy.example:8080"


@CLIENTS
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"said " * 999)),
        ("x-gzip", gzip.compress(b"said " * 999)),
        ("deflate", zlib.compress(b"said " * 999)),
        ("deflate", zlib.compress(b"said " * 999)[2:-4]),
        ("identity", b"said " * 999),
        ("of-tomorrow", b"said " * 999),
    ],
    ids=["gzip", "x-gzip", "deflate", "deflate without a header", "identity", "unknown"],
)
def test_a_body_is_decompressed_as_it_says(client: Any, encoding: str, packed: bytes) -> None:
    with answering(whole(packed, "200 OK", f"content-encoding: {encoding}")) as server:
        reply, body = asyncio.run(exchange(client, server.url))
    assert body == b"said " * 999
    assert "content-encoding" not in joined(reply.headers)


@CLIENTS
def test_a_body_that_is_not_compressed_as_it_says_is_a_bad_payload(client: Any) -> None:
    with answering(whole(b"plain", "200 OK", "content-encoding: gzip")) as server:
        error = failure(client, server.url)
    assert error.cause == Cause.BAD_PAYLOAD
    assert "not compressed as it says" in str(error)


def test_a_body_that_expands_without_end_comes_in_pieces_of_bounded_size() -> None:
    bomb = gzip.compress(bytes(8 * 1024**2))

    async def longest(url: str) -> int:
        transport = OutboundTransport(
            ConnectionOptions(client=AiohttpConnections, user_agent="tests")
        )
        reply = await transport.send(asked(url))
        length = 0
        while piece := await reply.read():
            length = max(length, len(piece))
        await transport.aclose()
        return length

    with answering(streamed("content-encoding: gzip") + chunk(bomb) + chunk(b"")) as server:
        assert asyncio.run(longest(server.url)) == 64 * 1024


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("407, url='http://alice:pw@proxy:3128'", "407, url='http://proxy:3128'"),
        ("https://alice:p@ss@host/x failed", "https://host/x failed"),
        ("alice:pw@host is no address", "host is no address"),
        (
            "Cannot connect to host h:443 ssl:default [refused]",
            "Cannot connect to host h:443 [refused]",
        ),
        ("two\r\nlines\x00", "two lines\x00"),
        ("x" * 999, "x" * 999),
    ],
)
def test_what_a_client_says_is_shown_in_one_line_without_a_password(text: str, shown: str) -> None:
    assert described(text) == shown


def test_a_key_that_a_server_repeats_in_its_status_line_is_not_shown() -> None:
    with answering(f"{KEY} {KEY}\r\n\r\n".encode()) as server:
        error = failure(AiohttpConnections, server.url)
    assert error.cause == Cause.CONNECTION
    assert KEY not in str(error)


@CLIENTS
@pytest.mark.parametrize("is_closed_before", [False, True])
def test_connections_end_with_their_event_loop(client: Any, is_closed_before: bool) -> None:
    closed: list[asyncio.AbstractEventLoop] = []

    class Watched(client):  # type: ignore[misc]
        async def aclose(self) -> None:
            closed.append(asyncio.get_running_loop())
            await super().aclose()

    async def ask(url: str) -> asyncio.AbstractEventLoop:
        for _ in range(2):
            reply = await transport.send(asked(url))
            while await reply.read():
                pass
            await reply.close()
            if is_closed_before:
                await transport.aclose()
        assert len(closed) == (2 if is_closed_before else 0)
        return asyncio.get_running_loop()

    transport = OutboundTransport(ConnectionOptions(client=Watched, user_agent="tests"))
    with answering(whole(b"{}")) as server:
        loop = asyncio.run(ask(server.url))
    assert closed == [loop] * (2 if is_closed_before else 1)
