"""Answer in the framing of OpenAI's chat completions, plain or as server-sent events."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from ..exchange import (
    CHARACTERS_PER_TOKEN,
    Chunk,
    FunctionCall,
    Headers,
    HttpReply,
    Incoming,
    Query,
    Rejected,
    count_tokens,
    first_tokens,
    pieces,
)
from ..limits import BucketLevel, Denial

Block = dict[str, Any]

_SIZES = (4, 24, 60, 120)
_PLAIN: Headers = (("content-type", "application/json"),)
_STREAM: Headers = (("content-type", "text/event-stream; charset=utf-8"),)
_FAMILIES = {"requests": "RPM", "tokens": "TPM", "input-tokens": "TPM", "output-tokens": "TPM"}


@frozen(kw_only=True)
class OpenAIFraming:
    """Frames the replies to one call."""

    call: str
    levels: tuple[BucketLevel, ...] = ()

    def reply(self, query: Query, text: str, calls: Sequence[FunctionCall] = ()) -> HttpReply:
        """Answer with a text and calls of tools, cut where the caller's limit ends it."""
        kept = first_tokens(text, query.max_tokens)
        is_cut = kept != text
        finish = "length" if is_cut else "tool_calls" if calls else "stop"
        return self.message(query, kept, finish, () if is_cut else calls)

    def message(
        self,
        query: Query,
        text: str | None,
        finish: str,
        calls: Sequence[FunctionCall] = (),
        *,
        thinking: int = 0,
        **more: Any,
    ) -> HttpReply:
        """Answer with this content; `thinking` tokens are counted and not shown."""
        written = [self._call(call, number) for number, call in enumerate(calls)]
        output = count_tokens(text or "") + sum(count_tokens(json.dumps(call)) for call in written)
        usage = _usage(query.input_tokens, output + thinking, thinking)
        streamed = query.form == "sse"
        if streamed:
            chunks = tuple(self._events(query, text or "", written, finish, usage, more))
        else:
            message = {"role": "assistant", "content": text, **more}
            message |= {"tool_calls": written} if written else {}
            choice = {"index": 0, "message": message, "finish_reason": finish}
            whole = self._envelope(query, "chat.completion", [choice]) | {"usage": usage}
            chunks = (Chunk(body(whole), text=output * CHARACTERS_PER_TOKEN),)
        return HttpReply(
            status=200,
            headers=self._headers(_STREAM if streamed else _PLAIN),
            chunks=chunks,
            streamed=streamed,
            output_tokens=output,
        )

    def error(
        self, status: int, kind: str, message: str, code: str | None = None, after: Headers = ()
    ) -> HttpReply:
        """Answer with an error in plain JSON, also where events were asked for."""
        error = {"message": message, "type": kind, "param": None, "code": code}
        chunk = Chunk(body({"error": error}))
        return HttpReply(status=status, headers=self._headers(_PLAIN + after), chunks=(chunk,))

    def refusal(self, model: str, family: str, limit: int, wait: float | None) -> HttpReply:
        """Answer with a 429; a wait of None says that retrying is no use."""
        kind = _FAMILIES.get(family, "RPD")
        what = "requests" if kind[0] == "R" else "tokens"
        period = "day" if kind[-1] == "D" else "min"
        again = f" Please try again in {wait:g}s." if wait is not None else ""
        used = f"Used {limit}, Requested 1" if wait is not None else f"Requested {limit + 1}"
        message = (
            f"Rate limit reached for {model} in organization org-simulated0 on {what} per {period} "
            f"({kind}): Limit {limit}, {used}.{again}"
        )
        after = () if wait is None else (("retry-after", str(math.ceil(wait))),)
        return self.error(429, what, message, "rate_limit_exceeded", after)

    def rejected(self, rejection: Rejected) -> HttpReply:
        """Turn a request away."""
        return self.error(rejection.status, rejection.kind, str(rejection))

    def limited(self, query: Query, denial: Denial) -> HttpReply:
        """Refuse a call that is over a limit."""
        if denial.family == "concurrency":
            return self.crowded()
        wait = None if denial.hopeless else denial.wait
        return self.refusal(query.model, denial.family, denial.limit, wait)

    def crowded(self) -> HttpReply:
        """Answer with the 429 for one call too many at a time; it names no wait."""
        return self.error(429, "requests", "Too many requests at once.", "rate_limit_exceeded")

    def id(self, prefix: str, number: int = 0) -> str:
        return f"{prefix}-sim{self.call}{number or ''}"

    def _call(self, call: FunctionCall, number: int) -> Block:
        function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
        return {"id": call.id or self.id("call", number), "type": "function", "function": function}

    def _headers(self, first: Headers) -> Headers:
        own = (("x-request-id", self.id("req")),)
        levels = (level for level in self.levels if level.family in ("requests", "tokens"))
        return (*first, *own, *(pair for level in levels for pair in _rate(level)))

    def _envelope(self, query: Query, kind: str, choices: Sequence[Block]) -> Block:
        return {
            "id": self.id("chatcmpl"),
            "object": kind,
            "created": 0,
            "model": query.model,
            "choices": list(choices),
        }

    def _events(
        self,
        query: Query,
        text: str,
        calls: Sequence[Block],
        finish: str,
        usage: Block,
        more: Block,
    ) -> Iterator[Chunk]:
        def chunk(delta: Block, ending: str | None = None, size: int = 0) -> Chunk:
            choice = {"index": 0, "delta": delta, "finish_reason": ending}
            data = self._envelope(query, "chat.completion.chunk", [choice])
            return Chunk(event(data), text=size, closing=ending is not None)

        yield chunk({"role": "assistant", "content": "", **more})
        for piece in pieces(text, _SIZES):
            yield chunk({"content": piece}, size=len(piece))
        for index, call in enumerate(calls):
            function = call["function"]
            begun = {**call, "function": {**function, "arguments": ""}}
            yield chunk({"tool_calls": [{"index": index, **begun}]})
            for piece in pieces(function["arguments"], _SIZES):
                rest = {"index": index, "function": {"arguments": piece}}
                yield chunk({"tool_calls": [rest]}, size=len(piece))
        yield chunk({}, finish)
        counted = self._envelope(query, "chat.completion.chunk", []) | {"usage": usage}
        yield Chunk(event(counted), closing=True)
        yield Chunk(b"data: [DONE]\n\n", closing=True)


def framing(
    _incoming: Incoming, call: str, _now: float, levels: tuple[BucketLevel, ...]
) -> OpenAIFraming:
    """Frame the answers to one request."""
    return OpenAIFraming(call=call, levels=levels)


def body(value: Block) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def event(value: Block) -> bytes:
    return b"data: " + body(value) + b"\n\n"


def _usage(prompt: int, output: int, thinking: int) -> Block:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thinking},
    }


def _rate(level: BucketLevel) -> Headers:
    name = "x-ratelimit"
    return (
        (f"{name}-limit-{level.family}", str(level.limit)),
        (f"{name}-remaining-{level.family}", str(level.remaining)),
        (f"{name}-reset-{level.family}", f"{max(0.0, level.reset):.3f}s"),
    )
