"""What a success in OpenAI's chat completions format says, plain or streamed.

Source: https://platform.openai.com/docs/api-reference/chat, the documents of the vendors and
servers that speak it too, and recorded traffic where these differ.
"""

import json
from collections.abc import Mapping

from attrs import define, field

from rolecall import Cause, Part, ProviderError, Response, Stop, Text, ToolCall, Usage, Verbatim

from ..reply_reader import Headers
from .fields import (
    TextPieces,
    count,
    items,
    items_or_empty,
    table,
    table_or_empty,
    text,
    text_or_empty,
    well_formed,
)
from .openai_errors import limit_headers, openai_error, request_id
from .turns import identified

STOPS: Mapping[str, Stop] = {
    "stop": Stop.END,
    "eos": Stop.END,
    "stop_sequence": Stop.END,
    "length": Stop.LENGTH,
    "max_tokens": Stop.LENGTH,
    "model_length": Stop.LENGTH,
    "content_filter": Stop.SAFETY,
    "tool_calls": Stop.TOOL_USE,
    "function_call": Stop.TOOL_USE,
}
# Where a model thinks aloud; of a turn with tool calls some vendors want it back.
THOUGHTS = ("reasoning_content", "reasoning")
THOUGHT_BLOCKS = ("reasoning_details", "thinking_blocks")
_OF_CALLS = ("index", "id", "type", "function")


class OpenAIReply:
    """One chat completion.

    provider: the name of the provider that gets back what it sent.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._text = TextPieces()
        self._refusal = TextPieces()
        self._thoughts: dict[str, list[str]] = {}
        self._blocks: dict[str, list[object]] = {}
        self._calls: dict[int, _Call] = {}
        self._counts: dict[str, object] = {}
        self._has_final_counts = False
        self._model = ""
        self._stop = ""
        self._error: ProviderError | None = None
        self.has_begun = False
        self.is_over = False

    @property
    def is_whole(self) -> bool:
        return bool(self._stop)

    @property
    def usage(self) -> Usage | None:
        return _usage(self._counts)

    def absorb(self, payload: object) -> str:
        body = table(payload)
        if self.is_whole:
            # The counts come last, in an event of their own; all else belongs to no answer of ours.
            if not self.is_over and body.get("usage"):
                self._count(body.get("usage"))
                self.is_over = True
            return ""
        if body.get("error") or body.get("object") == "error":
            return self._fail(body)
        if "choices" not in body:
            return ""
        choices = [table(choice) for choice in items(body.get("choices"))]
        added = "".join(self._choose(choice) for choice in choices if not choice.get("index"))
        self.has_begun = True
        self._model = text_or_empty(body.get("model")) or self._model
        if body.get("object") == "chat.completion" or any("message" in each for each in choices):
            self._stop = self._stop or "stop"
        self._count(body.get("usage") or table_or_empty(body.get("x_groq")).get("usage"))
        return added

    def response(self, headers: Headers) -> Response:
        if self._error is not None:
            raise self._error
        if not self.is_whole:
            raise self._ended(Cause.CONNECTION, "the stream ended before the answer did", headers)
        if self._stop == "insufficient_system_resource":
            raise self._ended(Cause.OVERLOADED, f"finish_reason {self._stop}", headers)
        if self._stop == "error":
            raise self._ended(Cause.SERVER_ERROR, "finish_reason error", headers)
        calls = [self._calls[place].part(self._provider) for place in sorted(self._calls)]
        stop, detail = self._why(bool(calls))
        shown = str(self._text)
        return Response(
            text=shown,
            usage=self.usage if self._has_final_counts else None,
            model=self._model,
            stop=stop,
            detail=detail,
            request_id=request_id(headers),
            headers=limit_headers(headers),
            parts=self._turn(shown, calls) if stop is Stop.TOOL_USE else (),
        )

    def error(self, status: int, headers: Headers, payload: object, text: str) -> ProviderError:
        return openai_error(status, headers, payload, text)

    def _fail(self, body: Mapping[str, object]) -> str:
        self._error = self.error(0, {}, body, json.dumps(body))
        self.has_begun = self.is_over = True
        return ""

    def _ended(self, cause: Cause, why: str, headers: Headers) -> ProviderError:
        return ProviderError(cause, why, headers=limit_headers(headers))

    def _choose(self, choice: Mapping[str, object]) -> str:
        """Take a piece of the answer, or all of it; return the text that it adds."""
        if choice.get("error"):
            return self._fail(choice)
        turn = table(choice.get("delta") or choice.get("message"))
        for call in items(turn.get("tool_calls")):
            self._call(table(call))
        added = self._text.add(_content(turn.get("content")))
        self._refusal.add(text(turn.get("refusal")))
        for name in THOUGHTS:
            if isinstance(thought := turn.get(name), str) and thought:
                self._thoughts.setdefault(name, []).append(well_formed(thought))
        for name in THOUGHT_BLOCKS:
            if blocks := items_or_empty(turn.get(name)):
                self._blocks.setdefault(name, []).extend(blocks)
        self._stop = text_or_empty(choice.get("finish_reason")) or self._stop
        return added

    def _call(self, piece: Mapping[str, object]) -> None:
        place = piece.get("index")
        if not isinstance(place, int):
            # Some number no calls: one with an id begins, one without goes on.
            place = len(self._calls) - (not piece.get("id") and bool(self._calls))
        self._calls.setdefault(place, _Call()).add(piece)

    def _why(self, called: bool) -> tuple[Stop, str]:
        stop, detail = STOPS.get(self._stop), ""
        if stop is None:  # new to us: what came is taken for whole, as a model ends mostly
            stop, detail = Stop.END, f"finish_reason {self._stop}"
        if called and stop is Stop.END:
            return Stop.TOOL_USE, detail
        if refusal := str(self._refusal).strip():
            return Stop.REFUSAL, f"the model refused: {refusal}"
        if stop is Stop.TOOL_USE and not called:
            return Stop.BAD_TOOL_CALL, detail
        return stop, detail

    def _turn(self, shown: str, calls: list[ToolCall]) -> tuple[Part, ...]:
        """Return the turn as it goes back, with what the model thought aloud before its calls."""
        thoughts: dict[str, object] = {
            name: "".join(pieces) for name, pieces in self._thoughts.items()
        }
        thoughts |= self._blocks
        parts: list[Part] = [Verbatim(self._provider, thoughts)] if thoughts else []
        if shown:
            parts.append(Text(shown))
        return identified([*parts, *calls])

    def _count(self, usage: object) -> None:
        counts = table_or_empty(usage)
        self._has_final_counts = self._has_final_counts or (self.is_whole and bool(counts))
        self._counts |= {name: tokens for name, tokens in counts.items() if tokens is not None}


@define
class _Call:
    """One tool call on its way in; `form` is what the vendor sent beside id, name and arguments."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(factory=list)
    form: dict[str, object] = field(factory=dict)

    def add(self, piece: Mapping[str, object]) -> None:
        function = table(piece.get("function"))
        self.id = self.id or text_or_empty(piece.get("id"))
        self.name = self.name or text_or_empty(function.get("name"))
        arguments = function.get("arguments")
        # Some servers write the object itself, which the API has as a text.
        self.arguments.append(
            json.dumps(arguments) if isinstance(arguments, dict) else text(arguments)
        )
        self.form |= {name: value for name, value in piece.items() if name not in _OF_CALLS}

    def part(self, provider: str) -> ToolCall:
        written = "".join(self.arguments)
        try:
            given = json.loads(written) if written.strip() else {}
        except (ValueError, RecursionError):
            given = None
        return ToolCall(
            id=self.id,
            name=self.name,
            arguments=given if isinstance(given, dict) else {},
            malformed="" if isinstance(given, dict) else well_formed(written),
            verbatim=Verbatim(provider, self.form) if self.form else None,
        )


def _content(content: object) -> str:
    """Return the text of a content; some write it in blocks, thoughts among them."""
    if not isinstance(content, list):
        return text(content)
    blocks = map(table, content)
    return "".join(text(block.get("text")) for block in blocks if block.get("type") == "text")


def _usage(counts: Mapping[str, object]) -> Usage | None:
    """Read the counts; what was read from the cache and what was thought is part of the others."""
    read, written = count(counts.get("prompt_tokens")), count(counts.get("completion_tokens"))
    of_prompt = table_or_empty(counts.get("prompt_tokens_details"))
    of_answer = table_or_empty(counts.get("completion_tokens_details"))
    hit = of_prompt.get("cached_tokens") or counts.get("prompt_cache_hit_tokens") or 0
    cached, thinking = count(hit), count(of_answer.get("reasoning_tokens") or 0)
    if read is None or written is None or cached is None or thinking is None or cached > read:
        return None
    if thinking and count(counts.get("total_tokens")) == read + written + thinking:
        written += thinking  # as xAI counts
    if thinking > written:
        return None
    return Usage(read, written, thinking, cached)
