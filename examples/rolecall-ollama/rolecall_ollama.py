"""The provider `ollama`: local models, through litellm."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rolecall import (
    CallProgress,
    Cause,
    Provider,
    ProviderError,
    Request,
    Response,
    Settings,
    Stop,
    Usage,
    hookimpl,
    provider_error,
)

if TYPE_CHECKING:
    from openai import APIError

UNANSWERED = {  # litellm's errors without a reply: what they mean, and what to do about them
    "APIConnectionError": (Cause.CONNECTION, "no answer from {base}; is `ollama serve` running?"),
    "MidStreamFallbackError": (Cause.CONNECTION, "the answer from {base} broke off"),
    "Timeout": (Cause.TIMEOUT, "no sign of life from {base}"),
}
ADVICE: dict[str, str] = {  # by cause, where the reply tells a status
    Cause.UNKNOWN_MODEL: "{model} is not on this machine; ollama pull {model}",
    Cause.OVERLOADED: "Ollama's queue is full",
}


class Ollama:
    """Calls the models that `ollama serve` has."""

    name = "ollama"
    takes_tools = False

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
            raise self._failure(error, request.model, getattr(error, "status_code", 0)) from error
        try:
            answer = await _whole(answer, request.progress) if request.stream else answer
        except APIError as error:  # the status that it has is litellm's, not Ollama's
            raise self._failure(error, request.model, 0) from error
        choice, usage = answer.choices[0], answer.usage
        return Response(
            text=choice.message.content or "",
            usage=Usage(usage.prompt_tokens, usage.completion_tokens),
            stop=Stop.LENGTH if choice.finish_reason == "length" else Stop.END,
            cost=0.0,
        )

    def _failure(self, error: "APIError", model: str, status: int) -> ProviderError:
        """Read one of litellm's errors; it wraps the reply that it got, if it got one."""
        if (unanswered := UNANSWERED.get(type(error).__name__)) is not None:
            cause, why = unanswered
            return ProviderError(cause, f"{why.format(base=self._base)} ({str(error)[:200]})")
        headers = getattr(getattr(error, "response", None), "headers", {})
        found = provider_error(status, headers, str(error), vendor="Ollama")
        if (advice := ADVICE.get(found.cause)) is not None:
            found.args = (f"{advice.format(model=model)} ({found})",)
        return found

    async def _answer(self, request: Request) -> Any:
        litellm = _litellm()
        await request.progress.sending()
        return await litellm.acompletion(
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
            timeout=request.first_byte_timeout if request.stream else request.timeout,
            max_retries=0,
        )


async def _whole(answer: Any, progress: CallProgress) -> Any:
    """Put an answer together from the pieces in which it comes."""
    chunks = []
    async for chunk in answer:
        chunks.append(chunk)
        if text := chunk.choices[0].delta.content:
            progress.text(text)
    return _litellm().stream_chunk_builder(chunks)


def _litellm() -> Any:
    """Import litellm, which takes seconds; `prepare` does so while a run starts."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it fetches prices
    import litellm

    litellm.suppress_debug_info = True
    return litellm


@hookimpl
def rolecall_providers(settings: Settings) -> Iterable[Provider]:
    return [Ollama(settings)]
