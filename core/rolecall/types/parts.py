"""What a turn of a conversation is made of, beside plain text."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen


@frozen
class Verbatim:
    """Something that one provider wants back exactly as it sent it, and nobody else understands.

    provider: the name of the provider that sent it; for any other it is left out.
    payload: JSON. Where it belongs to another part, it is merged into that part's own form.
    """

    provider: str
    payload: Mapping[str, Any] = field(repr=False)


@frozen
class Text:
    """A piece of text."""

    text: str
    verbatim: Verbatim | None = None


@frozen
class ToolCall:
    """A call that a model wants made.

    id: the vendor's, or one of ours where the vendor has none; unique in its turn.
    arguments: a JSON object.
    malformed: the text that stood in its place, where that was no JSON object.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] = field(factory=dict)
    malformed: str = ""
    verbatim: Verbatim | None = None


@frozen
class ToolResult:
    """What a tool call came to.

    call, name: the id and the tool of the call that it answers; a tool leaves them empty.
    """

    text: str
    is_error: bool = False
    call: str = ""
    name: str = ""


@frozen
class Attachment:
    """A file in the conversation: an image, a PDF, or text.

    media_type: as in `image/png`.
    """

    media_type: str
    data: bytes = field(repr=False)
    name: str = ""


Part = Text | ToolCall | ToolResult | Attachment | Verbatim


def to_json(part: Part) -> dict[str, Any]:
    """Return a part as a JSON object, which `from_json` reads; what is empty is left out."""
    match part:
        case Verbatim(provider, payload):
            return {"verbatim": {"provider": provider, "payload": dict(payload)}}
        case Text(text, verbatim):
            value: dict[str, Any] = {"text": text}
        case ToolCall(id, name, arguments, malformed, verbatim):
            value = {"call": id, "name": name, "arguments": dict(arguments)}
            if malformed:
                value["malformed"] = malformed
        case ToolResult(text, is_error, call, name):
            return {"result": call, "name": name, "text": text, "is_error": is_error}
        case Attachment(media_type, data, name):
            encoded = base64.b64encode(data).decode("ascii")
            return {"media_type": media_type, "data": encoded, "name": name}
    if verbatim is not None:
        value |= to_json(verbatim)
    return value


def from_json(value: object) -> Part:
    """Read a part; raise ValueError where it is none."""
    if not isinstance(value, dict):
        raise ValueError(f"must be a part of a turn, not {value!r}")
    verbatim = None
    if "verbatim" in value:
        held = _typed(value, "verbatim", dict)
        verbatim = Verbatim(_typed(held, "provider", str), _typed(held, "payload", dict))
    if "call" in value:
        malformed = _typed(value, "malformed", str) if "malformed" in value else ""
        id, name = _typed(value, "call", str), _typed(value, "name", str)
        return ToolCall(id, name, _typed(value, "arguments", dict), malformed, verbatim)
    if "result" in value:
        texts = {key: _typed(value, key, str) for key in ("text", "name")}
        call = _typed(value, "result", str)
        return ToolResult(is_error=_typed(value, "is_error", bool), call=call, **texts)
    if "media_type" in value:
        data = base64.b64decode(_typed(value, "data", str), validate=True)
        return Attachment(_typed(value, "media_type", str), data, _typed(value, "name", str))
    if "text" in value:
        return Text(_typed(value, "text", str), verbatim)
    if verbatim is None:
        raise ValueError(f"must be a part of a turn, not {value!r}")
    return verbatim


def _typed(value: Mapping[str, Any], key: str, kind: type) -> Any:
    if not isinstance(value.get(key), kind):
        raise ValueError(f"{key} of a part must be of another type than {value.get(key)!r}")
    return value[key]


def size(parts: Iterable[Part]) -> int:
    """Return the bytes that parts take in a request, roughly."""
    return sum(len(json.dumps(to_json(part), ensure_ascii=False).encode()) for part in parts)


@frozen
class ToolSpec:
    """A tool as a model is told of it.

    parameters: a JSON Schema of an object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
