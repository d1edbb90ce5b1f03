"""Requests and replies, after and before any vendor's framing."""

import itertools
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Literal, Protocol

from attrs import frozen

from .limits import Denial

Form = Literal["json", "sse", "array"]
Headers = tuple[tuple[str, str], ...]

CHARACTERS_PER_TOKEN = 4  # an estimate, since there is no model here to count them


@frozen(kw_only=True)
class Incoming:
    """A request as it arrived: key, body, and what its address holds."""

    provider: str
    body: bytes
    key: str = ""
    model: str = ""
    version: str = ""
    form: Form = "json"


@frozen
class Turn:
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@frozen(kw_only=True)
class Query:
    """A valid request; max_tokens None is no limit.

    marked: whether its system prompt is to be cached. read, written: tokens of it that were read
        from or written to the cache.
    """

    model: str
    turns: tuple[Turn, ...]
    system: str = ""
    form: Form = "json"
    max_tokens: int | None = None
    thinking: bool = False
    marked: bool = False
    read: int = 0
    written: int = 0

    @property
    def input_tokens(self) -> int:
        return count_tokens(self.system) + sum(count_tokens(turn.text) for turn in self.turns)


class Rejected(Exception):
    """A request that the vendor refuses to process: cause, status, kind and message."""

    def __init__(
        self,
        cause: str,
        status: int,
        kind: str,
        message: str,
        details: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.status = status
        self.kind = kind
        self.details = details


class Ending(Enum):
    """What happens to a connection once everything has been sent."""

    DONE = "done"
    HANG = "hang"
    RESET = "reset"


@frozen
class Chunk:
    """Bytes sent at once; how many characters of text they carry; whether they end the answer."""

    data: bytes
    text: int = 0
    closing: bool = False


@frozen(kw_only=True)
class HttpReply:
    """A whole HTTP reply; without a status nothing is sent before the ending."""

    status: int | None
    headers: Headers = ()
    chunks: tuple[Chunk, ...] = ()
    streamed: bool = False
    ending: Ending = Ending.DONE
    promised: int | None = None
    output_tokens: int = 0

    @property
    def body(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)


class Framing(Protocol):
    """Frames the replies to one call as a vendor does."""

    def reply(self, query: Query, text: str) -> HttpReply: ...

    def rejected(self, rejection: Rejected) -> HttpReply: ...

    def limited(self, query: Query, denial: Denial) -> HttpReply: ...


def pieces(text: str, sizes: Sequence[int]) -> Iterator[str]:
    """Cut a text into pieces of these sizes, over and over."""
    start = 0
    for size in itertools.cycle(sizes):
        if start >= len(text):
            return
        yield text[start : start + size]
        start += size


def count_tokens(text: str) -> int:
    """Count a text's tokens, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def first_tokens(text: str, tokens: int | None) -> str:
    """Keep as much of a text as the tokens hold; None holds all."""
    return text if tokens is None else text[: max(0, tokens) * CHARACTERS_PER_TOKEN]
