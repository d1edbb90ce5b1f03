"""Parse a request to the Gemini generateContent API, or reject it as the API does."""

import json
from typing import Any

from ..exchange import Incoming, Query, Rejected
from .contents import read_content
from .errors import either, invalid, invalid_field, message_field
from .tools import read_choice, read_format, read_tools
from .turns import check_calls, signed_parts


def read(incoming: Incoming) -> Query:
    """Check the key, the model, the JSON and the fields, in this order; raises Rejected."""
    if not incoming.key:
        raise Rejected("missing_key", 403, "PERMISSION_DENIED", _NO_KEY)
    if not incoming.model.startswith("gemini"):
        message = not_found(incoming.model, incoming.version)
        raise Rejected("unknown_model", 404, "NOT_FOUND", message)
    return read_body(_object(incoming.body), incoming)


def read_body(data: dict[str, Any], incoming: Incoming) -> Query:
    """Check the fields; raises Rejected."""
    sent = data.get("contents")
    if not sent:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    contents = [
        read_content(content, f"contents[{number}]", incoming.version)
        for number, content in enumerate(sent if isinstance(sent, list) else [sent])
    ]
    config = message_field(data, "generationConfig", "generation_config")
    system = either(data, "systemInstruction", "system_instruction")
    tools = read_tools(data)
    callable_tools, forced = read_choice(data, tools)
    check_calls(contents)
    return Query(
        model=incoming.model,
        system=read_content(system, "system_instruction").turn.text,
        turns=tuple(content.turn for content in contents),
        form=incoming.form,
        max_tokens=_max_tokens(config),
        thinking=_thinks(config),
        tools=callable_tools,
        forced=forced,
        schema=read_format(config, tools, incoming.model),
        signed=tuple(signed_parts(contents, incoming.model)),
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
        raise invalid(f"Invalid JSON payload received. {error}") from None
    if not isinstance(data, dict):
        raise invalid("Invalid JSON payload received. Root element must be a message.")
    return data


def _max_tokens(config: dict[str, Any]) -> int | None:
    value = either(config, "maxOutputTokens", "max_output_tokens")
    if not value:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise invalid_field("generation_config", f"Invalid value at 'max_output_tokens': {value!r}")
    return value


def _thinks(config: dict[str, Any]) -> bool:
    thinking = message_field(config, "thinkingConfig", "thinking_config")
    return thinking.get("thinkingBudget", thinking.get("thinking_budget")) != 0
