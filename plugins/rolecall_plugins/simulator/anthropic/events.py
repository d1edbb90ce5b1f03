"""Blocks of content, and the server-sent events that carry them, as Anthropic sends both."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

from ..exchange import Chunk, count_tokens, pieces

SIGNATURE = "U2ltdWxhdGVkIHNpZ25hdHVyZTsgaXQgdmVyaWZpZXMgbm90aGluZy4="

Block = dict[str, Any]

_SIZES = (5, 23, 48, 96, 71, 112)
_PING = Chunk(b'event: ping\ndata: {"type": "ping"}\n\n')
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def text_block(text: str) -> Block:
    """Hold a text."""
    return {"type": "text", "text": text}


def thinking_block(thought: str) -> Block:
    """Hold a thought, with a signature that verifies nothing."""
    return {"type": "thinking", "thinking": thought, "signature": SIGNATURE}


def tool_block(call: str, name: str, arguments: Block) -> Block:
    """Hold a call of a tool."""
    return {"type": "tool_use", "id": f"toolu_01sim{call}", "name": name, "input": arguments}


def block_tokens(block: Block) -> int:
    """Count what a block costs."""
    return count_tokens("".join(text for _, text in _contents(block)))


def body(value: object) -> bytes:
    """Write JSON without blanks."""
    return _encode(value).encode("utf-8", "replace")


def event(kind: str, **fields: object) -> bytes:
    """Write one event, padded with up to 15 blanks before the last brace, as on the wire."""
    data = body({"type": kind, **fields})
    blanks = b" " * (zlib.crc32(data) % 16)
    return b"event: %b\ndata: %b%b}\n\n" % (kind.encode(), data[:-1], blanks)


def block_events(index: int, block: Block, *, last: bool) -> Iterator[Chunk]:
    """Write the events that build one block; the first one is opened with a ping."""
    yield Chunk(event("content_block_start", index=index, content_block=_emptied(block)))
    if index == 0:
        yield _PING
    for field, content in _contents(block):
        first = [""] if field == "partial_json" else []
        for piece in [*first, *pieces(content, _SIZES)]:
            delta = {"type": _DELTAS[field], field: piece}
            data = event("content_block_delta", index=index, delta=delta)
            yield Chunk(data, text=len(piece))
    if "signature" in block:
        delta = {"type": "signature_delta", "signature": block["signature"]}
        yield Chunk(event("content_block_delta", index=index, delta=delta))
    yield Chunk(event("content_block_stop", index=index), closing=last)


_DELTAS = {
    "text": "text_delta",
    "thinking": "thinking_delta",
    "partial_json": "input_json_delta",
}


def _contents(block: Block) -> list[tuple[str, str]]:
    if block["type"] == "tool_use":
        return [("partial_json", _encode(block["input"]))]
    return [(block["type"], block[block["type"]])]


def _emptied(block: Block) -> Block:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}
