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

Block = dict[str, Any]

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
SILENT = "The tool failed and said nothing."  # a failure without a text is refused
_NOT_OF_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def write(request: Request, provider: str) -> dict[str, Any]:
    """Return `messages`, and `tools` where some are offered.

    provider: the name of the provider that sends them; what any other wants back is left out.
    """
    messages = list(_messages(request.messages, provider))
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


def _messages(turns: Iterable[Message], provider: str) -> Iterator[Block]:
    """Write the turns; those of one role in a row become one, and an empty one is left out."""
    ids = _Ids()
    message: Block = {}
    for turn in turns:
        parts = turn.content
        if turn.role == "assistant":
            ids.begin_turn()
        else:  # what else was said in a turn comes behind all of its results
            parts = tuple(sorted(parts, key=lambda part: not isinstance(part, ToolResult)))
        blocks = [block for part in parts for block in _blocks(part, ids, provider)]
        if not blocks:
            continue
        if message.get("role") == turn.role:
            message["content"] += blocks
            continue
        if message:
            yield message
        message = {"role": turn.role, "content": blocks}
    if message:
        yield message


def _blocks(part: Part, ids: "_Ids", provider: str) -> Iterator[Block]:
    match part:
        case Text(text, verbatim):
            if text.strip():  # a blank text is refused
                yield {"type": "text", "text": text, **_own(verbatim, provider)}
        case ToolCall(id, name, arguments, _, verbatim):
            call = {"type": "tool_use", "id": ids.assign(id), "name": name}
            yield {**call, "input": dict(arguments), **_own(verbatim, provider)}
        case ToolResult():
            yield _result(part, ids.find(part.call))
        case Attachment():
            yield _attached(part)
        case Verbatim():
            if own := _own(part, provider):
                yield own


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


def _own(verbatim: Verbatim | None, provider: str) -> Block:
    """Return what this very provider wants back; nothing of another's."""
    if verbatim is None or verbatim.provider != provider:
        return {}
    return dict(verbatim.payload)


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
