"""What a success of the Anthropic Messages API says, plain or streamed.

Source: https://docs.anthropic.com/en/api/messages, /messages-streaming, and recorded traffic where
the two differ.
"""

import json
from collections.abc import Mapping

from attrs import define, field

from rolecall import Cause, Part, ProviderError, Response, Stop, Text, ToolCall, Usage, Verbatim

from .reading.anthropic_errors import anthropic_error, limit_headers
from .reading.fields import (
    TextPieces,
    count,
    items,
    table,
    table_or_empty,
    text,
    text_or_empty,
    well_formed,
)
from .reading.turns import identified
from .reply_reader import Headers

PROVIDER = "claude"
STOPS: Mapping[str, Stop] = {
    "end_turn": Stop.END,
    "stop_sequence": Stop.END,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "refusal": Stop.REFUSAL,
    "tool_use": Stop.TOOL_USE,
    "pause_turn": Stop.BAD_TOOL_CALL,  # in the middle of the vendor's own tools
}


class ClaudeReply:
    """One message.

    provider: the name of the provider that gets back what it sent.
    """

    def __init__(self, provider: str = PROVIDER) -> None:
        self._provider = provider
        self._blocks: dict[int, _Block] = {}
        self._counts: dict[str, object] = {}
        self._has_final_counts = False
        self.has_begun = False
        self._model = ""
        self._stop = ""
        self._detail = ""
        self._error: ProviderError | None = None
        self.is_over = False

    @property
    def is_whole(self) -> bool:
        return bool(self._stop)

    @property
    def usage(self) -> Usage | None:
        return _usage(self._counts)

    def absorb(self, payload: object) -> str:
        event = table(payload)
        kind = text_or_empty(event.get("type"))
        if self.is_whole:
            # A second message_delta may bring the counts; all else belongs to no answer of ours.
            if kind == "message_delta" and not self.is_over:
                self._count(event.get("usage"))
            self.is_over = self.is_over or kind in ("message_stop", "message_start", "message")
            return ""
        match kind:
            case "message":
                return self._begin(event, is_whole=True)
            case "message_start":
                return self._begin(table(event.get("message")), is_whole=False)
            case "content_block_start":
                return self._start_block(event.get("index"), table(event.get("content_block")))
            case "content_block_delta":
                return self._continue_block(event.get("index"), table(event.get("delta")))
            case "message_delta":
                self._finish(table(event.get("delta")), event.get("usage"))
            case _ if kind == "error" or "error" in event:
                self._error = self.error(0, {}, event, json.dumps(event))
                self.has_begun = self.is_over = True
        return ""  # ping, block ends, and what is added to the API, or by a gateway

    def response(self, headers: Headers) -> Response:
        if not self.is_whole:
            raise self._broken(headers)
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        turn = [block.part(self._provider) for block in blocks]
        parts = [part for part in turn if part is not None]
        stop = self._why(any(isinstance(part, ToolCall) for part in parts))
        shown = "".join(str(block.text) for block in blocks if block.kind == "text")
        return Response(
            text=shown,
            usage=self.usage if self._has_final_counts else None,
            model=self._model,
            stop=stop,
            detail=self._detail,
            request_id=headers.get("request-id"),
            headers=limit_headers(headers),
            parts=identified(parts) if stop is Stop.TOOL_USE else (),
        )

    def error(self, status: int, headers: Headers, payload: object, text: str) -> ProviderError:
        return anthropic_error(status, headers, payload, text)

    def _broken(self, headers: Headers) -> ProviderError:
        error = self._error or ProviderError(
            Cause.CONNECTION, "the stream ended before the message did"
        )
        error.headers = limit_headers(headers)
        return error

    def _why(self, called: bool) -> Stop:
        stop = STOPS.get(self._stop)
        if stop is None:  # new to us: what came is taken for whole, as a model ends mostly
            self._detail = f"stop_reason {self._stop}"
            stop = Stop.END
        if called and stop is Stop.END:
            return Stop.TOOL_USE
        return Stop.BAD_TOOL_CALL if stop is Stop.TOOL_USE and not called else stop

    def _begin(self, message: Mapping[str, object], is_whole: bool) -> str:
        """Take a message, or the beginning of one; one that begins anew replaces the first."""
        blocks = dict(enumerate(map(_Block.of, map(table, items(message.get("content"))))))
        self._blocks = blocks
        self.has_begun = True
        self._model = text_or_empty(message.get("model"))
        self._counts = {}
        if is_whole:
            self._finish(message, message.get("usage"))
        else:
            self._count(message.get("usage"))
        return "".join(str(block.text) for block in blocks.values() if block.kind == "text")

    def _start_block(self, index: object, content: Mapping[str, object]) -> str:
        self.has_begun = True
        block = self._blocks[self._index(index)] = _Block.of(content)
        return str(block.text) if block.kind == "text" else ""

    def _continue_block(self, index: object, delta: Mapping[str, object]) -> str:
        place = self._index(index, default=len(self._blocks) - 1)
        if place not in self._blocks:
            self._blocks[place] = _Block.of({"type": "text"})
        self.has_begun = True
        return self._blocks[place].add(delta)

    def _index(self, index: object, default: int | None = None) -> int:
        if isinstance(index, int) and index >= 0:
            return index
        return len(self._blocks) if default is None else max(default, 0)

    def _finish(self, ending: Mapping[str, object], usage: object) -> None:
        self._stop = text_or_empty(ending.get("stop_reason")) or self._stop
        self.has_begun = True
        self._count(usage)
        details = table_or_empty(ending.get("stop_details"))
        if self._stop == "refusal":
            words = (text_or_empty(details.get(name)) for name in ("category", "explanation"))
            why = ", ".join(filter(None, words))
            self._detail = f"the model refused{f': {why}' if why else ''}"
        elif self._stop == "pause_turn":
            self._detail = "stop_reason pause_turn: in the middle of a tool of the vendor's own"

    def _count(self, usage: object) -> None:
        """Take counts; later ones are sums of all so far, and null says nothing new."""
        if usage is not None and not isinstance(usage, dict):
            usage = {"output_tokens": usage}  # no count: what came before is out of date
        counts = table_or_empty(usage)
        self._has_final_counts = self._has_final_counts or (self.is_whole and bool(counts))
        self._counts |= {name: tokens for name, tokens in counts.items() if tokens is not None}


@define
class _Block:
    """One block of a message's content.

    form: as it was sent, or began to be. text: of text and thinking. arguments: pieces of JSON.
    """

    kind: str
    form: dict[str, object]
    text: TextPieces = field(factory=TextPieces)
    arguments: list[str] = field(factory=list)
    citations: list[object] = field(factory=list)

    @classmethod
    def of(cls, content: Mapping[str, object]) -> "_Block":
        block = cls(text_or_empty(content.get("type")), dict(content))
        if block.kind in ("text", "thinking"):
            block.text.add(text(content.get(block.kind)))
        return block

    def add(self, delta: Mapping[str, object]) -> str:
        """Take a piece; return what it adds to the answer's text."""
        match delta.get("type"):
            case "input_json_delta":
                self.arguments.append(text(delta.get("partial_json")))
            case "thinking_delta":
                self.text.add(text(delta.get("thinking")))
            case "signature_delta":
                self.form["signature"] = delta.get("signature")
            case "citations_delta":
                self.citations.append(delta.get("citation"))
            case _ if self.kind == "text":
                return self.text.add(text(delta.get("text")))
        return ""

    def part(self, provider: str) -> Part | None:
        """Return the block as a part of the turn, None where it is empty."""
        match self.kind:
            case "text":
                shown = str(self.text)
                citations = self.citations or self.form.get("citations")
                verbatim = Verbatim(provider, {"citations": citations}) if citations else None
                return Text(shown, verbatim) if shown else None
            case "tool_use":
                return self._call(provider)
            case "thinking":
                return Verbatim(provider, self.form | {"thinking": str(self.text)})
            case _:
                arguments, _ = self._arguments()
                return Verbatim(provider, self.form | ({"input": arguments} if arguments else {}))

    def _call(self, provider: str) -> ToolCall:
        arguments, malformed = self._arguments()
        more = {name: value for name, value in self.form.items() if name not in _OF_CALLS}
        return ToolCall(
            id=text_or_empty(self.form.get("id")),
            name=text_or_empty(self.form.get("name")),
            arguments=arguments,
            malformed=malformed,
            verbatim=Verbatim(provider, more) if more else None,
        )

    def _arguments(self) -> tuple[Mapping[str, object], str]:
        """Return the arguments, and the text that stands in their place where it is no object."""
        written = "".join(self.arguments)
        if not written.strip():
            given = self.form.get("input")
            if given is None or isinstance(given, dict):
                return given or {}, ""
            return {}, json.dumps(given)
        try:
            given = json.loads(written)
        except (ValueError, RecursionError):
            given = None
        return (given, "") if isinstance(given, dict) else ({}, well_formed(written))


_OF_CALLS = ("type", "id", "name", "input")


def _usage(counts: Mapping[str, object]) -> Usage | None:
    """Read the counts; Anthropic's input_tokens leave the cached parts out."""
    details = table_or_empty(counts.get("output_tokens_details"))
    fresh, output = count(counts.get("input_tokens")), count(counts.get("output_tokens"))
    read = count(counts.get("cache_read_input_tokens", 0))
    write = count(counts.get("cache_creation_input_tokens", 0))
    thinking = count(details.get("thinking_tokens") or 0)
    if fresh is None or output is None or read is None or write is None or thinking is None:
        return None
    if thinking > output:
        return None
    return Usage(fresh + read + write, output, thinking, read, write)
