"""Parse the parts that contents are made of, or reject them as the Gemini API does."""

import json
from typing import Any, Literal

from attrs import frozen

from ..content.media import decoded, is_pdf_with_pages, kind_of
from ..exchange import FunctionCall, FunctionResult, SignedPart, Turn
from .errors import camel, check_names, either, invalid, invalid_field, message_field

MEDIA_TOKENS = 258
_DATA = (
    *("text", "inlineData", "fileData", "functionCall", "functionResponse"),
    *("executableCode", "codeExecutionResult", "toolCall", "toolResponse"),
)
_BESIDE = ("thought", "thoughtSignature", "videoMetadata", "partMetadata")


@frozen
class Content:
    """One content; `signatures` holds what each of its parts was signed with, calls first."""

    turn: Turn
    place: str
    signed_calls: tuple[SignedPart, ...] = ()
    signed_texts: tuple[SignedPart, ...] = ()


def read_content(content: Any, place: str, version: str = "v1beta") -> Content:
    """Parse one content."""
    role: Literal["user", "assistant"]
    if not isinstance(content, dict):
        raise invalid_field(place, f"Invalid value at '{place}': it must be a Content.")
    match content.get("role"):
        case "model":
            role = "assistant"
        case None | "" | "user" | "function":
            role = "user"
        case _:
            raise invalid("Please use a valid role: user, model.")
    check_names(content, ("role", "parts"), place)
    sent = content.get("parts") or []
    parts = sent if isinstance(sent, list) else [sent]
    texts: list[str] = []
    calls: list[FunctionCall] = []
    results: list[FunctionResult] = []
    signed_calls: list[SignedPart] = []
    signed_texts: list[SignedPart] = []
    media = 0
    for number, part in enumerate(parts):
        where = f"{place}.parts[{number}]"
        kind = _kind_of(part, where, version)
        signature = part.get("thoughtSignature") or part.get("thought_signature") or ""
        if not isinstance(signature, str):
            raise invalid_field(where, f"Invalid value at '{where}.thought_signature' (TYPE_BYTES)")
        match kind:
            case "text":
                texts.append("" if part.get("thought") else part["text"])
                if signature:
                    signed_texts.append(SignedPart(where, "", signature))
            case "inlineData" | "fileData":
                media += _media(message_field(part, kind, _snake(kind)), kind, where)
            case "functionCall":
                call = _call(message_field(part, "functionCall", "function_call"), where)
                calls.append(call)
                signed_calls.append(SignedPart(where, content_of(call), signature))
            case "functionResponse":
                response = message_field(part, "functionResponse", "function_response")
                results.append(_result(response, where))
    # A cut answer may come back in several parts, and must still read as it was sent.
    text = ("" if role == "assistant" else "\n\n").join(filter(None, texts))
    turn = Turn(role, text, tuple(calls), tuple(results), media)
    return Content(turn, place, tuple(signed_calls), tuple(signed_texts))


def content_of(call: FunctionCall) -> str:
    """Return what the signature of a call is made of."""
    return call.name + json.dumps(dict(call.arguments), sort_keys=True)


def _kind_of(part: Any, place: str, version: str) -> str:
    """Return what a part holds, of which there must be exactly one."""
    parent = place.rpartition("[")[0]
    text = part.get("text", "") if isinstance(part, dict) else None
    if not isinstance(text, str):
        raise invalid_field(parent, f"Invalid value at '{parent}': text must be a string.")
    more = ("mediaResolution",) if version == "v1alpha" else ()
    check_names(part, (*_DATA, *_BESIDE, *more), place)
    kinds = [camel(name) for name in part if camel(name) in _DATA]
    if len(kinds) > 1:
        raise invalid_field(
            place,
            f"Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set "
            f"'{kinds[1]}'",
        )
    if not kinds:
        raise invalid(
            f"* GenerateContentRequest.{place}.data: required oneof field 'data' must have one "
            "initialized field\n"
        )
    return kinds[0]


def _call(call: dict[str, Any], place: str) -> FunctionCall:
    check_names(call, ("id", "name", "args"), f"{place}.function_call")
    return FunctionCall(
        _name(call, f"{place}.function_call"),
        _struct(call, "args", f"{place}.function_call"),
        str(call.get("id") or ""),
    )


def _result(response: dict[str, Any], place: str) -> FunctionResult:
    where = f"{place}.function_response"
    check_names(response, ("id", "name", "response", "willContinue", "scheduling", "parts"), where)
    struct = _struct(response, "response", where)
    return FunctionResult(
        _name(response, where),
        json.dumps(struct, sort_keys=True),
        str(response.get("id") or ""),
        is_error="error" in struct,
    )


def _name(table: dict[str, Any], place: str) -> str:
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise invalid(f"* GenerateContentRequest.{place}.name: Name cannot be empty.\n")
    return name


def _struct(table: dict[str, Any], name: str, place: str) -> dict[str, Any]:
    value = table.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_field(
            f"{place}.{name}",
            f"Invalid value at '{place}.{name}' (type.googleapis.com/google.protobuf.Struct), "
            f"{json.dumps(value)}",
        )
    return value


def _media(media: dict[str, Any], kind: str, place: str) -> int:
    """Check an image or a document, and count what it costs."""
    claimed = either(media, "mimeType", "mime_type")
    if kind == "fileData":
        return MEDIA_TOKENS
    data = decoded(media.get("data"))
    if data is None:
        raise invalid_field(
            f"{place}.inline_data.data",
            f"Invalid value at '{place}.inline_data.data' (TYPE_BYTES), Base64 decoding failed",
        )
    match claimed:
        case "application/pdf":
            if kind_of(data) != claimed or not is_pdf_with_pages(data):
                raise invalid("The document has no pages.")
        case "image/png" | "image/jpeg" | "image/webp" | "image/heic" | "image/heif":
            if claimed in ("image/png", "image/jpeg") and kind_of(data) is None:
                raise invalid("Provided image is not valid.")
        case str() if claimed.startswith(("text/", "audio/", "video/")):
            pass
        case _:
            raise invalid(f"Unsupported MIME type: {claimed or ''}")
    return MEDIA_TOKENS


def _snake(kind: str) -> str:
    return {"inlineData": "inline_data", "fileData": "file_data"}[kind]
