"""What is asked and what is answered, before and after any vendor's framing."""

import itertools
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Literal, Protocol

from attrs import frozen

from .limits import Denial
from .tokens import count_tokens

Form = Literal["json", "sse", "array"]
Headers = tuple[tuple[str, str], ...]


@frozen(kw_only=True)
class Incoming:
    """A request as it came: its key, its body, and what its address says."""

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
    """What a valid request asks; max_tokens None is no limit.

    marked: whether its system prompt is to be kept. read, written: tokens of it that the cache
        gave or took.
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
    """A request turned away at the door: for a cause, in the vendor's status, kind and words."""

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
    """What becomes of a connection once everything has been sent."""

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
class Answer:
    """A whole HTTP answer; without a status nothing is sent before the ending."""

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


class Frame(Protocol):
    """One call's answers in one vendor's framing."""

    def reply(self, query: Query, text: str) -> Answer: ...

    def rejected(self, rejection: Rejected) -> Answer: ...

    def limited(self, query: Query, denial: Denial) -> Answer: ...


def pieces(text: str, sizes: Sequence[int]) -> Iterator[str]:
    """Cut a text into pieces of these sizes, over and over."""
    start = 0
    for size in itertools.cycle(sizes):
        if start >= len(text):
            return
        yield text[start : start + size]
        start += size
