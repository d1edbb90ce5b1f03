"""The simulator in OpenAI's format, read by the very reader that reads the vendors."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from attrs import evolve

from rolecall import (
    Cause,
    Message,
    ProviderError,
    ProviderSettings,
    Request,
    Response,
    Settings,
    ToolResult,
    ToolSpec,
)
from rolecall.execution.judge import judge
from rolecall_plugins.providers.configured.chat_completions import ChatCompletionsProvider
from rolecall_plugins.simulator.faults import CAUSES, variants
from rolecall_plugins.simulator.injection import Fault
from rolecall_plugins.simulator.limits import Limits
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.server import Simulator

REQUEST = Request(
    "You test.", (Message("user", "Hello"),), model="m", max_output_tokens=4000, timeout=0.5
)
LOOK = ToolSpec("look", "Look.", {"type": "object", "properties": {"path": {"type": "string"}}})


def ask(*requests: Request, **scenario: Any) -> list[Response | ProviderError]:
    """Ask a simulator one request after the other."""

    async def run() -> list[Response | ProviderError]:
        results: list[Response | ProviderError] = []
        async with Simulator(Scenario(**scenario)) as served:
            own = ProviderSettings(wire="openai", model="m", api_base=served.openai_base)
            provider = ChatCompletionsProvider("x", "X_API_BASE", Settings(providers={"x": own}))
            for request in requests:
                try:
                    results.append(await provider.complete(request))
                except ProviderError as error:
                    results.append(error)
                except TimeoutError:
                    results.append(ProviderError(Cause.TIMEOUT, "late"))
            await provider.aclose()
        return results

    return asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_is_read_with_its_counts(stream: bool) -> None:
    (response,) = ask(evolve(REQUEST, stream=stream))
    assert isinstance(response, Response)
    assert "simulated" in response.text.lower()
    assert response.usage is not None
    assert response.usage.output > 0
    assert response.headers["x-ratelimit-limit-requests"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("cause", "variant"),
    [(cause, each) for cause in CAUSES for each in variants("openai", cause)],
)
def test_each_fault_is_understood_as_its_cause(cause: str, variant: str, stream: bool) -> None:
    if cause == "bad_tool_call" and variant != "uninvited":
        pytest.skip("it needs tools that are offered")
    fault = Fault.parse(f"openai:{cause}@variant={variant}")
    (result,) = ask(evolve(REQUEST, stream=stream), faults=(fault,))
    found = judge(result, REQUEST) if isinstance(result, Response) else result.cause
    # A stream that ends within an event may as well have been cut on its way.
    cut = stream and variant == "cut_json"
    assert found == ("connection" if cut else cause)


def test_a_limit_refuses_and_names_itself() -> None:
    limits = {"openai": Limits(requests_per_minute=1)}
    first, second = ask(REQUEST, REQUEST, limits=limits)
    assert isinstance(first, Response)
    assert isinstance(second, ProviderError)
    assert (second.cause, second.limits) == ("rate_limited", {"requests": 1.0})
    assert second.retry_after is not None


@pytest.mark.parametrize("stream", [True, False])
def test_a_conversation_with_a_tool_goes_round(stream: bool) -> None:
    asked = evolve(REQUEST, tools=(LOOK,), stream=stream)
    fault = Fault.parse("openai:bad_tool_call:1@variant=endless")
    (called,) = ask(asked, faults=(fault,))
    assert isinstance(called, Response)
    (call,) = called.tool_calls
    turns = (
        *asked.messages,
        Message("assistant", called.text, called.parts),
        Message("user", "", (ToolResult("It is there.", call=call.id, name=call.name),)),
    )
    (answer,) = ask(evolve(asked, messages=turns))
    assert isinstance(answer, Response), answer


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "too short"),
        ([{"role": "nobody", "content": "x"}], "Invalid value"),
        ([{"role": "tool", "content": "x", "tool_call_id": "1"}], "must follow"),
        ([{"role": "user"}], "expected a string"),
    ],
)
def test_what_the_format_does_not_allow_is_rejected(messages: Any, words: str) -> None:
    async def run() -> tuple[int, str]:
        async with Simulator(Scenario()) as served, aiohttp.ClientSession() as session:
            body = json.dumps({"model": "m", "messages": messages})
            url = f"{served.openai_base}/chat/completions"
            async with session.post(url, data=body) as reply:
                return reply.status, await reply.text()

    status, text = asyncio.run(run())
    assert status == 400
    assert words in text
