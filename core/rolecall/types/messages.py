"""What goes to a provider and what comes back."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from types import NoneType
from typing import Any, Literal, Protocol, runtime_checkable

from attrs import Attribute, field, frozen

from ..errors import PluginError
from ..usage import Usage
from .agents import Route
from .parts import Part, Text, ToolCall, ToolSpec


@frozen
class Message:
    """One turn of the conversation: its text, then its parts in their order.

    A turn that is text alone has no parts.
    """

    role: Literal["user", "assistant"]
    text: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def content(self) -> tuple[Part, ...]:
        """Return the whole turn as parts."""
        return (Text(self.text), *self.parts) if self.text else self.parts


class CallProgress:
    """What a provider may report while a call is under way; reporting is optional.

    The default ignores everything, so a provider can always call it.
    """

    async def sending(self) -> None:
        """Await this right before the request's first byte leaves.

        A provider that works for a while before it sends (imports, builds a body) is paced
        exactly by this; one that never awaits it is paced by the call of `complete`.
        """

    def text(self, delta: str) -> None:
        """Report a piece of the answer as it arrives."""


@frozen
class Request:
    """One question to a model.

    model: the vendor's name for the model; empty means the provider's own default.
    system: the role's prompt, or what several roles share.
    shares_system: whether other requests begin with this very system prompt, so that it pays to
        let the vendor keep it.
    max_output_tokens: the most the answer may cost, thinking included.
    temperature: sent only when set; the newest models refuse it.
    timeout: seconds for the whole answer.
    first_byte_timeout: seconds until a streamed answer begins; some models think before they do.
    idle_timeout: seconds without a sign of life in a streamed answer that has begun.
    stream: ask for the answer piece by piece where the provider can.
    tools: what the model may call; a provider that cannot offer them raises `invalid_request`.
    schema: the JSON Schema of the whole answer; a provider that cannot have the model keep to it
        leaves it out, and the answer is checked all the same.
    schema_is_part: it is the schema of a block of JSON in the answer; no provider knows of that.
    deployment: the name of the deployment to call, of a provider that has several.
    """

    system: str
    messages: tuple[Message, ...]
    model: str = ""
    max_output_tokens: int = 16_384
    temperature: float | None = None
    timeout: float = 600.0
    first_byte_timeout: float = 600.0
    idle_timeout: float = 60.0
    stream: bool = True
    shares_system: bool = False
    tools: tuple[ToolSpec, ...] = ()
    schema: Mapping[str, Any] | None = None
    schema_is_part: bool = False
    deployment: str = ""
    progress: CallProgress = field(factory=CallProgress, eq=False, repr=False)


class Stop(StrEnum):
    """Why a model stopped writing."""

    END = "end"
    LENGTH = "length"
    SAFETY = "safety"
    REFUSAL = "refusal"
    BAD_TOOL_CALL = "bad_tool_call"
    TOOL_USE = "tool_use"


def _is(*kinds: type) -> Any:
    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if not isinstance(value, kinds):
            raise TypeError(f"{attribute.name} of a Response cannot be {value!r}")

    return check


@frozen
class Response:
    """What a vendor answered with success; whether it is an answer is judged by the dispatcher.

    A field of the wrong type is a TypeError, so that it is the provider's and not a later one's.
    usage: None where the vendor told none, or none that can be believed.
    detail: the vendor's own word on why it stopped, for the reader of an error.
    cost: US dollars, or None where the price is unknown.
    headers: the reply's rate-limit headers, lower-case names.
    parts: the whole turn as it must stand in the conversation that goes on, where it is more than
        text: tool calls, and what the vendor wants back as it was. With tool calls, `stop` is
        `Stop.TOOL_USE`.
    """

    text: str = field(validator=_is(str))
    usage: Usage | None = field(default=None, validator=_is(Usage, NoneType))
    model: str = ""
    stop: Stop = field(default=Stop.END, converter=Stop)
    detail: str = field(default="", validator=_is(str))
    request_id: str | None = field(default=None, validator=_is(str, NoneType))
    cost: float | None = field(default=None, validator=_is(float, int, NoneType))
    headers: Mapping[str, str] = field(factory=dict, eq=False)
    parts: tuple[Part, ...] = field(default=(), validator=_is(tuple))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """List the calls that the model wants made, in their order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@frozen
class KnownModel:
    """A model that a provider's table could name.

    vendor: as the table has it. setting: the line that makes a provider of that vendor.
    input, output: US dollars per million tokens, None where they are unknown.
    max_output_tokens: None where it is unknown.
    """

    vendor: str
    model: str
    setting: str
    input: float | None = None
    output: float | None = None
    max_output_tokens: int | None = None


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
class HasContextWindow(Protocol):
    """A provider that knows how long a prompt may be."""

    def context_window(self, model: str) -> int | None:
        """Return the most tokens that a model reads, None where that is unknown."""
        ...


@runtime_checkable
class KnowsTools(Protocol):
    """A provider that says whether it can offer its models tools; of others that is expected."""

    @property
    def takes_tools(self) -> bool: ...


@runtime_checkable
class HasPrices(Provider, Protocol):
    """A provider that knows what its models cost."""

    def cost(self, model: str, usage: Usage) -> float | None:
        """Price a call in US dollars, None where that is unknown."""
        ...


@runtime_checkable
class NeedsSetup(Protocol):
    """A provider that knows, without a call, that it cannot be called."""

    def missing(self) -> str | None:
        """Describe what must be set first ("ANTHROPIC_API_KEY is not set"), or None."""
        ...


@runtime_checkable
class Diagnosable(Protocol):
    """A provider that can say, without a call, what looks wrong about how it is set up."""

    def diagnose(self, models: Iterable[str]) -> Iterable[str]:
        """Return a line for each problem, with its remedy; never a key.

        models: those that the team's routes use.
        """
        ...


@runtime_checkable
class Preparable(Protocol):
    """A provider with slow imports: `prepare` runs in a thread while the run starts."""

    def prepare(self) -> None: ...


@runtime_checkable
class Closeable(Protocol):
    """A provider that holds connections of the running event loop; an observer with work to finish.

    Awaited once a run is over; where a program keeps connections for more runs, as its loop ends.
    """

    async def aclose(self) -> None: ...


# Below, attributes are looked up: asking for the protocol takes a hundred times as long, and a
# call asks twenty times.


def resolve(route: Route, provider: Provider) -> Route:
    """Return a route that names its model: the provider's default where it named none."""
    return route if route.model else Route(route.provider, getattr(provider, "model", ""))


def lacking(provider: Provider) -> str | None:
    """Describe what must be set before a provider can be called; None where nothing is."""
    with _naming(provider):
        missing: Callable[[], str | None] | None = getattr(provider, "missing", None)
        return missing() if missing else None


def diagnosed(provider: Provider, models: Iterable[str]) -> list[str]:
    """List what looks wrong about how a provider and these of its models are set up."""
    with _naming(provider):
        return list(provider.diagnose(models)) if isinstance(provider, Diagnosable) else []


def ceiling(provider: Provider, model: str) -> int | None:
    """Return the largest output budget a model takes, or None where it is not known."""
    with _naming(provider):
        known = provider.max_output_tokens(model) if isinstance(provider, HasCeiling) else None
        return None if known is None else int(known)


def context_window(provider: Provider, model: str) -> int | None:
    """Return the most tokens that a model reads, or None where it is not known."""
    with _naming(provider):
        known = provider.context_window(model) if isinstance(provider, HasContextWindow) else None
        return None if known is None else int(known)


def cost(provider: Provider, model: str, usage: Usage) -> float | None:
    """Price a call by what its provider knows, in US dollars; None where that is unknown."""
    with _naming(provider):
        price = getattr(provider, "cost", None)
        known = price(model, usage) if price else None
        return None if known is None else float(known)


@contextmanager
def _naming(provider: Provider) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise PluginError(f"the provider {provider.name!r} broke: {why}") from error
