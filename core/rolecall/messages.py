"""What goes to a provider and what comes back."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from attrs import field, frozen


@frozen
class Message:
    """One turn of the conversation."""

    role: Literal["user", "assistant"]
    text: str


class Watch:
    """What a provider may tell while a call is under way; telling is optional.

    The default ignores everything, so a provider can always call it.
    """

    async def sending(self) -> None:
        """Await this right before the request's first byte leaves.

        A provider that works for a while before it sends (imports, builds a body) is paced
        exactly by this; one that never awaits it is paced by the call of `complete`.
        """

    def text(self, delta: str) -> None:
        """Tell a piece of the answer as it arrives."""


@frozen
class Request:
    """One question to a model.

    model: the vendor's name for the model; empty means the provider's own default.
    system: the role's prompt.
    max_output_tokens: the most the answer may cost, thinking included.
    temperature: sent only when set; the newest models refuse it.
    timeout: seconds for the whole answer.
    idle_timeout: seconds without a sign of life in a streamed answer.
    stream: ask for the answer piece by piece where the provider can.
    """

    system: str
    messages: tuple[Message, ...]
    model: str = ""
    max_output_tokens: int = 16_384
    temperature: float | None = None
    timeout: float = 600.0
    idle_timeout: float = 60.0
    stream: bool = True
    watch: Watch = field(factory=Watch, eq=False, repr=False)


@frozen
class Usage:
    """Tokens of one call.

    input: the whole prompt, cached parts included.
    output: everything generated, thinking included.
    thinking: the part of `output` that was thought and not shown.
    cache_read, cache_write: the parts of `input` taken from or put into the vendor's cache.
    """

    input: int = 0
    output: int = 0
    thinking: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.thinking + other.thinking,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


class Stop(StrEnum):
    """Why a model stopped writing."""

    END = "end"
    LENGTH = "length"
    SAFETY = "safety"
    REFUSAL = "refusal"
    BAD_TOOL_CALL = "bad_tool_call"


@frozen
class Response:
    """What a vendor answered with success; whether it is an answer is judged by the dispatcher.

    detail: the vendor's own word on why it stopped, for the reader of an error.
    cost: US dollars, or None where the price is unknown.
    headers: the reply's rate-limit headers, lower-case names.
    """

    text: str
    usage: Usage = Usage()
    model: str = ""
    stop: Stop = Stop.END
    detail: str = ""
    request_id: str | None = None
    cost: float | None = None
    headers: Mapping[str, str] = field(factory=dict, eq=False)


class Provider(Protocol):
    """A vendor behind a name.

    `complete` makes exactly one HTTP attempt and returns what came, or raises a `ProviderError`
    with the cause. It never retries, waits or falls back: the dispatcher does.
    """

    @property
    def name(self) -> str: ...

    async def complete(self, request: Request) -> Response: ...


@runtime_checkable
class HasModel(Protocol):
    """A provider that says which model answers when a route names none."""

    @property
    def model(self) -> str: ...


@runtime_checkable
class HasCeiling(Protocol):
    """A provider that knows the largest output budget a model takes."""

    def max_output_tokens(self, model: str) -> int | None: ...


@runtime_checkable
class NeedsSetup(Protocol):
    """A provider that knows, without a call, that it cannot be called."""

    def missing(self) -> str | None:
        """Say what must be set first ("ANTHROPIC_API_KEY is not set"), or None."""
        ...


@runtime_checkable
class Preparable(Protocol):
    """A provider with slow imports: `prepare` runs in a thread while the run starts."""

    def prepare(self) -> None: ...


@runtime_checkable
class Closeable(Protocol):
    """A provider that holds connections of the running event loop."""

    async def aclose(self) -> None: ...
