"""Parse what a request offers as tools, or reject it as the Anthropic API does."""

import re
from collections.abc import Iterator
from typing import Any

from ..exchange import OfferedTool, PromptBlock, count_tokens
from .content import invalid, lifetime_of, required, to_json

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def read_tools(tools: Any) -> tuple[list[OfferedTool], list[PromptBlock]]:
    """Parse the tools, and what of the prompt they make up."""
    if not tools:
        return [], []
    if not isinstance(tools, list):
        raise invalid("tools: Input should be a valid list")
    offered: list[OfferedTool] = []
    prompt = []
    for number, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise invalid(f"tools.{number}: Input should be a valid dictionary")
        if tool.get("type") in (None, "custom"):
            offered.append(_tool(tool, f"tools.{number}.custom"))
        else:  # one of the vendor's own, which the simulator never calls
            required(tool, "name", str, "string", f"tools.{number}")
        lifetime = lifetime_of(tool.get("cache_control"), f"tools.{number}")
        text = to_json({name: value for name, value in tool.items() if name != "cache_control"})
        prompt.append(PromptBlock(text, count_tokens(text), lifetime))
    names = [tool["name"] for tool in tools]
    if len(names) != len(set(names)):
        raise invalid("tools: Tool names must be unique.")
    return offered, prompt


def read_choice(
    choice: Any, tools: list[OfferedTool], thinks: bool
) -> tuple[tuple[OfferedTool, ...], bool]:
    """Return the tools that may be called, and whether one must be."""
    if choice is None:
        return tuple(tools), False
    if not isinstance(choice, dict):
        raise invalid("tool_choice: Input should be a valid dictionary")
    if not tools and choice.get("type") != "none":
        raise invalid("tool_choice: tool_choice may only be specified while providing tools.")
    match choice.get("type"):
        case "auto":
            return tuple(tools), False
        case "none":
            return (), False
        case "any":
            allowed = tuple(tools)
        case "tool":
            name = required(choice, "name", str, "string", "tool_choice.tool")
            allowed = tuple(tool for tool in tools if tool.name == name)
            if not allowed:
                raise invalid(f"tool_choice: Tool '{name}' not found in provided tools")
        case other:
            raise invalid(
                f"tool_choice: Input tag {other!r} found using 'type' does not match any of the "
                "expected tags: 'any', 'auto', 'none', 'tool'"
            )
    if thinks:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    return allowed, True


def read_format(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema that the answer has to fit, by either of the two names it is sent under."""
    config = data.get("output_config")
    inner = config.get("format") if isinstance(config, dict) else None
    place = "output_config.format" if inner is not None else "output_format"
    chosen = inner if inner is not None else data.get("output_format")
    if chosen is None:
        return None
    if not isinstance(chosen, dict) or chosen.get("type") != "json_schema":
        raise invalid(f"{place}.type: Input should be 'json_schema'")
    schema: dict[str, Any] = required(chosen, "schema", dict, "dictionary", place)
    for inner_schema in _objects(schema):
        if inner_schema.get("additionalProperties") is not False:
            raise invalid(
                f"{place}.schema: For 'object' type, 'additionalProperties' must be explicitly set "
                "to false"
            )
    return schema


def _tool(tool: dict[str, Any], place: str) -> OfferedTool:
    name = required(tool, "name", str, "string", place)
    if not _NAME.fullmatch(name):
        raise invalid(f"{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    schema = required(tool, "input_schema", dict, "dictionary", place)
    if schema.get("type") != "object":
        raise invalid(f"{place}.input_schema.type: Input should be 'object'")
    return OfferedTool(name, schema)


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema of an object within a schema."""
    ahead = [schema]
    while ahead:
        inner = ahead.pop()
        if isinstance(inner, dict):
            if inner.get("type") == "object":
                yield inner
            ahead += inner.values()
        elif isinstance(inner, list):
            ahead += inner
