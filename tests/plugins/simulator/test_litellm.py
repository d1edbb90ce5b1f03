"""The real client library against the simulator; opens a port on this machine's loopback."""

import asyncio
import gc
import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from rolecall_plugins.simulator.scenario import Fault, Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread

from .asking import ASKED, SYSTEM

# The library's own warnings are not ours to judge.
pytestmark = pytest.mark.filterwarnings("ignore")

MODELS = {"claude": "anthropic/claude-sonnet-5-5", "gemini": "gemini/gemini-3.8-flash"}
WHOLE = "> **Simulated reply.** Written by rolecall's simulator, not by a language model.\n"


@pytest.fixture(scope="module")
def litellm() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        patch.setenv("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")
        patch.setenv("LITELLM_MODE", "PRODUCTION")
        yield importlib.import_module("litellm")
        gc.collect()  # the clients that it left open would be another test's warning


async def call(litellm: Any, simulator: Simulator, provider: str, **rest: Any) -> Any:
    base = simulator.anthropic_base if provider == "claude" else simulator.gemini_base
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ASKED}]
    asked: dict[str, Any] = {"max_tokens": 4096, "messages": messages, "api_key": "a key"}
    return await litellm.acompletion(model=MODELS[provider], api_base=base, **(asked | rest))


@pytest.mark.parametrize("provider", ["claude", "gemini"])
def test_it_gets_a_plain_reply_and_its_usage(litellm: Any, provider: str) -> None:
    with serve_in_thread(Scenario()) as simulator:
        answer = asyncio.run(call(litellm, simulator, provider))
        arrival = simulator.arrivals[0]
    assert answer.choices[0].message.content.startswith(WHOLE)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == arrival.input_tokens
    assert answer.usage.completion_tokens == arrival.output_tokens
    assert (arrival.agent, arrival.status) == ("solution-architect", 200)


@pytest.mark.parametrize("provider", ["claude", "gemini"])
def test_it_gets_the_same_reply_streamed(litellm: Any, provider: str) -> None:
    async def run(simulator: Simulator) -> tuple[str, str, str]:
        plain = await call(litellm, simulator, provider)
        text, finish = "", ""
        async for chunk in await call(litellm, simulator, provider, stream=True):
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        return plain.choices[0].message.content, text, finish

    with serve_in_thread(Scenario()) as simulator:
        plain, streamed, finish = asyncio.run(run(simulator))
    assert streamed == plain
    assert finish == "stop"


@pytest.mark.parametrize("provider", ["claude", "gemini"])
def test_a_cut_reply_is_continued_through_it(litellm: Any, provider: str) -> None:
    async def run(simulator: Simulator) -> tuple[str, str]:
        whole = await call(litellm, simulator, provider)
        first = await call(litellm, simulator, provider, max_tokens=80)
        assert first.choices[0].finish_reason == "length"
        part = first.choices[0].message.content
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": ASKED},
            {"role": "assistant", "content": part},
            {"role": "user", "content": "Continue it exactly where it stopped."},
        ]
        rest = await call(litellm, simulator, provider, messages=messages)
        return whole.choices[0].message.content, part + rest.choices[0].message.content

    with serve_in_thread(Scenario()) as simulator:
        whole, joined = asyncio.run(run(simulator))
    assert joined == whole


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("claude:rate_limited@retry_after=3", "RateLimitError"),
        ("gemini:rate_limited", "RateLimitError"),
        ("claude:overloaded", "InternalServerError"),
        ("claude:auth", "AuthenticationError"),
        ("gemini:auth", "AuthenticationError"),
        ("claude:unknown_model", "NotFoundError"),
        ("gemini:unknown_model", "NotFoundError"),
        ("claude:context_overflow", "ContextWindowExceededError"),
        ("gemini:context_overflow", "ContextWindowExceededError"),
    ],
)
def test_it_takes_a_simulated_failure_for_a_real_one(litellm: Any, fault: str, error: str) -> None:
    provider = fault.partition(":")[0]
    with (
        serve_in_thread(Scenario(faults=(Fault.parse(fault),))) as simulator,
        pytest.raises(getattr(litellm, error)) as raised,
    ):
        asyncio.run(call(litellm, simulator, provider))
    if fault.endswith("retry_after=3"):
        assert raised.value.litellm_response_headers["retry-after"] == "3"


@pytest.mark.parametrize("fault", ["*:empty", "*:thinking_only"])
@pytest.mark.parametrize("provider", ["claude", "gemini"])
def test_an_empty_answer_is_no_error_to_it(litellm: Any, provider: str, fault: str) -> None:
    with serve_in_thread(Scenario(faults=(Fault.parse(fault),))) as simulator:
        answer = asyncio.run(call(litellm, simulator, provider))
    assert not answer.choices[0].message.content
