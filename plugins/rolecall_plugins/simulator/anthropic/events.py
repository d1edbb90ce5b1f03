"""Blocks of content, and the server-sent events that carry them, as Anthropic sends both."""

import hashlib
import json
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from ..exchange import Chunk, count_tokens, pieces

Block = dict[str, Any]

_SIZES = (5, 23, 48, 96, 71, 112)
_PING = Chunk(b'event: ping\ndata: {"type": "ping"}\n\n')
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
# What models write themselves has blanks.
_arguments = json.JSONEncoder(separators=(", ", ": "), ensure_ascii=False).encode


def text_block(text: str) -> Block:
    """Hold a text."""
    return {"type": "text", "text": text}


def thinking_block(thought: str) -> Block:
    """Hold a thought, signed."""
    return {"type": "thinking", "thinking": thought, "signature": signature_of(thought)}


def signature_of(thought: str) -> str:
    """Sign a thought, so that it can be told whether it came back as it was sent."""
    digest = hashlib.sha256(thought.encode("utf-8", "surrogatepass")).digest()
    return b64encode(b"signed by the simulator, as claude: " + digest).decode()


def tool_block(call: str, name: str, arguments: Mapping[str, Any]) -> Block:
    """Hold a call of a tool that the model itself makes."""
    return {
        "type": "tool_use",
        "id": call,
        "name": name,
        "input": dict(arguments),
        "caller": {"type": "direct"},
    }


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
        is_call = field == "partial_json"
        parts = [*([""] if is_call else []), *pieces(content, _SIZES)]
        for number, piece in enumerate(parts, start=1):
            delta = {"type": _DELTAS[field], field: piece}
            data = event("content_block_delta", index=index, delta=delta)
            # A stream that breaks off leaves the arguments of its last call unfinished.
            yield Chunk(data, text=len(piece), closing=last and is_call and number == len(parts))
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
        arguments = block["input"]
        if isinstance(arguments, str):  # malformed on purpose
            return [("partial_json", arguments)]
        # A call without arguments comes as no JSON at all.
        return [("partial_json", _arguments(arguments) if arguments else "")]
    return [(block["type"], block[block["type"]])]


def _emptied(block: Block) -> Block:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}
