"""Parse a request to the Anthropic Messages API, or reject it as the API does."""

import json
from typing import Any, Literal

from attrs import evolve

from ..exchange import Incoming, PromptBlock, Query, Rejected, Turn
from .content import invalid, lifetime_of, read_content, required
from .tools import read_choice, read_format, read_tools
from .turns import SentMessage, check_calls, check_thinking

_MARKS = 4


def read(incoming: Incoming) -> Query:
    """Check the key, the JSON, the fields and the model, in this order; raises Rejected."""
    if not incoming.key:
        raise Rejected("missing_key", 401, "authentication_error", "x-api-key header is required")
    return read_body(_object(incoming.body))


def read_body(data: dict[str, Any]) -> Query:
    """Check the fields and the model; raises Rejected."""
    model = required(data, "model", str, "string", "")
    sent = required(data, "messages", list, "list", "")
    max_tokens = required(data, "max_tokens", int, "integer", "")
    if max_tokens < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    if not sent:
        raise invalid("messages: at least one message is required")
    stream = data.get("stream") or False
    if not isinstance(stream, bool):
        raise invalid("stream: Input should be a valid boolean")
    thinking = _thinking(data.get("thinking"), max_tokens)
    tools, tools_prompt = read_tools(data.get("tools"))
    callable_tools, forced = read_choice(data.get("tool_choice"), tools, thinking is not None)
    system = read_content(data.get("system") or [], "system")
    messages = [_message(message, n, n == len(sent) - 1) for n, message in enumerate(sent)]
    check_calls(messages)
    if thinking == "enabled":
        check_thinking(messages)
    blocks = _marked(data, [*tools_prompt, *system.prompt], messages)
    if not tools_prompt and any(message.blocks.calls for message in messages):
        raise invalid(
            "Requests which include `tool_use` or `tool_result` blocks must define tools."
        )
    query = Query(
        model=model,
        system="\n\n".join(filter(None, system.texts)),
        turns=tuple(_turn(message) for message in messages),
        form="sse" if stream else "json",
        max_tokens=max_tokens,
        thinking=thinking is not None,
        tools=callable_tools,
        forced=forced,
        schema=read_format(data),
        blocks=blocks,
        signed=tuple(part for message in messages for part in message.blocks.signed),
    )
    if not model.startswith("claude"):
        raise Rejected("unknown_model", 404, "not_found_error", f"model: {model}")
    return query


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise invalid("The request body should be a valid JSON object")
    return data


def _message(message: Any, number: int, is_last: bool) -> SentMessage:
    place = f"messages.{number}"
    if not isinstance(message, dict):
        raise invalid(f"{place}: Input should be a valid dictionary")
    role = message.get("role")
    if role not in ("user", "assistant"):
        raise invalid(f"{place}.role: Input should be 'user' or 'assistant'")
    if "content" not in message:
        raise invalid(f"{place}.content: Field required")
    blocks = read_content(message["content"], f"{place}.content")
    if not message["content"] and not (is_last and role == "assistant"):
        raise invalid(
            f"{place}: all messages must have non-empty content except for the optional final "
            "assistant message"
        )
    foreign = ("tool_result", "image", "document") if role == "assistant" else ("tool_use",)
    for inner, kind in enumerate(blocks.kinds):
        if kind in foreign or (role == "user" and kind in ("thinking", "redacted_thinking")):
            raise invalid(f"{place}.content.{inner}: `{kind}` blocks can not be in {role} messages")
    return SentMessage(number, role, blocks)


def _turn(message: SentMessage) -> Turn:
    role: Literal["user", "assistant"] = "user" if message.role == "user" else "assistant"
    # A cut answer may come back in several blocks, and must still read as it was sent.
    between = "\n\n" if role == "user" else ""
    blocks = message.blocks
    text = between.join(filter(None, blocks.texts))
    return Turn(role, text, blocks.calls, blocks.results, blocks.media)


def _marked(
    data: dict[str, Any], first: list[PromptBlock], messages: list[SentMessage]
) -> tuple[PromptBlock, ...]:
    """Return the prompt in the order in which it is cached: tools, system, messages."""
    blocks = list(first)
    for message in messages:
        # The role is part of the prompt that is looked up.
        blocks.append(PromptBlock(f"[{message.role}]", 0))
        blocks += message.blocks.prompt
    whole = lifetime_of(data.get("cache_control"), "")
    if whole is not None and blocks:
        blocks[-1] = evolve(blocks[-1], lifetime=whole)
    marks = [block.lifetime for block in blocks if block.lifetime is not None]
    if len(marks) > _MARKS:
        raise invalid(
            f"A maximum of {_MARKS} blocks with cache_control may be provided. Found {len(marks)}."
        )
    if marks != sorted(marks, reverse=True):
        raise invalid(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. "
            "Note that blocks are processed in the following order: `tools`, `system`, `messages`."
        )
    return tuple(blocks)


def _thinking(thinking: Any, max_tokens: int) -> str | None:
    """Return how the model is to think; None where it is not to."""
    if thinking is None:
        return None
    if not isinstance(thinking, dict):
        raise invalid("thinking: Input should be a valid dictionary")
    match thinking.get("type"):
        case "enabled":
            budget = required(thinking, "budget_tokens", int, "integer", "thinking.enabled")
            if budget >= max_tokens:
                raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
            return "enabled"
        case "adaptive":
            return "adaptive"
        case "disabled":
            return None
    raise invalid(
        f"thinking: Input tag {thinking.get('type')!r} found using 'type' does not match any of "
        "the expected tags: 'adaptive', 'disabled', 'enabled'"
    )
