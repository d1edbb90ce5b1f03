"""Parse the functions and schemas of a request, or reject them as the Gemini API does.

Source: https://ai.google.dev/api/caching#Schema
"""

import re
from collections.abc import Mapping
from typing import Any

from ..exchange import OfferedTool
from .errors import check_names, either, invalid, invalid_field, message_field

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "TYPE_UNSPECIFIED")
_SCHEMA = (
    *("type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems"),
    *("properties", "required", "minProperties", "maxProperties", "minLength", "maxLength"),
    *("pattern", "example", "anyOf", "propertyOrdering", "default", "items", "minimum", "maximum"),
)
_DECLARATION = (
    *("name", "description", "parameters", "parametersJsonSchema"),
    *("response", "responseJsonSchema", "behavior"),
)


def read_tools(data: dict[str, Any]) -> list[OfferedTool]:
    """Parse the functions that a request declares; the API's own tools are never called here."""
    offered: list[OfferedTool] = []
    tools = data.get("tools") or []
    for number, tool in enumerate(tools if isinstance(tools, list) else [tools]):
        place = f"tools[{number}]"
        if not isinstance(tool, dict):
            raise invalid_field(place, f"Invalid value at '{place}': it must be a Tool.")
        declarations = either(tool, "functionDeclarations", "function_declarations")
        if declarations and not isinstance(declarations, list):
            raise invalid_field(place, f"Invalid value at '{place}.function_declarations'")
        for inner, declaration in enumerate(declarations or []):
            where = f"{place}.function_declarations[{inner}]"
            if not isinstance(declaration, dict):
                raise invalid_field(where, f"Invalid value at '{where}'")
            offered.append(_declared(declaration, where))
    names = [tool.name for tool in offered]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"Duplicate function declaration found: {name}")
    return offered


def read_choice(
    data: dict[str, Any], tools: list[OfferedTool]
) -> tuple[tuple[OfferedTool, ...], bool]:
    """Return the functions that may be called, and whether one must be."""
    config = message_field(data, "toolConfig", "tool_config")
    calling = message_field(config, "functionCallingConfig", "function_calling_config")
    allowed = either(calling, "allowedFunctionNames", "allowed_function_names") or []
    mode = str(calling.get("mode") or "AUTO").upper()
    if mode not in ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"):
        raise invalid_field(
            "tool_config.function_calling_config.mode",
            f"Invalid value at 'tool_config.function_calling_config.mode', \"{mode}\"",
        )
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise invalid("Allowed function names should only be set when mode is ANY.")
    for name in allowed:
        if name not in {tool.name for tool in tools}:
            raise invalid(f"Allowed function {name} is not in the function declarations.")
    if mode == "NONE":
        return (), False
    chosen = [tool for tool in tools if not allowed or tool.name in allowed]
    return tuple(chosen), mode == "ANY" and bool(chosen)


def read_format(
    config: dict[str, Any], tools: list[OfferedTool], model: str
) -> Mapping[str, Any] | None:
    """Return the schema that the answer has to fit."""
    kind = either(config, "responseMimeType", "response_mime_type") or "text/plain"
    schema = message_field(config, "responseSchema", "response_schema")
    json_schema = message_field(config, "responseJsonSchema", "response_json_schema")
    if schema:
        check_schema(schema, "generation_config.response_schema")
    if (schema or json_schema) and kind not in ("application/json", "text/x.enum"):
        raise invalid(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when "
            "response_mime_type is application/json or text/x.enum\n"
        )
    if kind != "application/json":
        return None
    if tools and re.match(r"gemini-[12]\b", model):
        raise invalid(f"Function calling with a response mime type: '{kind}' is unsupported")
    return schema or json_schema or {"type": "object"}


def check_schema(schema: Any, place: str) -> None:
    """Reject what the API's own schemas lack; JSON Schemas go by other names."""
    if not isinstance(schema, dict):
        raise invalid_field(place, f"Invalid value at '{place}': it must be a Schema.")
    check_names(schema, _SCHEMA, place)
    kind = schema.get("type")
    if isinstance(kind, list):
        raise invalid_field(
            place,
            f"Invalid JSON payload received. Unknown name \"type\" at '{place}': Proto field is "
            "not repeating, cannot start list.",
        )
    if kind is not None and str(kind).upper() not in _TYPES:
        raise invalid_field(
            f"{place}.type",
            f"Invalid value at '{place}.type' "
            f'(type.googleapis.com/google.ai.generativelanguage.v1beta.Type), "{kind}"',
        )
    kind = str(kind or "").upper()
    if schema.get("enum") and kind not in ("STRING", ""):
        raise invalid(f"* GenerateContentRequest.{place}.enum: only allowed for STRING type\n")
    if kind == "ARRAY" and "items" not in schema:
        raise invalid(f"* GenerateContentRequest.{place}.items: missing field.\n")
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if properties and name not in properties:
            raise invalid(
                f"* GenerateContentRequest.{place}.required[0]: property is not defined\n"
            )
    for name, inner in properties.items():
        check_schema(inner, f"{place}.properties[{name}]")
    if "items" in schema:
        check_schema(schema["items"], f"{place}.items")
    for number, inner in enumerate(either(schema, "anyOf", "any_of") or ()):
        check_schema(inner, f"{place}.any_of[{number}]")


def _declared(declaration: dict[str, Any], place: str) -> OfferedTool:
    check_names(declaration, _DECLARATION, place)
    name = declaration.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid(
            f"* GenerateContentRequest.{place}.name: Invalid function name. Must start with a "
            "letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), "
            "dots (.), colons (:), or dashes (-), with a maximum length of 64.\n"
        )
    schema = message_field(declaration, "parameters", "parameters")
    if schema:
        check_schema(schema, f"{place}.parameters")
    json_schema = message_field(declaration, "parametersJsonSchema", "parameters_json_schema")
    if schema and json_schema:
        raise invalid(
            f"* GenerateContentRequest.{place}: parameters and parameters_json_schema are mutually "
            "exclusive\n"
        )
    return OfferedTool(name, schema or json_schema or {"type": "object"})
