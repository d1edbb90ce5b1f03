"""Answer in the framing of the Anthropic Messages API, plain or as server-sent events."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

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
)
from ..limits import BucketLevel, Denial
from .events import (
    Block,
    block_events,
    block_tokens,
    body,
    event,
    text_block,
    thinking_block,
    tool_block,
)

ORGANIZATION = "00000000-0000-4000-8000-000000000000"
THOUGHT = "A model would think here; the simulator only says so."


@frozen(kw_only=True)
class AnthropicFraming:
    """Frames the replies to one call; `now` is in Unix seconds."""

    call: str
    now: float = 0.0
    levels: tuple[BucketLevel, ...] = ()

    def reply(self, query: Query, text: str, calls: Sequence[FunctionCall] = ()) -> HttpReply:
        """Answer with a text and calls of tools, cut where the caller's max_tokens ends it."""
        thought = first_tokens(THOUGHT, query.max_tokens) if query.thinking else ""
        left = math.inf if query.max_tokens is None else query.max_tokens
        left -= count_tokens(thought)
        kept = text if left == math.inf else first_tokens(text, int(left))
        left -= count_tokens(kept)
        blocks = [thinking_block(thought)] if thought else []
        blocks += [text_block(kept)] if kept else []
        stop = "max_tokens" if kept != text else "tool_use" if calls else "end_turn"
        for number, call in enumerate(calls if kept == text else ()):
            block = tool_block(call.id or self.call_id(number), call.name, call.arguments)
            left -= block_tokens(block)
            if left < 0:
                stop = "max_tokens"
                break
            blocks.append(block)
        return self.message(query, blocks, stop)

    def call_id(self, number: int = 0) -> str:
        """Return the id of a call of a tool; `number` counts those of one answer from 0."""
        return f"{self._id('toolu')}{number or ''}"

    def message(
        self,
        query: Query,
        blocks: Sequence[Block],
        stop_reason: str,
        *,
        stop_sequence: str | None = None,
        stop_details: Block | None = None,
    ) -> HttpReply:
        """Answer with these blocks of content."""
        stop = {
            "stop_reason": stop_reason,
            "stop_sequence": stop_sequence,
            "stop_details": stop_details,
        }
        streamed = query.form == "sse"
        output = sum(block_tokens(block) for block in blocks)
        if streamed:
            chunks = tuple(self._events(query, blocks, stop, output))
        else:
            whole = body(self._envelope(query, blocks, stop, output))
            chunks = (Chunk(whole, text=output * CHARACTERS_PER_TOKEN),)
        return HttpReply(
            status=200,
            headers=self._headers(_STREAM if streamed else _PLAIN, self.levels),
            chunks=chunks,
            streamed=streamed,
            output_tokens=output,
        )

    def error(self, status: int, kind: str, message: str, *, retry: bool = False) -> HttpReply:
        """Answer with an error in plain JSON, also where events were asked for."""
        return self._error(status, kind, message, _should_retry(retry), ())

    def refusal(self, message: str, levels: Iterable[BucketLevel], wait: float | None) -> HttpReply:
        """Answer with a 429; a wait of None says that retrying is no use."""
        after = () if wait is None else (("retry-after", str(math.ceil(wait))),)
        headers = (*_should_retry(wait is not None), *after)
        return self._error(429, "rate_limit_error", message, headers, levels)

    def crowded(self) -> HttpReply:
        """Answer with the 429 for one call too many at a time; it names no wait."""
        message = "Number of concurrent connections has exceeded your rate limit."
        return self._error(429, "rate_limit_error", message, _should_retry(True), self.levels)

    def rejected(self, rejection: Rejected) -> HttpReply:
        """Turn a request away."""
        return self.error(rejection.status, rejection.kind, str(rejection))

    def limited(self, query: Query, denial: Denial) -> HttpReply:
        """Refuse a call that is over a limit."""
        if denial.family == "concurrency":
            return self.crowded()
        message = over_limit(denial.limit, denial.family, query.model)
        return self.refusal(message, self.levels, None if denial.hopeless else denial.wait)

    def _error(
        self, status: int, kind: str, message: str, headers: Headers, levels: Iterable[BucketLevel]
    ) -> HttpReply:
        error = {"type": kind, "message": message}
        chunk = Chunk(body({"type": "error", "error": error, "request_id": self._id("req")}))
        return HttpReply(
            status=status, headers=self._headers(_PLAIN + headers, levels), chunks=(chunk,)
        )

    def _headers(self, first: Headers, levels: Iterable[BucketLevel]) -> Headers:
        own = (("request-id", self._id("req")), ("anthropic-organization-id", ORGANIZATION))
        return (*first, *own, *(pair for level in levels for pair in _rate(level, self.now)))

    def _id(self, prefix: str) -> str:
        return f"{prefix}_01sim{self.call}"

    def _envelope(
        self, query: Query, blocks: Sequence[Block], stop: Block, output_tokens: int
    ) -> Block:
        cache = query.cache
        return {
            "model": query.model,
            "id": self._id("msg"),
            "type": "message",
            "role": "assistant",
            "content": list(blocks),
            **stop,
            "usage": {
                **_usage(query),
                "cache_creation": {
                    "ephemeral_5m_input_tokens": cache.written - cache.written_for_an_hour,
                    "ephemeral_1h_input_tokens": cache.written_for_an_hour,
                },
                "output_tokens": output_tokens,
                "service_tier": "standard",
                "inference_geo": "not_available",
            },
        }

    def _events(
        self, query: Query, blocks: Sequence[Block], stop: Block, output_tokens: int
    ) -> Iterator[Chunk]:
        begun = self._envelope(query, (), dict.fromkeys(stop), min(1, output_tokens))
        yield Chunk(event("message_start", message=begun))
        for index, block in enumerate(blocks):
            yield from block_events(index, block, last=index == len(blocks) - 1)
        usage = {**_usage(query), "output_tokens": output_tokens}
        yield Chunk(event("message_delta", delta=stop, usage=usage), closing=True)
        yield Chunk(event("message_stop"), closing=True)


def framing(
    _incoming: Incoming, call: str, now: float, levels: tuple[BucketLevel, ...]
) -> AnthropicFraming:
    """Frame the answers to one request."""
    return AnthropicFraming(call=call, now=now, levels=levels)


def over_limit(limit: int, family: str, model: str) -> str:
    """Word a 429 as the API does, with a made-up organization."""
    what, daily, _ = family.partition("-per-day")
    return (
        f"This request would exceed your organization's rate limit of {limit:,} "
        f"{what.replace('-', ' ')} per {'day' if daily else 'minute'} "
        f"(org: {ORGANIZATION}, model: {model}). See the response headers for current usage."
    )


_PLAIN: Headers = (("content-type", "application/json"),)
_STREAM: Headers = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
)


def _usage(query: Query) -> Block:
    return {
        "input_tokens": query.input_tokens - query.cache.read - query.cache.written,
        "cache_creation_input_tokens": query.cache.written,
        "cache_read_input_tokens": query.cache.read,
    }


def _should_retry(retry: bool) -> Headers:
    return (("x-should-retry", "true" if retry else "false"),)


def _rate(level: BucketLevel, now: float) -> Headers:
    reset = datetime.fromtimestamp(max(0.0, now + level.reset), UTC)
    name = f"anthropic-ratelimit-{level.family}"
    return (
        (f"{name}-limit", str(level.limit)),
        (f"{name}-remaining", str(level.remaining)),
        (f"{name}-reset", reset.strftime("%Y-%m-%dT%H:%M:%SZ")),
    )
