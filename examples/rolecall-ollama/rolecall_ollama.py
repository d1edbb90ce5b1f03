"""The provider `ollama`: local models, through litellm."""

import os
from collections.abc import Iterable
from typing import Any

from rolecall import (
    Cause,
    Provider,
    ProviderError,
    Request,
    Response,
    Settings,
    Stop,
    Usage,
    hookimpl,
)

ERRORS = {  # litellm's: what it means, and what to do about it
    "APIConnectionError": (Cause.CONNECTION, "no answer from {base}; is `ollama serve` running?"),
    "MidStreamFallbackError": (Cause.CONNECTION, "the answer from {base} broke off"),
    "NotFoundError": (Cause.UNKNOWN_MODEL, "{model} is not on this machine; ollama pull {model}"),
    "ServiceUnavailableError": (Cause.OVERLOADED, "Ollama's queue is full"),
    "Timeout": (Cause.TIMEOUT, "no sign of life from {base}"),
}
OTHERS = (Cause.SERVER_ERROR, "Ollama failed")


class Ollama:
    """Calls the models that `ollama serve` has."""

    name = "ollama"

    def __init__(self, settings: Settings) -> None:
        own = settings.provider(self.name)
        base = settings.variable("OLLAMA_API_BASE") or own.api_base or "http://localhost:11434"
        self.model = own.model or "llama3.2"
        self._base = base.rstrip("/")
        self._context = own.options.get("num_ctx", 32_768)  # by itself Ollama cuts long prompts

    def prepare(self) -> None:
        _litellm()

    def cost(self, model: str, usage: Usage) -> float:
        return 0.0  # the machine is yours

    async def complete(self, request: Request) -> Response:
        from openai import APIError  # the base of litellm's errors

        if request.tools:
            raise ProviderError(Cause.INVALID_REQUEST, "this plugin offers its models no tools")
        try:
            answer = await self._answer(request)
        except APIError as error:
            cause, meaning = ERRORS.get(type(error).__name__, OTHERS)
            why = meaning.format(base=self._base, model=request.model)
            raise ProviderError(cause, f"{why} ({str(error)[:200]})") from error
        choice, usage = answer.choices[0], answer.usage
        return Response(
            text=choice.message.content or "",
            usage=Usage(usage.prompt_tokens, usage.completion_tokens),
            stop=Stop.LENGTH if choice.finish_reason == "length" else Stop.END,
            cost=0.0,
        )

    async def _answer(self, request: Request) -> Any:
        litellm = _litellm()
        await request.progress.sending()
        answer = await litellm.acompletion(
            model=f"ollama_chat/{request.model}",
            api_base=self._base,
            messages=[
                {"role": "system", "content": request.system},
                *({"role": each.role, "content": each.text} for each in request.messages),
            ],
            max_tokens=request.max_output_tokens,
            num_ctx=self._context,
            temperature=request.temperature,
            stream=request.stream,
            timeout=request.idle_timeout if request.stream else request.timeout,
            max_retries=0,
        )
        if not request.stream:
            return answer
        chunks = []
        async for chunk in answer:
            chunks.append(chunk)
            if text := chunk.choices[0].delta.content:
                request.progress.text(text)
        return litellm.stream_chunk_builder(chunks)


def _litellm() -> Any:
    """Import litellm, which takes seconds; `prepare` does so while a run starts."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it fetches prices
    import litellm

    litellm.suppress_debug_info = True
    return litellm


@hookimpl
def rolecall_providers(settings: Settings) -> Iterable[Provider]:
    return [Ollama(settings)]
