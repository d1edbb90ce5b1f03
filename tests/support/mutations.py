"""Changes to replies such as networks, gateways and vendors make, drawn by a seeded generator."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from attrs import evolve, frozen

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 0.5, 1e308, 10**40, "", "text", "NaN", "\ud83d", "\x00", "é🎉"),
    *([], [[]], [None], {}, {"a": {}}, {"type": "error"}, {"error": {}}),
)
RUBBISH = (
    *(b"", b"\n", b"\r", b"\n\n", b"\x00", b"\xff", b"\xef\xbb\xbf", b"<html>", b"{", b"}", b'"'),
    *(b"data:", b"data: \n\n", b"data: [DONE]\n\n", b"data: {}\n\n", b": keep-alive\n\n"),
    *(b"event: error\n\n", b"data: null\n\n", b"data: {half\n\n", b"retry: 1\n", b"1e999", b"NaN"),
    *(b"[" * 3000, b'{"a":' * 3000, b"\\ud800", b"\r\n0\r\n\r\n"),
    b'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    b'data: {"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED"}}\r\n\r\n',
)
HEADERS: tuple[tuple[str, str], ...] = (
    *(
        ("content-type", kind)
        for kind in ("", "text/html", "text/event-stream", "application/json")
    ),
    *(("retry-after", wait) for wait in ("-5", "nan", "inf", "9" * 400, "5, 7", "x", "\ud800")),
    *(("retry-after", f"Mon, 2{day} Nov 2026 10:00:30 GMT") for day in (1, 9)),
    *(("date", date) for date in ("", "yesterday", "Mon, 23 Nov 2026 10:00:00 GMT")),
    *(("retry-after-ms", wait) for wait in ("1500", "-1", "soon")),
    *(("request-id", "é\x00"), ("x-should-retry", "FALSE"), ("location", "http://[::")),
    *(("anthropic-ratelimit-tokens-remaining", value) for value in ("-1", "many", "")),
)


@frozen
class Reply:
    """A reply as it comes: in these chunks, and with its end unless it `breaks`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    breaks: bool = False


Mutation = Callable[[Reply, Random], Reply]


def mutated(reply: Reply, random: Random) -> Reply:
    """Change a reply somewhere, once or a few times."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        reply = random.choice(ANYWHERE)(reply, random)
    return reply


def followed(reply: Reply, random: Random) -> Reply:
    """Let something follow a reply, or its connection break behind its last byte."""
    rest = b"".join(random.choices(RUBBISH, k=random.randint(0, 3)))
    if random.random() < 0.2:
        rest += b"\n\n" + reply.body
    return evolve(reply, body=reply.body + rest, breaks=random.random() < 0.5)


def chunks(body: bytes, random: Random) -> Iterator[bytes]:
    """Cut a body into pieces of every size."""
    if random.random() < 0.1:
        yield from (body[place : place + 1] for place in range(len(body)))
        return
    longest = random.choice((3, 20, 200, 2000, 20_000))
    place = 0
    while place < len(body):
        length = random.randint(1, longest)
        yield body[place : place + length]
        place += length


def _flip(reply: Reply, random: Random) -> Reply:
    body = bytearray(reply.body)
    for _ in range(random.choice((1, 1, 4, 40))):
        if body:
            body[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return evolve(reply, body=bytes(body))


def _insert(reply: Reply, random: Random) -> Reply:
    place = random.randint(0, len(reply.body))
    body = reply.body[:place] + random.choice(RUBBISH) + reply.body[place:]
    return evolve(reply, body=body)


def _drop(reply: Reply, random: Random) -> Reply:
    start = random.randint(0, len(reply.body))
    end = start + random.choice((1, 2, 10, 100, 1000))
    return evolve(reply, body=reply.body[:start] + reply.body[end:])


def _double(reply: Reply, random: Random) -> Reply:
    start = random.randint(0, len(reply.body))
    end = start + random.choice((1, 10, 100, 1000, 100_000))
    return evolve(reply, body=reply.body[:end] + reply.body[start:end] + reply.body[end:])


def _cut(reply: Reply, random: Random) -> Reply:
    end = random.randint(0, len(reply.body))
    return evolve(reply, body=reply.body[:end], breaks=random.random() < 0.5)


def _reframe(reply: Reply, random: Random) -> Reply:
    old, new = random.choice(
        (
            *((b"\r\n", b"\n"), (b"\n", b"\r\n"), (b"\n", b"\r"), (b"\n\n", b"\n")),
            *((b"data: ", b"data:"), (b"data: ", b"data:  "), (b"data: ", b"event: x\ndata: ")),
            (b"\n\n", b"\n: a comment\n\n"),
        )
    )
    return evolve(reply, body=reply.body.replace(old, new))


def _shuffle(reply: Reply, random: Random) -> Reply:
    """Let an event come twice, in another place or not at all."""
    end = b"\r\n\r\n" if b"\r\n\r\n" in reply.body else b"\n\n"
    events = reply.body.split(end)
    event = events.pop(random.randrange(len(events)))
    for _ in range(random.choice((0, 1, 2))):
        events.insert(random.randint(0, len(events)), event)
    return evolve(reply, body=end.join(events))


def _retype(reply: Reply, random: Random) -> Reply:
    """Put a value of another type somewhere into the JSON of a line."""
    lines = reply.body.split(b"\n")
    number = random.randrange(len(lines))
    head, brace, text = lines[number].partition(b"{")
    try:
        value = json.loads(brace + text)
    except (ValueError, RecursionError):
        return reply
    lines[number] = head + json.dumps(_replaced(value, random)).encode()
    return evolve(reply, body=b"\n".join(lines))


def _replaced(value: Any, random: Random) -> Any:
    if not isinstance(value, dict | list) or not value or random.random() < 0.2:
        return random.choice(ODD)
    key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
    if isinstance(value, dict) and random.random() < 0.1:
        return {name: inner for name, inner in value.items() if name != key}
    inner = value[key]
    value = value.copy()
    value[key] = _replaced(inner, random)
    return value


def _head(reply: Reply, random: Random) -> Reply:
    name, value = random.choice(HEADERS)
    status = random.choice((reply.status, reply.status, 200, 204, 302, 400, 429, 500, 503, 529))
    return evolve(reply, status=status, headers={**reply.headers, name: value})


ANYWHERE: tuple[Mutation, ...] = (
    *(_flip, _insert, _drop, _double, _cut, _reframe, _shuffle, _retype, _retype, _head, followed),
)


def framed(reply: Reply, random: Random) -> bytes:
    """Return a reply as bytes of HTTP: by length, in chunks or until the connection ends."""
    body, headers = reply.body, dict(reply.headers)
    for name in ("content-length", "transfer-encoding", "content-encoding", "connection"):
        headers.pop(name, None)
    if random.random() < 0.3:
        body = gzip.compress(body, 1)
        headers["content-encoding"] = "gzip"
    match random.randrange(3):
        case 0:
            headers["content-length"] = str(len(body))
        case 1:
            headers["transfer-encoding"] = "chunked"
            pieces = [*chunks(body, Random(1)), b""] if body else [b""]
            body = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
        case _:
            headers["connection"] = "close"
    lines = [f"HTTP/1.1 {reply.status} Any", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def misframed(data: bytes, random: Random) -> bytes:
    """Damage the bytes of a connection, mostly in the head."""
    head = data.find(b"\r\n\r\n") + 4
    place = random.randrange(head if random.random() < 0.5 else len(data))
    match random.randrange(5):
        case 0:
            return data[:place]
        case 1:
            return (
                data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
            )
        case 2:
            return data[:place] + random.choice(RUBBISH) + data[place:]
        case 3:
            return data[:place] + data[place + random.choice((1, 2, 5, 50)) :]
        case _:
            line = random.choice(
                (b"x" * 9000, b"a: b\r\n" * 200, b"content-length: -1\r\n", b":\r\n")
            )
            start = data.find(b"\r\n") + 2
            return data[:start] + line + data[start:]
