"""Write a conversation with tools, calls, results and attachments for the Gemini API.

Source: https://ai.google.dev/api/caching#Content, /gemini-api/docs/function-calling and
/gemini-api/docs/thought-signatures.
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

from ..gemini_reply import SIGNATURE
from ..reading.turns import OWN_ID
from .attachments import as_text, encoded, media_type, refused
from .gemini_schema import reduced
from .turns import Block, joined, own

INLINE = (
    *("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"),
    "application/pdf",
)
# What stands in the place of the signature of a call that another model made.
UNSIGNED = "skip_thought_signature_validator"
_ROLES = {"user": "user", "assistant": "model"}
_SIGNS = re.compile(r"gemini-([3-9]|\d\d)\b|gemini-[a-z-]+-latest\b")


def write(request: Request, provider: str) -> dict[str, Any]:
    """Return `contents`, and `tools` where some are offered.

    provider: the name of the provider that sends them; what any other wants back is left out.
    """
    turns = joined(_written(request.messages, provider), "functionResponse")
    contents: list[Block] = [{"role": role, "parts": parts} for role, parts in turns]
    if _SIGNS.match(request.model):
        _sign(contents)
    if not request.tools:
        return {"contents": contents}
    declared = [_declaration(tool) for tool in request.tools]
    return {"contents": contents, "tools": [{"functionDeclarations": declared}]}


def _declaration(tool: ToolSpec) -> Block:
    """Declare a tool; one without arguments has no schema, as an empty one is refused."""
    declaration = {"name": tool.name, "description": tool.description}
    schema = reduced(tool.parameters)
    return {**declaration, "parameters": schema} if schema.get("properties") else declaration


def _written(turns: Iterable[Message], provider: str) -> Iterator[tuple[str, Block]]:
    """Write the parts of all turns, each with its role."""
    names: dict[str, str] = {}
    for turn in turns:
        calls = [part for part in turn.content if isinstance(part, ToolCall)]
        names |= {call.id: call.name for call in calls}
        for part in turn.content:
            for written in _parts(part, names, provider):
                yield _ROLES[turn.role], written


def _parts(part: Part, names: dict[str, str], provider: str) -> Iterator[Block]:
    match part:
        case Text(text, verbatim):
            more = own(verbatim, provider)
            if text or more:  # the signature of a whole turn comes in an empty text
                yield {"text": text, **more}
        case ToolCall(id, name, arguments, _, verbatim):
            call = {"name": name, "args": dict(arguments), **_id(id)}
            yield {"functionCall": call, **own(verbatim, provider)}
        case ToolResult(text, is_error, id, name):
            response = {"error" if is_error else "output": text}
            answer = {"name": name or names.get(id, ""), "response": response, **_id(id)}
            yield {"functionResponse": answer}
        case Attachment():
            yield _attached(part)
        case Verbatim():
            if block := own(part, provider):
                yield block


def _id(id: str) -> Block:
    """Return the id of a call as it is sent: one that we made up was never the vendor's."""
    return {} if not id or id.startswith(OWN_ID) else {"id": id}


def _attached(attachment: Attachment) -> Block:
    kind = media_type(attachment)
    if kind.startswith("text/"):
        return {"text": as_text(attachment)}
    if kind not in INLINE:
        raise refused(attachment, "cannot be sent to Gemini: it takes images, PDF and text")
    return {"inlineData": {"mimeType": kind, "data": encoded(attachment)}}


def _sign(contents: list[Block]) -> None:
    """Mark calls that other models made.

    From Gemini 3 on, the first call of a turn must be signed; this says that it cannot be.
    """
    for content in contents:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls:
            calls[0].setdefault(SIGNATURE, UNSIGNED)
