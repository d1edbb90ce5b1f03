"""Requests and replies, after and before any vendor's framing."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Protocol

from attrs import field, frozen

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
class FunctionCall:
    """A call of a tool; `id` is empty where the vendor sent none."""

    name: str
    arguments: Mapping[str, Any] = field(factory=dict)
    id: str = ""


@frozen
class FunctionResult:
    """What a caller sends back for a call."""

    name: str
    text: str
    id: str = ""
    is_error: bool = False


@frozen
class OfferedTool:
    """A tool that a request offers; `parameters` is the schema of its arguments."""

    name: str
    parameters: Mapping[str, Any] = field(factory=dict)


@frozen
class Turn:
    """One message of a conversation; `media` is what its images and documents cost in tokens."""

    role: Literal["user", "assistant"]
    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    results: tuple[FunctionResult, ...] = ()
    media: int = 0

    @property
    def tokens(self) -> int:
        arguments = (json.dumps(dict(call.arguments)) + call.name for call in self.calls)
        texts = [self.text, *arguments, *(result.text for result in self.results)]
        return sum(map(count_tokens, texts)) + self.media


@frozen
class PromptBlock:
    """A piece of a prompt, in the order in which a vendor's cache sees them.

    lifetime: seconds for which the prompt up to here is to be cached; None is not marked.
    """

    text: str
    tokens: int
    lifetime: float | None = None


@frozen
class CacheUse:
    """Tokens of a prompt that came from the cache, and that went into it, by lifetime."""

    read: int = 0
    written: int = 0
    written_for_an_hour: int = 0


@frozen
class SignedPart:
    """A part of the conversation that came back with a vendor's signature, or without one.

    place: as the vendor's errors have it. content: what the signature is made of.
    """

    place: str
    content: str
    signature: str


@frozen(kw_only=True)
class Query:
    """A valid request; max_tokens None is no limit.

    tools: those that may be called. forced: whether one of them must be.
    schema: what the answer has to fit, where it is to be JSON.
    blocks: the prompt as the vendor's cache sees it; empty where it keeps none.
    cache: what of the prompt the cache gave and took.
    """

    model: str
    turns: tuple[Turn, ...]
    system: str = ""
    form: Form = "json"
    max_tokens: int | None = None
    thinking: bool = False
    tools: tuple[OfferedTool, ...] = ()
    forced: bool = False
    schema: Mapping[str, Any] | None = None
    blocks: tuple[PromptBlock, ...] = ()
    cache: CacheUse = CacheUse()
    signed: tuple[SignedPart, ...] = ()

    @property
    def input_tokens(self) -> int:
        if self.blocks:
            return sum(block.tokens for block in self.blocks)
        tools = sum(count_tokens(json.dumps(dict(tool.parameters))) for tool in self.tools)
        return count_tokens(self.system) + tools + sum(turn.tokens for turn in self.turns)

    @property
    def question(self) -> str:
        """Return the last text that a user wrote, results of tools aside."""
        return self.turns[self._asked_at].text if self._asked_at >= 0 else ""

    @property
    def round(self) -> int:
        """Count the answers with tool calls since the last question."""
        return sum(bool(turn.calls) for turn in self.turns[self._asked_at + 1 :])

    @property
    def _asked_at(self) -> int:
        questions = (
            place
            for place, turn in enumerate(self.turns)
            if turn.role == "user" and not turn.results
        )
        return max(questions, default=-1)


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

    def reply(self, query: Query, text: str, calls: Sequence[FunctionCall] = ()) -> HttpReply:
        """Answer with a text and calls of tools, cut where the caller's limit ends it."""
        ...

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
