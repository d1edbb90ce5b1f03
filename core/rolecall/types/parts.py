"""What a turn of a conversation is made of, beside plain text."""

from collections.abc import Mapping
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


@frozen
class ToolSpec:
    """A tool as a model is told of it.

    parameters: a JSON Schema of an object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
