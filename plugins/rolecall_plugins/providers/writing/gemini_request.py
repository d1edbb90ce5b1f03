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

Block = dict[str, Any]

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
    contents = list(_contents(request.messages, provider))
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


def _contents(turns: Iterable[Message], provider: str) -> Iterator[Block]:
    """Write the turns; those of one role in a row become one, and an empty one is left out."""
    content: Block = {}
    names: dict[str, str] = {}
    for turn in turns:
        role = _ROLES[turn.role]
        said = turn.content
        if role == "model":
            names = {part.id: part.name for part in said if isinstance(part, ToolCall)}
        else:  # what else was said in a turn comes behind all of its results
            said = tuple(sorted(said, key=lambda part: not isinstance(part, ToolResult)))
        parts = [written for part in said for written in _parts(part, names, provider)]
        if not parts:
            continue
        if content.get("role") == role:
            content["parts"] += parts
            continue
        if content:
            yield content
        content = {"role": role, "parts": parts}
    if content:
        yield content


def _parts(part: Part, names: dict[str, str], provider: str) -> Iterator[Block]:
    match part:
        case Text(text, verbatim):
            own = _own(verbatim, provider)
            if text or own:  # the signature of a whole turn comes in an empty text
                yield {"text": text, **own}
        case ToolCall(id, name, arguments, _, verbatim):
            call = {"name": name, "args": dict(arguments), **_id(id)}
            yield {"functionCall": call, **_own(verbatim, provider)}
        case ToolResult(text, is_error, id, name):
            response = {"error" if is_error else "output": text}
            answer = {"name": name or names.get(id, ""), "response": response, **_id(id)}
            yield {"functionResponse": answer}
        case Attachment():
            yield _attached(part)
        case Verbatim():
            if own := _own(part, provider):
                yield own


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


def _own(verbatim: Verbatim | None, provider: str) -> Block:
    """Return what this very provider wants back; nothing of another's."""
    if verbatim is None or verbatim.provider != provider:
        return {}
    return dict(verbatim.payload)


def _sign(contents: list[Block]) -> None:
    """Mark calls that other models made.

    From Gemini 3 on, the first call of a turn must be signed; this says that it cannot be.
    """
    for content in contents:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls:
            calls[0].setdefault(SIGNATURE, UNSIGNED)
