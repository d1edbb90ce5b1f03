"""A model for other programs: a prompt in, a text out, under the team's limits."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from attrs import evolve

from ..config.layers import Layer, Level
from ..config.loading import load_settings
from ..config.settings import Settings
from ..errors import CallFailed, ProviderError, UsageError, nearest
from ..execution.context import CallContext, close
from ..execution.dispatcher import Dispatcher
from ..execution.redaction import Redactor, masked_errors, masked_log
from ..observers.event_bus import EventBus
from ..observers.ledger import Ledger
from ..plugin.assignment import read_routes
from ..plugin.manager import Host, supplied
from ..scheduling.prompts import Continuation
from ..types.agents import Agent
from ..types.causes import Cause
from ..types.events import Observer
from ..types.messages import Message, Request, Stop
from .background_loop import BackgroundLoop
from .loop_scope import LoopScope
from .text_stream import Restart, TextStreams

Prompt = str | Sequence[Mapping[str, str]]


class LLM:
    """Asks the first of its routes that answers, limited, judged and watched as a team's calls.

    routes: in order of preference, `PROVIDER` or `PROVIDER/MODEL`. system: sent with every prompt.
    temperature, max_output_tokens, timeout (seconds for a whole answer): None takes the settings'.
    settings: by default those of the current folder, `.env` and the environment.
    observers: hear every event, beside those of the plugins; `ledger` keeps the totals.
    Calls raise AllRoutesFailed where no route answers, CallFailed where a cause says stop.
    It may be used from several threads and event loops at once.
    """

    def __init__(
        self,
        *routes: str,
        system: str = "",
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        timeout: float | None = None,
        settings: Settings | None = None,
        host: Host | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.ledger = Ledger()
        self._streams = TextStreams()
        limits = {
            "temperature": temperature,
            "max_output_tokens": max_output_tokens,
            "timeout": timeout,
        }
        own: dict[str, float | None] = {
            name: value for name, value in limits.items() if value is not None
        }
        own["budget"] = None  # that is a run's
        settings = settings or load_settings(Path.cwd())
        self._settings = settings.with_layer(Layer(Level.CODE, "LLM", own))
        host = host or Host(block=self._settings.block)
        self._redact = redact = Redactor.of(self._settings)
        with masked_errors(redact):
            host.check()
            providers = supplied(host.providers(self._settings))
            limiters = list(supplied(host.limiters(self._settings)).values())
            plugged = host.observers(self._settings)
        self._agent = Agent(
            name="llm",
            title="LLM",
            goal="answer",
            prompt=system,
            routes=read_routes(routes, "LLM"),
        )
        for route in self._agent.routes:
            if route.provider not in providers:
                hint = nearest(route.provider, providers)
                raise UsageError(f"there is no provider {route.provider!r}{hint}")
        context = CallContext(
            providers=providers,
            limiters=limiters,
            settings=self._settings,
            emit=EventBus([self.ledger, self._streams], [*plugged, *observers]),
            redact=redact,
        )
        self._dispatcher = Dispatcher(context)
        self._connections = LoopScope(lambda: close(providers.values(), redact))
        self._loop = BackgroundLoop(self._connections)

    def call(self, prompt: Prompt) -> str:
        """Answer a prompt, or a conversation: `{"role": ..., "content": ...}`, the last turn last.

        For programs without an event loop, and beside a running one. All these calls share a loop
        in a thread of its own, and its connections.
        """
        return self._loop.run(self.acall(prompt))

    async def acall(self, prompt: Prompt) -> str:
        """Answer the same; a text that stays cut off raises CallFailed with `truncated`."""
        await self._connections.hold()
        # In a task of its own: what observers put into its context is gone with it.
        return await asyncio.create_task(self._answer(prompt))

    async def stream(self, prompt: Prompt) -> AsyncGenerator[str | Restart, None]:
        """Answer the same piece by piece, as the pieces arrive and before they are judged.

        Where a call fails after it streamed something (a fallback, a retry, a filter that blocks
        the answer), a `Restart` comes before the next call's text, and voids all that came before
        it. What comes after the last one is what `acall` returns; errors are raised as there.
        Leaving the iteration ends the call once the iterator is closed: `contextlib.aclosing`
        does so at once.
        """
        await self._connections.hold()
        pieces = self._streams.follow(lambda step, judged: self._answer(prompt, step, judged))
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def _answer(
        self, prompt: Prompt, step: str = "", judged: Callable[[str], None] = lambda text: None
    ) -> str:
        """Answer a prompt.

        step: a key for its calls. judged: is told the text so far whenever more of it is good.
        """
        system, messages = _read(prompt)
        request = evolve(
            self._settings.template,
            system="\n\n".join(filter(None, (self._agent.prompt, *system))),
            messages=messages,
        )
        continuation = Continuation(request, self._settings.continuations)
        rest: Request | None = request
        while rest is not None:
            with masked_errors(self._redact), masked_log(self._redact):
                answer = await self._dispatcher.run(self._agent, rest, step)
            rest = continuation.add(answer.response)
            judged(continuation.text)
        if answer.response.stop is Stop.LENGTH:
            cut = ProviderError(Cause.TRUNCATED, "the output limit cut the answer")
            raise CallFailed(self._agent.name, [(answer.route, cut)])
        return self._redact.known(continuation.text)


def _read(prompt: Prompt) -> tuple[list[str], tuple[Message, ...]]:
    """Split a prompt into system texts and turns; neighbours of one role become one turn."""
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    system: list[str] = []
    messages: list[Message] = []
    for turn in turns:
        role, text = turn.get("role"), turn.get("content")
        if not isinstance(text, str):
            raise UsageError(f"the content of a message must be text, not {text!r}")
        match role:
            case "system":
                system.append(text)
            case "user" | "assistant" if messages and messages[-1].role == role:
                messages[-1] = Message(role, f"{messages[-1].text}\n\n{text}")
            case "user" | "assistant":
                messages.append(Message(role, text))
            case _:
                roles = "system, user or assistant"
                raise UsageError(f"the role of a message must be {roles}, not {role!r}")
    if not messages:
        raise UsageError("there is nothing to answer: no message of role 'user'")
    return system, tuple(messages)
