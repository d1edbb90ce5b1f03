"""Parse a request to the Anthropic Messages API, or reject it as the API does."""

import json
from typing import Any, Literal

from ..exchange import Incoming, Query, Rejected, Turn


def read(incoming: Incoming) -> Query:
    """Check the key, the JSON, the fields and the model, in this order; raises Rejected."""
    if not incoming.key:
        raise Rejected("missing_key", 401, "authentication_error", "x-api-key header is required")
    data = _object(incoming.body)
    model = _required(data, "model", str, "string")
    messages = _required(data, "messages", list, "list")
    max_tokens = _required(data, "max_tokens", int, "integer")
    if max_tokens < 1:
        raise _invalid("max_tokens: Input should be greater than or equal to 1")
    if not messages:
        raise _invalid("messages: at least one message is required")
    stream = data.get("stream") or False
    if not isinstance(stream, bool):
        raise _invalid("stream: Input should be a valid boolean")
    query = Query(
        model=model,
        system=_text(data.get("system") or "", "system"),
        turns=tuple(_turn(message, f"messages.{n}") for n, message in enumerate(messages)),
        form="sse" if stream else "json",
        max_tokens=max_tokens,
        thinking=_thinks(data.get("thinking")),
        marked=_marked(data.get("system")),
    )
    if not model.startswith("claude"):
        raise Rejected("unknown_model", 404, "not_found_error", f"model: {model}")
    return query


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"The request body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise _invalid("The request body should be a valid JSON object")
    return data


def _required(data: dict[str, Any], name: str, kind: type, word: str) -> Any:
    if name not in data:
        raise _invalid(f"{name}: Field required")
    value = data[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _invalid(f"{name}: Input should be a valid {word}")
    return value


def _turn(message: Any, place: str) -> Turn:
    if not isinstance(message, dict):
        raise _invalid(f"{place}: Input should be a valid dictionary")
    role: Literal["user", "assistant"]
    match message.get("role"):
        case "user":
            role = "user"
        case "assistant":
            role = "assistant"
        case _:
            raise _invalid(f"{place}.role: Input should be 'user' or 'assistant'")
    if "content" not in message:
        raise _invalid(f"{place}.content: Field required")
    # A cut answer may come back in several blocks, and must still read as it was sent.
    between = "" if role == "assistant" else "\n\n"
    return Turn(role, _text(message["content"], f"{place}.content", between))


def _text(content: Any, place: str, between: str = "\n\n") -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _invalid(f"{place}: Input should be a valid list")
    return between.join(filter(None, (_part(part, place) for part in content)))


def _part(part: Any, place: str) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise _invalid(f"{place}: Input should be a list of blocks that have a type")
    if part["type"] == "tool_result":
        return _text(part.get("content") or "", f"{place}.tool_result")
    text = part.get("text", "") if part["type"] == "text" else ""
    if not isinstance(text, str):
        raise _invalid(f"{place}.text: Input should be a valid string")
    return text


def _marked(system: Any) -> bool:
    return isinstance(system, list) and any("cache_control" in part for part in system)


def _thinks(thinking: Any) -> bool:
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")


def _invalid(message: str) -> Rejected:
    return Rejected("invalid_request", 400, "invalid_request_error", message)
