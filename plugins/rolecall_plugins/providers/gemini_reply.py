"""What a success of the Gemini generateContent API says, plain or streamed.

Source: https://ai.google.dev/api/generate-content, and recorded traffic where the two differ.
"""

import json
from collections.abc import Mapping

from attrs import define, field

from rolecall import Cause, Part, ProviderError, Response, Stop, Text, ToolCall, Usage, Verbatim

from .reading.fields import (
    TextPieces,
    Unsound,
    count,
    items,
    table,
    table_or_empty,
    text,
    text_or_empty,
)
from .reading.gemini_errors import gemini_error
from .reading.turns import identified
from .reply_reader import Headers

PROVIDER = "gemini"
SIGNATURE = "thoughtSignature"
# Enums come as numbers where asked to: FinishReason of google.ai.generativelanguage.v1beta.
NUMBERED = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
]
STOPS: Mapping[str, Stop] = {
    "STOP": Stop.END,
    "MAX_TOKENS": Stop.LENGTH,
    "SAFETY": Stop.SAFETY,
    "RECITATION": Stop.SAFETY,
    "LANGUAGE": Stop.SAFETY,
    "BLOCKLIST": Stop.SAFETY,
    "PROHIBITED_CONTENT": Stop.SAFETY,
    "SPII": Stop.SAFETY,
    "MODEL_ARMOR": Stop.SAFETY,
    "IMAGE_SAFETY": Stop.SAFETY,
    "IMAGE_PROHIBITED_CONTENT": Stop.SAFETY,
    "IMAGE_RECITATION": Stop.SAFETY,
    "MALFORMED_FUNCTION_CALL": Stop.BAD_TOOL_CALL,
    "UNEXPECTED_TOOL_CALL": Stop.BAD_TOOL_CALL,
    "TOO_MANY_TOOL_CALLS": Stop.BAD_TOOL_CALL,
    "MISSING_THOUGHT_SIGNATURE": Stop.BAD_TOOL_CALL,
}
_OURS = ("candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId")


class GeminiReply:
    """One answer; every chunk of a stream has the form of a plain one.

    A chunk's finishReason may be followed by another chunk with one of its own, which then counts:
    older models end each chunk with STOP.

    provider: the name of the provider that gets back what it sent.
    """

    def __init__(self, provider: str = PROVIDER) -> None:
        self._provider = provider
        self._parts: list[_Part] = []
        self._text = TextPieces()
        self._usage: object = None
        self._model = ""
        self._id: str | None = None
        self._stop = ""
        self._detail = ""
        self._blocked = ""
        self._error: ProviderError | None = None
        self._first: object = None
        self.has_begun = False
        self.is_over = False

    @property
    def is_whole(self) -> bool:
        return bool(self._stop or self._blocked)

    @property
    def usage(self) -> Usage | None:
        return _usage(self._usage)

    def absorb(self, payload: object) -> str:
        if isinstance(payload, list):  # a stream that was not asked for as server-sent events
            return "".join([self.absorb(chunk) for chunk in payload])
        chunk = table(payload)
        if self.is_over:
            return ""
        if self.is_whole and self._is_foreign(chunk):
            self.is_over = True
            return ""
        if "error" in chunk and not self.is_whole:
            self._error = self.error(0, {}, chunk, json.dumps(chunk))
            self.has_begun = self.is_over = True
            return ""
        if not any(name in chunk for name in _OURS):
            return ""  # of a gateway
        candidate = _first_candidate(chunk.get("candidates"))
        parts = [_Part.of(table(part)) for part in _parts(candidate)]
        self._begin(chunk)
        self._finish(candidate)
        for part in parts:
            self._add(part)
        return "".join([self._text.add(part.text) for part in parts if part.is_shown])

    def response(self, headers: Headers) -> Response:
        if self._error is not None and not self.is_whole:
            self._error.request_id = self._error.request_id or self._id
            raise self._error
        shown = str(self._text)
        parts = [part.part(self._provider) for part in self._parts]
        called = any(isinstance(part, ToolCall) for part in parts)
        if (shown.strip() or called) and not self.is_whole:
            raise ProviderError(
                Cause.CONNECTION, "the stream ended before the answer did", request_id=self._id
            )
        stop = self._why(called)
        return Response(
            text=shown,
            usage=self.usage,
            model=self._model,
            stop=stop,
            detail=self._detail,
            request_id=self._id,
            parts=identified(parts) if stop is Stop.TOOL_USE else (),
        )

    def error(self, status: int, headers: Headers, payload: object, text: str) -> ProviderError:
        return gemini_error(status, headers, payload, text)

    def _is_foreign(self, chunk: Mapping[str, object]) -> bool:
        """Check whether a chunk behind the end is none of this answer: another, or it once more."""
        other = text_or_empty(chunk.get("responseId"))
        return chunk == self._first or bool(other and self._id and other != self._id)

    def _begin(self, chunk: Mapping[str, object]) -> None:
        if not self.has_begun:
            self._first = chunk
        self.has_begun = True
        if chunk.get("usageMetadata") is not None:
            self._usage = chunk["usageMetadata"]  # each counts all so far
        self._model = text_or_empty(chunk.get("modelVersion")) or self._model
        self._id = text_or_empty(chunk.get("responseId")) or self._id
        feedback = table_or_empty(chunk.get("promptFeedback"))
        self._blocked = self._blocked or text_or_empty(feedback.get("blockReason"))

    def _finish(self, candidate: Mapping[str, object]) -> None:
        reason = candidate.get("finishReason")
        if isinstance(reason, int) and not isinstance(reason, bool):
            reason = NUMBERED[reason] if 0 <= reason < len(NUMBERED) else "OTHER"
        name = text_or_empty(reason)
        if name:
            self._stop = name
            message = text_or_empty(candidate.get("finishMessage"))
            self._detail = f"finishReason {name}{f': {message}' if message else ''}"

    def _add(self, part: "_Part") -> None:
        """Add a part; a stream parts a text where it likes."""
        last = self._parts[-1] if self._parts else None
        if last is None or not last.continues(part):
            self._parts.append(part)

    def _why(self, called: bool) -> Stop:
        if self._blocked:
            self._detail = f"the prompt was blocked: {self._blocked}"
            return Stop.SAFETY
        # OTHER and what is new to us: what came is taken for whole, as a model ends mostly.
        stop = STOPS.get(self._stop, Stop.END)
        return Stop.TOOL_USE if called and stop is Stop.END else stop


@define
class _Part:
    """A part of an answer: its form as it was sent; of a text, what came of it so far."""

    form: Mapping[str, object]
    text: str = ""
    is_shown: bool = False
    pieces: TextPieces = field(factory=TextPieces)

    @classmethod
    def of(cls, form: Mapping[str, object]) -> "_Part":
        written = text(form.get("text"))
        if "functionCall" in form and not text_or_empty(table(form["functionCall"]).get("name")):
            raise Unsound("a call without a name")
        part = cls(form, written, bool("text" in form and not form.get("thought")))
        part.pieces.add(written)
        return part

    def continues(self, other: "_Part") -> bool:
        """Take on a part that only goes on with this text; return whether it was one."""
        is_plain = self.is_shown and other.is_shown and set(self.form) <= {"text", "thought"}
        if is_plain and set(other.form) <= {"text", "thought"}:
            self.pieces.add(other.text)
            return True
        return False

    def part(self, provider: str) -> Part:
        """Return it as a part of the turn."""
        more = {name: value for name, value in self.form.items() if name == SIGNATURE and value}
        verbatim = Verbatim(provider, more) if more else None
        if self.is_shown:
            return Text(str(self.pieces), verbatim)
        if "functionCall" not in self.form:
            return Verbatim(provider, self.form)
        call = table(self.form["functionCall"])
        given = call.get("args")
        is_sound = given is None or isinstance(given, dict)
        return ToolCall(
            id=text_or_empty(call.get("id")),
            name=text_or_empty(call.get("name")),
            arguments=table_or_empty(given),
            malformed="" if is_sound else json.dumps(given),
            verbatim=verbatim,
        )


def _first_candidate(candidates: object) -> Mapping[str, object]:
    """Return the first candidate, which is the only one that is asked for."""
    for candidate in map(table, items(candidates)):
        if candidate.get("index") in (None, 0):
            return candidate
    return {}


def _parts(candidate: Mapping[str, object]) -> list[object]:
    return list(items(table(candidate.get("content")).get("parts")))


def _usage(counts: object) -> Usage | None:
    """Read the counts. What is absent is 0, but no prompt is.

    candidatesTokenCount leaves thinking out, but of some models it does not: the total tells.
    """
    if not isinstance(counts, dict) or "promptTokenCount" not in counts:
        return None
    names = "promptTokenCount", "toolUsePromptTokenCount", "cachedContentTokenCount"
    prompt, tools, cached = (count(counts.get(name) or 0) for name in names)
    names = "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"
    shown, thinking, total = (count(counts.get(name) or 0) for name in names)
    if prompt is None or tools is None or cached is None or cached > prompt + tools:
        return None
    if shown is None or thinking is None or total is None:
        return None
    includes_thinking = thinking <= shown and total == prompt + tools + shown
    output = shown if includes_thinking else shown + thinking
    return Usage(input=prompt + tools, output=output, thinking=thinking, cache_read=cached)
