"""Our providers read what the services really sent; opens a port on this machine's loopback."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import asdict, frozen
from places import WIRE

from rolecall import (
    CallProgress,
    Message,
    Provider,
    ProviderError,
    Request,
    Response,
    Settings,
    Stop,
)
from rolecall.execution.judge import judge
from rolecall_plugins import claude, gemini
from rolecall_plugins.providers.writing import anthropic_request, gemini_request

from .reader import ANY, Expected, event_stream, expected, streamed
from .upstream import MADE_UP, Upstream, serving

FOLDER = WIRE / "interactions"
if not FOLDER.is_dir():
    pytest.skip("the recorded traffic (../shared/wire) is not here", allow_module_level=True)

# The client library's own warnings are not ours to judge.
pytestmark = pytest.mark.filterwarnings("ignore")

EXCHANGES = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
STREAMS = sorted(name for name, each in EXCHANGES.items() if event_stream(each))
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-api03-conformance", "GEMINI_API_KEY": "AIzaConformance"}
LEAKS = re.compile(
    r"organization\W+[0-9a-f]{8}-|\borg[-_]\w|\bwrkspc_|projects?[ /=]+[\w-]*\d|sk-ant|AIza"
)


class Heard(CallProgress):
    """Keeps what a provider tells of the text."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def text(self, delta: str) -> None:
        self.pieces.append(delta)


@frozen
class Outcome:
    """What came of one call."""

    result: Response | ProviderError
    requests: int
    heard: str
    provider: str

    @property
    def cause(self) -> str:
        if isinstance(self.result, ProviderError):
            return self.result.cause
        return judge(self.result) or ""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with serving() as served:
        yield served


@pytest.mark.parametrize("name", sorted(EXCHANGES))
def test_a_recorded_exchange_is_read_as_what_it_means(name: str, upstream: Upstream) -> None:
    verify(EXCHANGES[name], expected(EXCHANGES[name]), upstream)


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_lost_its_last_events_is_read_as_what_is_left(
    name: str, torn: bool, upstream: Upstream
) -> None:
    left = without_ending(EXCHANGES[name])
    meant = expected(left)
    assert meant.cause or EXCHANGES[name]["provider"] != "anthropic"
    served = with_body(left, lambda body: body + '\n\ndata: {"type": "mess') if torn else left
    verify(served, meant, upstream)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_lost_its_last_line_ends_is_read_as_whole(
    name: str, upstream: Upstream
) -> None:
    served = with_body(EXCHANGES[name], str.rstrip)
    verify(served, expected(EXCHANGES[name]), upstream)


def verify(exchange: Any, meant: Expected, upstream: Upstream) -> None:
    outcome = asyncio.run(call(exchange, upstream))
    assert outcome.requests == 1
    if meant.cause == ANY:
        assert outcome.cause
    else:
        assert outcome.cause == meant.cause, outcome.result
        check(outcome, meant, whole=event_stream(exchange))
    assert not leaked(outcome.result)


def check(outcome: Outcome, meant: Expected, whole: bool) -> None:
    result = outcome.result
    assert dict(result.headers) == meant.limits
    if isinstance(result, Response):
        assert result.text == (meant.text or "")
        assert (result.usage and asdict(result.usage)) == meant.usage
        assert outcome.heard == result.text or not (whole or outcome.heard)
        assert (result.stop is Stop.TOOL_USE) == bool(meant.turn)
        assert written_back(result, outcome.provider) == list(meant.turn)
        ids = [call.id for call in result.tool_calls]
        assert all(ids)
        assert len(ids) == len(set(ids))
        return
    assert result.retryable is not meant.useless
    if meant.wait is None:
        assert result.retry_after is None
    else:
        least, most = meant.wait
        assert result.retry_after is not None
        assert least <= result.retry_after <= most


def written_back(response: Response, provider: str) -> list[Any]:
    """Return what goes back of a turn with calls, in the vendor's own form."""
    request = Request("", (Message("assistant", parts=response.parts),))
    if provider == "claude":
        (*turns,) = anthropic_request.write(request, provider)["messages"]
        return [block for turn in turns for block in turn["content"]]
    (*turns,) = gemini_request.write(request, provider)["contents"]
    return [part for turn in turns for part in turn["parts"]]


def without_ending(exchange: Any) -> Any:
    """Drop from a stream all that comes with, or after, its last word on why it stopped."""
    word = '"message_delta"' if exchange["provider"] == "anthropic" else '"finishReason"'

    def cut(body: str) -> str:
        end = body.rfind(word)
        return body[: body.rfind("\ndata:", 0, end) + 1] if end >= 0 else body

    return with_body(exchange, cut)


def with_body(exchange: Any, change: Callable[[str], str]) -> Any:
    """Change what a stream says; its bytes as recorded are no longer known then."""
    response = exchange["response"]
    wire = {name: value for name, value in response["wire"].items() if name != "raw_base64"}
    return {**exchange, "response": {**response, "body": change(response["body"]), "wire": wire}}


def leaked(result: Response | ProviderError) -> list[str]:
    """Find what names a customer in all that is shown or kept of a call, the text apart."""
    said = result.detail if isinstance(result, Response) else str(result)
    kept = f"{said} {dict(result.headers)}"
    ids = [value for value in MADE_UP.values() if value in kept]
    return ids + [match[0] for match in LEAKS.finditer(kept)]


async def call(exchange: Any, upstream: Upstream) -> Outcome:
    upstream.answers_with(exchange)
    provider = made(exchange, upstream)
    heard = Heard()
    request = Request(
        system="You are a tester.",
        messages=(Message("user", "Say something."),),
        model=provider.model,  # type: ignore[attr-defined]
        max_output_tokens=1024,
        timeout=10,
        idle_timeout=5,
        stream=streamed(exchange),
        progress=heard,
    )
    result: Response | ProviderError
    try:
        result = await provider.complete(request)
    except ProviderError as error:
        result = error
    finally:
        await provider.aclose()  # type: ignore[attr-defined]
    return Outcome(result, upstream.requests, "".join(heard.pieces), provider.name)


def made(exchange: Any, upstream: Upstream) -> Provider:
    """Make our provider for an exchange's vendor; its endpoint is the upstream."""
    bases = {"ANTHROPIC_API_BASE": upstream.url, "GEMINI_API_BASE": upstream.url}
    plugin = claude if exchange["provider"] == "anthropic" else gemini
    provider: Provider
    (provider,) = plugin.rolecall_providers(Settings(environment={**KEYS, **bases}))
    return provider
