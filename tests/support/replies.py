"""What both vendors answer, small and by hand, as events and as one body."""

import json
from typing import Any

from attrs import frozen

from rolecall import Usage
from rolecall_plugins.providers.anthropic_reply import ClaudeReply
from rolecall_plugins.providers.gemini_reply import GeminiReply

TEXT = "héllo 🎉"


@frozen
class Vendor:
    """A vendor's way to say `TEXT`."""

    reply: type[ClaudeReply | GeminiReply]
    events: tuple[dict[str, Any], ...]
    plain: dict[str, Any]
    usage: Usage

    def stream(self, *events: dict[str, Any]) -> bytes:
        return b"".join(map(event, events or self.events))

    def before_stop(self) -> bytes:
        """Return all events but those that say why the model stopped, and what follows."""
        return b"".join(event(each) for each in self.events if "stop" not in str(each).lower())


def event(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def delta(text: str, index: int = 0) -> dict[str, Any]:
    piece = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": index, "delta": piece}


def chunk(text: str, **more: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **more}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "responseId": "r1",
    }


_BEGUN = {"model": "m", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}
_ENDED = {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
CLAUDE = Vendor(
    ClaudeReply,
    (
        {"type": "message_start", "message": _BEGUN},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        delta("héllo "),
        delta("🎉"),
        {"type": "content_block_end", "index": 0},
        {"type": "message_delta", **_ENDED},
        {"type": "message_stop"},
    ),
    {
        "type": "message",
        "model": "m",
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    },
    Usage(3, 2),
)
GEMINI = Vendor(
    GeminiReply,
    (chunk("héllo "), chunk("🎉", finishReason="STOP")),
    chunk(TEXT, finishReason="STOP"),
    Usage(3, 2),
)
