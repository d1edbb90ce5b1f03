"""What chat completions look like over HTTP, and what they mean.

Source: https://platform.openai.com/docs/api-reference/chat, and vLLM and OpenRouter's documents.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from rolecall import (
    CallProgress,
    Cause,
    ProviderError,
    Request,
    Response,
    Stop,
    Usage,
    provider_error,
)

SAID = {  # in an error, these words tell more than its status
    "context_length_exceeded": Cause.CONTEXT_OVERFLOW,
    "insufficient_quota": Cause.QUOTA_EXHAUSTED,
    "maximum context length": Cause.CONTEXT_OVERFLOW,
}
STOPS = {
    "length": Stop.LENGTH,
    "content_filter": Stop.SAFETY,
    "tool_calls": Stop.BAD_TOOL_CALL,
}


def body(request: Request) -> dict[str, Any]:
    """Write what is posted."""
    system = {"role": "system", "content": request.system}
    return {
        "model": request.model,
        "messages": [
            system,
            *({"role": each.role, "content": each.text} for each in request.messages),
        ],
        "max_tokens": request.max_output_tokens,
        "stream": request.stream,
        **({"stream_options": {"include_usage": True}} if request.stream else {}),
        **({} if request.temperature is None else {"temperature": request.temperature}),
    }


class Answer:
    """One answer on its way in: whole, or piece by piece."""

    def __init__(self, progress: CallProgress) -> None:
        self._progress = progress
        self._text = ""
        self._finish = ""
        self._usage = Usage()

    def add(self, data: bytes) -> None:
        """Take the JSON of a whole reply, or of one event."""
        try:
            payload = json.loads(data)
            if wrong := payload.get("error"):
                raise error(wrong.get("code") if isinstance(wrong, dict) else None, data)
            for choice in payload.get("choices", ()):
                self._grow((choice.get("delta") or choice.get("message") or {}).get("content"))
                self._finish = choice.get("finish_reason") or self._finish
            if told := payload.get("usage"):
                read, written = told.get("prompt_tokens"), told.get("completion_tokens")
                self._usage = Usage(read or 0, written or 0)
        except (ValueError, TypeError, AttributeError) as strange:
            said = data[:60].decode(errors="replace")
            raise ProviderError(Cause.BAD_PAYLOAD, f"no completion: {said!r}") from strange

    def response(self) -> Response:
        if not self._finish:
            raise ProviderError(Cause.CONNECTION, "the reply ended before the answer did")
        return Response(self._text, self._usage, stop=STOPS.get(self._finish, Stop.END))

    def _grow(self, text: str | None) -> None:
        if text:
            self._text += text
            self._progress.text(text)


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give each event's data; httpx would also split lines at characters that JSON may hold."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data != b"[DONE]":
                yield data


def error(code: object, said: bytes, headers: Mapping[str, str] | None = None) -> ProviderError:
    """Read an error; the code is an HTTP status, or whatever an error in the stream calls so."""
    status = code if isinstance(code, int) else 0
    found = provider_error(status, headers or {}, said, vendor="openai-compatible")
    text = said.decode(errors="replace")
    found.cause = next((cause for words, cause in SAID.items() if words in text), found.cause)
    return found
