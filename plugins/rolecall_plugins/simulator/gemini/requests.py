"""Parse a request to the Gemini generateContent API, or reject it as the API does."""

import json
from typing import Any, Literal

from ..exchange import Incoming, Query, Rejected, Turn
from .bodies import detail


def read(incoming: Incoming) -> Query:
    """Check the key, the model, the JSON and the fields, in this order; raises Rejected."""
    if not incoming.key:
        raise Rejected("missing_key", 403, "PERMISSION_DENIED", _NO_KEY)
    if not incoming.model.startswith("gemini"):
        message = not_found(incoming.model, incoming.version)
        raise Rejected("unknown_model", 404, "NOT_FOUND", message)
    data = _object(incoming.body)
    contents = data.get("contents")
    if not contents:
        raise _invalid("* GenerateContentRequest.contents: contents is not specified\n")
    if not isinstance(contents, list):
        contents = [contents]
    config = _message(data, "generationConfig", "generation_config")
    system = _either(data, "systemInstruction", "system_instruction")
    return Query(
        model=incoming.model,
        system=_text(system, "system_instruction"),
        turns=tuple(_turn(content, f"contents[{n}]") for n, content in enumerate(contents)),
        form=incoming.form,
        max_tokens=_max_tokens(config),
        thinking=_thinks(config),
    )


def not_found(model: str, version: str) -> str:
    """Word the 404 for a model."""
    return (
        f"models/{model} is not found for API version {version}, or is not supported for "
        "generateContent. Call ListModels to see the models there are."
    )


_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API consumer identity to call this API."
)


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"Invalid JSON payload received. {error}") from None
    if not isinstance(data, dict):
        raise _invalid("Invalid JSON payload received. Root element must be a message.")
    return data


def _either(data: dict[str, Any], camel: str, snake: str) -> Any:
    # The API takes both spellings of every name, and clients use both.
    return data.get(camel) or data.get(snake) or {}


def _turn(content: Any, place: str) -> Turn:
    role: Literal["user", "assistant"]
    match content.get("role") if isinstance(content, dict) else None:
        case "model":
            role = "assistant"
        case None | "" | "user" | "function":
            role = "user"
        case _:
            raise _invalid("Please use a valid role: user, model.")
    # A cut answer may come back in several parts, and must still read as it was sent.
    return Turn(role, _text(content, place, "" if role == "assistant" else "\n\n"))


def _text(content: Any, place: str, between: str = "\n\n") -> str:
    if not isinstance(content, dict):
        raise _field(place, f"Invalid value at '{place}': it must be a Content.")
    parts = content.get("parts") or []
    texts = [_part(part, place) for part in (parts if isinstance(parts, list) else [parts])]
    return between.join(filter(None, texts))


def _part(part: Any, place: str) -> str:
    text = part.get("text", "") if isinstance(part, dict) else None
    if not isinstance(text, str):
        raise _field(f"{place}.parts", f"Invalid value at '{place}.parts': text must be a string.")
    return "" if part.get("thought") else text


def _max_tokens(config: dict[str, Any]) -> int | None:
    value = _either(config, "maxOutputTokens", "max_output_tokens")
    if not value:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _field("generation_config", f"Invalid value at 'max_output_tokens': {value!r}")
    return value


def _thinks(config: dict[str, Any]) -> bool:
    thinking = _message(config, "thinkingConfig", "thinking_config")
    return thinking.get("thinkingBudget", thinking.get("thinking_budget")) != 0


def _message(data: dict[str, Any], camel: str, snake: str) -> dict[str, Any]:
    value = _either(data, camel, snake)
    if not isinstance(value, dict):
        raise _field(snake, f"Invalid value at '{snake}': it must be an object.")
    return value


def _field(field: str, message: str) -> Rejected:
    violation = {"field": field, "description": message}
    details = [detail("BadRequest", fieldViolations=[violation])]
    return Rejected("invalid_request", 400, "INVALID_ARGUMENT", message, details)


def _invalid(message: str) -> Rejected:
    return Rejected("invalid_request", 400, "INVALID_ARGUMENT", message)
