"""Ways to make the same calls: ours, litellm's and those of other packages."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen
from vendors import MODELS, OVERLOADED, QUESTION, SYSTEM, answer

KEYS = {"claude": "sk-ant-bench", "gemini": "AIza-bench"}
PREFIXES = {"claude": "anthropic", "gemini": "gemini"}
AT_ONCE = 50
MAX_TOKENS = 1000


@frozen
class Load:
    """Calls to make.

    vendors: whose turn it is, over and over; `gemini>claude` is Gemini, overloaded, then Claude.
    pieces: of each answer. runs: how often it is all done, one after the other.
    """

    calls: int
    at_once: int
    vendors: tuple[str, ...] = ("claude",)
    pieces: int = 20
    stream: bool = False
    runs: int = 1

    def routes(self, turn: int) -> list[tuple[str, str]]:
        """Return the vendors and models of a call, in the order in which they are asked."""
        vendor = self.vendors[turn % len(self.vendors)]
        first, arrow, second = vendor.partition(">")
        if arrow:
            return [(first, OVERLOADED[first]), (second, MODELS[second])]
        return [(vendor, MODELS[vendor])]


Ask = Callable[[Load, int], Awaitable[str]]
Work = Callable[[Load], Awaitable[None]]


@frozen
class Contestant:
    """A way to make calls that can be installed.

    make: returns what makes a load's calls, given the server's address and a folder.
    only_plain: whether it is left out of what is streamed, falls back, or calls Gemini.
    """

    package: str
    make: Callable[[str, Path], Work]
    fails_over: bool = True
    only_plain: bool = False


def apiece(ask: Ask) -> Work:
    """Make a load's calls one by one, as many at once as it wants."""

    async def work(load: Load) -> None:
        turns = iter(range(load.calls))

        async def worker() -> None:
            for turn in turns:
                assert await ask(load, turn) == answer(load.pieces)

        await asyncio.gather(*(worker() for _ in range(load.at_once)))

    return work


def bare(base: str, folder: Path) -> Work:
    """Send the bytes that are needed, and read the text of the reply."""
    from aiohttp import ClientSession

    session = cache(ClientSession)

    async def ask(load: Load, turn: int) -> str:
        ((vendor, model),) = load.routes(turn)
        url, headers, body, text_of = _BARE[vendor](base, model, load)
        async with session().post(url, json=body, headers=headers) as reply:
            if not load.stream:
                return str(text_of(await reply.json()))
            texts = []
            async for line in reply.content:
                if line.startswith(b"data:"):
                    texts.append(text_of(json.loads(line[5:])))
            return "".join(texts)

    return apiece(ask)


def _bare_claude(base: str, model: str, load: Load) -> tuple[str, dict[str, str], Any, Any]:
    said = [{"role": "user", "content": QUESTION.format(load.pieces)}]
    body = {"model": model, "system": SYSTEM, "messages": said, "max_tokens": MAX_TOKENS}
    if load.stream:
        body["stream"] = True

    def text_of(event: Any) -> Any:
        if load.stream:
            return event.get("delta", {}).get("text", "")
        return event["content"][0]["text"]

    return f"{base}/v1/messages", {"x-api-key": KEYS["claude"]}, body, text_of


def _bare_gemini(base: str, model: str, load: Load) -> tuple[str, dict[str, str], Any, Any]:
    body = {
        "contents": [{"role": "user", "parts": [{"text": QUESTION.format(load.pieces)}]}],
        "systemInstruction": {"parts": [{"text": SYSTEM}]},
        "generationConfig": {"maxOutputTokens": MAX_TOKENS},
    }
    verb = "streamGenerateContent?alt=sse" if load.stream else "generateContent"
    url = f"{base}/v1beta/models/{model}:{verb}"
    return (
        url,
        {"x-goog-api-key": KEYS["gemini"]},
        body,
        lambda event: event["candidates"][0]["content"]["parts"][0]["text"],
    )


_BARE = {"claude": _bare_claude, "gemini": _bare_gemini}


def litellm(base: str, folder: Path) -> Work:
    import litellm
    from litellm import InternalServerError, ServiceUnavailableError, acompletion

    litellm.suppress_debug_info = True  # it prints where to give feedback

    async def once(vendor: str, model: str, load: Load) -> str:
        reply: Any = await acompletion(
            **_litellm_model(vendor, model, base), messages=_messages(load), stream=load.stream
        )
        if load.stream:
            return "".join([each.choices[0].delta.content or "" async for each in reply])
        return str(reply.choices[0].message.content)

    async def ask(load: Load, turn: int) -> str:
        *others, last = load.routes(turn)
        for vendor, model in others:
            try:
                return await once(vendor, model, load)
            except (InternalServerError, ServiceUnavailableError):
                continue
        return await once(*last, load)

    return apiece(ask)


def _messages(load: Load) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": QUESTION.format(load.pieces)},
    ]


def _litellm_model(vendor: str, model: str, base: str) -> dict[str, Any]:
    return {
        "model": f"{PREFIXES[vendor]}/{model}",
        "api_base": base if vendor == "claude" else f"{base}/v1beta",
        "api_key": KEYS[vendor],
        "max_tokens": MAX_TOKENS,
        "max_retries": 0,
    }


def router(base: str, folder: Path) -> Work:
    import litellm
    from litellm import Router

    litellm.suppress_debug_info = True
    models = [(vendor, each[vendor]) for each in (MODELS, OVERLOADED) for vendor in each]
    made = Router(
        model_list=[
            {"model_name": model, "litellm_params": _litellm_model(vendor, model, base)}
            for vendor, model in models
        ],
        fallbacks=[{OVERLOADED["gemini"]: [MODELS["claude"]]}],
        num_retries=0,
        disable_cooldowns=True,
    )

    async def ask(load: Load, turn: int) -> str:
        (_, model), *_ = load.routes(turn)
        reply: Any = await made.acompletion(
            model=model, messages=_messages(load), stream=load.stream
        )
        if load.stream:
            return "".join([each.choices[0].delta.content or "" async for each in reply])
        return str(reply.choices[0].message.content)

    return apiece(ask)


def pydantic_ai(base: str, folder: Path) -> Work:
    from anthropic import AsyncAnthropic
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(base_url=base, api_key=KEYS["claude"], max_retries=0)
    model = AnthropicModel(MODELS["claude"], provider=AnthropicProvider(anthropic_client=client))
    # Without a limit it streams, for then an answer might be a long one.
    agent = Agent(model, system_prompt=SYSTEM, model_settings={"max_tokens": MAX_TOKENS})

    async def ask(load: Load, turn: int) -> str:
        return (await agent.run(QUESTION.format(load.pieces))).output

    return apiece(ask)


def langchain(base: str, folder: Path) -> Work:
    from langchain_anthropic import ChatAnthropic

    options: dict[str, Any] = {"model": MODELS["claude"], "base_url": base, "max_retries": 0}
    chat = ChatAnthropic(**options, api_key=KEYS["claude"], max_tokens=MAX_TOKENS)

    async def ask(load: Load, turn: int) -> str:
        question = QUESTION.format(load.pieces)
        return str((await chat.ainvoke([("system", SYSTEM), ("human", question)])).content)

    return apiece(ask)


def an_llm(base: str, folder: Path) -> Work:
    """Make calls outside any run."""
    from rolecall import LLM

    @cache
    def llm(load: Load, *routes: str) -> LLM:
        settings = _settings(base, load, str(folder / "state"), "")
        return LLM(*routes, system=SYSTEM, settings=settings)

    async def ask(load: Load, turn: int) -> str:
        made = llm(load, *_routes(load, turn))
        return await made.acall(QUESTION.format(load.pieces))

    return apiece(ask)


def a_run(base: str, folder: Path) -> Work:
    """Put a team to work whose agents need nobody: journal, events, judgement, limiter, report."""
    from rolecall import Agent, Team

    @cache
    def team(load: Load) -> Team:
        agents = [
            Agent(
                name=f"agent-{turn}", title="T", goal="g", prompt=SYSTEM, routes=_routes(load, turn)
            )
            for turn in range(load.calls)
        ]
        settings = _settings(base, load, str(folder / "state"), str(folder / "runs"))
        return Team(agents, settings=settings)

    async def work(load: Load) -> None:
        for _ in range(load.runs):
            result = await team(load).run(QUESTION.format(load.pieces))
            texts = list(result.deliverables.values())
            assert len(texts) == load.calls, result.failed
            assert all(text.strip() == answer(load.pieces) for text in texts)

    return work


def _routes(load: Load, turn: int) -> list[str]:
    return [f"{vendor}/{model}" for vendor, model in load.routes(turn)]


def _settings(base: str, load: Load, state: str, runs: str) -> Any:
    """Let pacing take no time, and nobody retry or be left alone."""
    from rolecall import Action, Cause, ProviderSettings, Settings

    at_once = min(load.at_once, AT_ONCE)
    bases = {"claude": base, "gemini": f"{base}/v1beta"}
    return Settings(
        interval=0,
        providers={
            name: ProviderSettings(api_base=address, concurrency=at_once)
            for name, address in bases.items()
        },
        on={Cause.OVERLOADED: Action.FALLBACK},
        breaker_failures=1_000_000,
        stream=load.stream,
        state=state,
        runs=runs,
        quiet=True,
    ).with_environment(ANTHROPIC_API_KEY=KEYS["claude"], GEMINI_API_KEY=KEYS["gemini"])


CONTESTANTS = {
    "litellm": Contestant("litellm", litellm),
    "(aiohttp alone)": Contestant("aiohttp", bare, fails_over=False),
    "rolecall, `LLM.acall`": Contestant("rolecall", an_llm),
    "rolecall, a run": Contestant("rolecall", a_run),
    "litellm's Router": Contestant("litellm", router),
    "pydantic-ai": Contestant("pydantic_ai", pydantic_ai, only_plain=True),
    "langchain": Contestant("langchain_anthropic", langchain, only_plain=True),
}
