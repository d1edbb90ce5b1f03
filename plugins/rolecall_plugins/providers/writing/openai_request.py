"""Write a conversation with tools, calls, results and attachments as chat completions.

litellm takes the same, whatever it makes of it for its vendors.

Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
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
from .turns import Block, own

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def write(request: Request, provider: str, rename: Callable[[str], str] = str) -> dict[str, Any]:
    """Return `messages`, and `tools` where some are offered.

    provider: the name of the provider that sends them; what any other wants back is left out.
    rename: returns a call's id as the vendor takes it.
    """
    system: list[Block] = [{"role": "system", "content": request.system}] * bool(request.system)
    messages = [*system, *_written(request.messages, provider, rename)]
    if not request.tools:
        return {"messages": messages}
    return {"messages": messages, "tools": [_tool(tool) for tool in request.tools]}


def _tool(tool: ToolSpec) -> Block:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": reduced(tool.parameters),
    }
    return {"type": "function", "function": function}


def _written(
    turns: Iterable[Message], provider: str, rename: Callable[[str], str]
) -> Iterator[Block]:
    for turn in turns:
        if turn.role == "assistant":
            yield _assistant(turn, provider, rename)
        else:
            yield from _user(turn, rename)


def _assistant(turn: Message, provider: str, rename: Callable[[str], str]) -> Block:
    message: Block = {"role": "assistant"}
    shown, calls = "", []
    for part in turn.content:
        match part:
            case Text(text):
                shown += text
            case ToolCall(id, name, arguments, _, verbatim):
                function = {"name": name, "arguments": json.dumps(dict(arguments))}
                call = {"id": rename(id), "type": "function", "function": function}
                calls.append({**call, **own(verbatim, provider)})
            case Verbatim():
                message |= own(part, provider)
            case _:
                pass  # a model sends no results and no files
    return message | {"content": shown or None} | ({"tool_calls": calls} if calls else {})


def _user(turn: Message, rename: Callable[[str], str]) -> Iterator[Block]:
    """Write results first: each is a message of its own, right behind the calls."""
    others = []
    for part in turn.content:
        if isinstance(part, ToolResult):
            text = f"Error: {part.text}" if part.is_error else part.text
            yield {"role": "tool", "tool_call_id": rename(part.call), "content": text}
        else:
            others.append(part)
    if all(isinstance(part, Text) for part in others):
        text = "\n\n".join(part.text for part in others if isinstance(part, Text))
        if text:
            yield {"role": "user", "content": text}
    else:
        yield {"role": "user", "content": [block for part in others for block in _blocks(part)]}


def _blocks(part: Part) -> Iterator[Block]:
    match part:
        case Text(text):
            if text:
                yield {"type": "text", "text": text}
        case Attachment():
            yield _attached(part)
        case _:
            pass  # what a provider wants back stands in the model's turns


def _attached(attachment: Attachment) -> Block:
    kind = media_type(attachment)
    if kind.startswith("text/"):
        return {"type": "text", "text": as_text(attachment)}
    address = f"data:{kind};base64,{encoded(attachment)}"
    if kind in IMAGES:
        return {"type": "image_url", "image_url": {"url": address}}
    if kind == "application/pdf":
        name = attachment.name or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": address}}
    raise refused(attachment, "cannot be sent: chat completions take images, PDF and text")


def nine_characters(id: str) -> str:
    """Return a call's id as Mistral takes it: nine letters and digits, the same for the same id.

    Other vendors' are longer, and a conversation may have begun with one of them.
    """
    if re.fullmatch(r"[a-zA-Z0-9]{9}", id):
        return id
    return hashlib.sha256(id.encode()).hexdigest()[:9]
