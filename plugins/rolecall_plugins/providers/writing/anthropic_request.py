"""Write a conversation with tools, calls, results and attachments for the Anthropic Messages API.

Source: https://docs.anthropic.com/en/api/messages, /docs/agents-and-tools/tool-use/overview and
/docs/build-with-claude/prompt-caching.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rolecall import (
    Attachment,
    Message,
    Part,
    Request,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Verbatim,
)

from .anthropic_schema import reduced
from .attachments import as_text, encoded, media_type, refused
from .turns import Block, joined, own

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
SILENT = "The tool failed and said nothing."  # a failure without a text is refused
_NOT_OF_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def write(request: Request, provider: str) -> dict[str, Any]:
    """Return `messages`, and `tools` where some are offered.

    provider: the name of the provider that sends them; what any other wants back is left out.
    """
    turns = joined(_written(request.messages, provider), "tool_result")
    messages: list[Block] = [{"role": role, "content": blocks} for role, blocks in turns]
    if not request.tools:
        return {"messages": messages}
    _mark(messages)
    return {"messages": messages, "tools": [_tool(tool) for tool in request.tools]}


def _tool(tool: ToolSpec) -> Block:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": reduced(tool.parameters),
    }


def _written(turns: Iterable[Message], provider: str) -> Iterator[tuple[str, Block]]:
    """Write the blocks of all turns, each with its role."""
    ids = _Ids()
    for turn in turns:
        if turn.role == "assistant":
            ids.begin_turn()
        for part in turn.content:
            for block in _blocks(part, ids, provider):
                yield turn.role, block


def _blocks(part: Part, ids: "_Ids", provider: str) -> Iterator[Block]:
    match part:
        case Text(text, verbatim):
            if text.strip():  # a blank text is refused
                yield {"type": "text", "text": text, **own(verbatim, provider)}
        case ToolCall(id, name, arguments, _, verbatim):
            call = {"type": "tool_use", "id": ids.assign(id), "name": name}
            yield {**call, "input": dict(arguments), **own(verbatim, provider)}
        case ToolResult():
            yield _result(part, ids.find(part.call))
        case Attachment():
            yield _attached(part)
        case Verbatim():
            if block := own(part, provider):
                yield block


def _result(result: ToolResult, id: str) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": id}
    text = result.text if result.text.strip() else SILENT if result.is_error else ""
    if text:
        block["content"] = text
    return {**block, "is_error": True} if result.is_error else block


def _attached(attachment: Attachment) -> Block:
    kind = media_type(attachment)
    if kind.startswith("text/"):
        return {"type": "text", "text": as_text(attachment)}
    if kind not in (*IMAGES, "application/pdf"):
        raise refused(attachment, "cannot be sent to Claude: it takes images, PDF and text")
    source = {"type": "base64", "media_type": kind, "data": encoded(attachment)}
    if kind in IMAGES:
        return {"type": "image", "source": source}
    title = {"title": attachment.name} if attachment.name else {}
    return {"type": "document", "source": source, **title}


class _Ids:
    """The ids of calls, which the API wants to be plain, and unique in the whole conversation.

    Those of other providers are neither. The same conversation always gets the same ids, or its
    prefix could not be read from the cache.
    """

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._of_turn: dict[str, str] = {}

    def begin_turn(self) -> None:
        self._of_turn = {}

    def assign(self, id: str) -> str:
        plain = _NOT_OF_IDS.sub("_", id) or "call"
        unique, number = plain, 1
        while unique in self._used:
            number += 1
            unique = f"{plain}_{number}"
        self._used.add(unique)
        self._of_turn[id] = unique
        return unique

    def find(self, id: str) -> str:
        return self._of_turn.get(id, id)


def _mark(messages: list[Block]) -> None:
    """Ask the vendor to keep the conversation up to its end, for the next round to read.

    The vendor looks for what it kept at a mark and at most 20 blocks before it, which a round with
    many calls exceeds: so the end of the user's turn before, where the last request had its mark,
    is marked as well. With the system prompt's, these are three marks of the four there may be.
    """
    users = [message for message in messages if message["role"] == "user"]
    for message in users[-2:]:
        message["content"][-1]["cache_control"] = {"type": "ephemeral"}
