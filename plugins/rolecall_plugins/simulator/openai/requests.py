"""Parse a request in OpenAI's format, or reject it as the API does."""

import json
from collections.abc import Mapping
from typing import Any

from ..exchange import FunctionCall, FunctionResult, Incoming, OfferedTool, Query, Rejected, Turn

MEDIA_TOKENS = 765  # of an image


def read(incoming: Incoming) -> Query:
    """Check the JSON and the fields, in this order; raises Rejected.

    Servers of one's own want no key, so none is asked for.
    """
    try:
        data = json.loads(incoming.body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise invalid("We could not parse the JSON body of your request.")
    model, messages = data.get("model") or incoming.model, data.get("messages")
    if not isinstance(model, str) or not model:
        raise invalid("you must provide a model parameter")
    if not isinstance(messages, list) or not messages:
        raise invalid("[] is too short - 'messages'")
    system, turns = [], []
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            raise invalid(f"messages[{place}]: an object was expected")
        if message.get("role") in ("system", "developer"):
            system.append(_text(message.get("content"), place))
        else:
            turns.append(_turn(message, place))
    _check_calls(turns)
    limit = data.get("max_completion_tokens", data.get("max_tokens"))
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise invalid(f"Invalid 'max_tokens': {limit!r}")
    tools, forced = _tools(data)
    return Query(
        model=model,
        system="\n\n".join(system),
        turns=tuple(_joined(turns)),
        form="sse" if data.get("stream") is True else "json",
        max_tokens=limit,
        tools=tools,
        forced=forced,
        schema=_schema(data.get("response_format")),
    )


def invalid(message: str) -> Rejected:
    return Rejected("invalid_request", 400, "invalid_request_error", message)


def check(_query: Query) -> None:
    """Accept whatever was signed: this format has no signatures."""


def _turn(message: Mapping[str, Any], place: int) -> Turn:
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        id = message.get("tool_call_id")
        if not isinstance(id, str):
            raise invalid(f"Missing parameter 'messages[{place}].tool_call_id'.")
        return Turn("user", results=(FunctionResult("", _text(content, place), id),))
    if role not in ("user", "assistant"):
        raise invalid(f"Invalid value: {role!r} for 'messages[{place}].role'.")
    calls = tuple(_call(call, place) for call in message.get("tool_calls") or ())
    if content is None and not calls:
        raise invalid(f"Invalid value for 'content' of messages[{place}]: expected a string")
    media = 0
    if isinstance(content, list):
        media = MEDIA_TOKENS * sum(part.get("type") != "text" for part in content)
    return Turn(role, _text(content, place), calls, media=media)


def _call(call: Any, place: int) -> FunctionCall:
    try:
        arguments = json.loads(call["function"]["arguments"])
        return FunctionCall(call["function"]["name"], arguments, call["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise invalid(f"Invalid 'messages[{place}].tool_calls'") from error


def _text(content: Any, place: int) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise invalid(f"Invalid type for 'messages[{place}].content'")
    return "\n\n".join(part.get("text", "") for part in content if part.get("type") == "text")


def _check_calls(turns: list[Turn]) -> None:
    """Check that each call is answered right behind it, as the API demands."""
    unanswered = invalid("An assistant message with 'tool_calls' must be followed by results")
    open_ids: set[str] = set()
    for turn in turns:
        answered = {result.id for result in turn.results}
        if not answered <= open_ids:
            raise invalid("messages with role 'tool' must follow a message with 'tool_calls'")
        open_ids -= answered
        if open_ids and not answered:
            raise invalid(
                "An assistant message with 'tool_calls' must be followed by tool messages"
            )
        open_ids |= {call.id for call in turn.calls}
    if open_ids:
        raise unanswered


def _joined(turns: list[Turn]) -> list[Turn]:
    """Join the results of one round, which come as messages of their own."""
    joined: list[Turn] = []
    for turn in turns:
        if turn.results and joined and joined[-1].results:
            joined[-1] = Turn("user", results=(*joined[-1].results, *turn.results))
        else:
            joined.append(turn)
    return joined


def _tools(data: Mapping[str, Any]) -> tuple[tuple[OfferedTool, ...], bool]:
    tools = []
    for place, tool in enumerate(data.get("tools") or ()):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not function.get("name"):
            raise invalid(f"Missing required parameter: 'tools[{place}].function.name'.")
        tools.append(OfferedTool(function["name"], function.get("parameters") or {}))
    choice = data.get("tool_choice")
    return (() if choice == "none" else tuple(tools)), choice == "required"


def _schema(form: Any) -> Mapping[str, Any] | None:
    if not isinstance(form, dict) or form.get("type") not in ("json_schema", "json_object"):
        return None
    schema = form.get("json_schema")
    return (schema.get("schema") if isinstance(schema, dict) else None) or {"type": "object"}
