"""Recorded requests as the values that stand for them, and in one form to compare them in."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from places import WIRE

from rolecall import Attachment, Message, Part, Request, Text, ToolCall, ToolResult, ToolSpec
from rolecall import Verbatim as As

Json = Any
_UNTOLD = ("title", "default", "additionalProperties", "$schema", "strict", "propertyOrdering")
_NUMBERED = ("", "string", "number", "integer", "boolean", "array", "object", "null")


def recorded(*tags: str) -> dict[str, Json]:
    """Load the exchanges, or those with any of these tags, by id; none where no traffic is here."""
    found = {}
    for path in sorted((WIRE / "interactions").glob("*.json")):
        exchange = json.loads(path.read_text("utf-8"))
        if not tags or set(tags) & set(exchange["tags"]):
            found[path.stem] = exchange
    return found


def request_of(exchange: Json) -> Request:
    """Parse a recorded request."""
    body = exchange["request"]["body"]
    read = _claude if exchange["provider"] == "anthropic" else _gemini
    messages, tools = read(body)
    return Request("", tuple(messages), model=exchange["model"] or "", tools=tuple(tools))


def claude_form(body: Json) -> Json:
    """Bring messages and tools into the form in which what means the same is equal."""
    turns = [(each["role"], _blocks(each["content"])) for each in body["messages"]]
    tools = [tool for tool in body.get("tools", ()) if "input_schema" in tool]
    return {
        "messages": _joined((role, map(_bare_block, blocks)) for role, blocks in turns),
        "tools": [
            {
                "name": tool["name"],
                "description": tool.get("description", ""),
                "properties": tool["input_schema"].get("properties", {}),
                "required": sorted(tool["input_schema"].get("required") or ()),
            }
            for tool in tools
        ],
    }


def gemini_form(body: Json) -> Json:
    """Bring contents and tools into the form in which what means the same is equal."""
    body = _camel(body)
    turns = [(_role(each), map(_bare_part, each["parts"])) for each in body["contents"]]
    return {
        "contents": _joined(turns),
        "tools": [
            {
                "name": each["name"],
                "description": each.get("description", ""),
                "parameters": _bare_schema(_json_schema(each)),
            }
            for each in _declarations(body)
        ],
    }


def as_json_schema(schema: Json) -> Json:
    """Write a schema of Gemini's as JSON Schema has it."""
    if isinstance(schema, list):
        return [as_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: as_json_schema(each) for name, each in schema.items() if each is not None}
    kind = plain.get("type")
    if isinstance(kind, int):  # enums come as numbers from some clients
        kind = _NUMBERED[kind]
    if isinstance(kind, str):
        plain["type"] = kind.lower()
    if plain.pop("nullable", False):
        return {"anyOf": [plain, {"type": "null"}]}
    return plain


def _claude(body: Json) -> tuple[list[Message], list[ToolSpec]]:
    names: dict[str, str] = {}
    messages = []
    for message in body["messages"]:
        parts = tuple(_claude_part(block, names) for block in _blocks(message["content"]))
        messages.append(Message(message["role"], parts=parts))
    tools = [
        ToolSpec(tool["name"], tool.get("description", ""), tool["input_schema"])
        for tool in body.get("tools", ())
        if "input_schema" in tool
    ]
    return messages, tools


def _claude_part(block: Json, names: dict[str, str]) -> Part:
    match block:
        case {"type": "text"}:
            citations = block.get("citations")
            return Text(
                block["text"], As("claude", {"citations": citations}) if citations else None
            )
        case {"type": "tool_use"}:
            names[block["id"]] = block["name"]
            return ToolCall(block["id"], block["name"], block["input"])
        case {"type": "tool_result"}:
            call = block["tool_use_id"]
            text = _text_of_result(block.get("content"))
            return ToolResult(text, bool(block.get("is_error")), call, names[call])
        case {"type": "image" | "document", "source": {"type": "base64", "data": data}}:
            return Attachment(block["source"]["media_type"], decoded(data))
    return As("claude", block)


def _gemini(body: Json) -> tuple[list[Message], list[ToolSpec]]:
    body = _camel(body)
    messages = [
        Message(_role(content), parts=tuple(map(_gemini_part, content["parts"])))
        for content in body["contents"]
    ]
    tools = [
        ToolSpec(each["name"], each.get("description", ""), _json_schema(each))
        for each in _declarations(body)
    ]
    return messages, tools


def _gemini_part(part: Json) -> Part:
    signature = part.get("thoughtSignature")
    own = As("gemini", {"thoughtSignature": signature}) if signature else None
    match part:
        case {"thought": True}:
            return As("gemini", part)
        case {"text": text}:
            return Text(text, own)
        case {"functionCall": call}:
            return ToolCall(call.get("id", ""), call["name"], call.get("args") or {}, "", own)
        case {"functionResponse": answer}:
            text = _text_of_response(answer["response"])
            return ToolResult(text, False, answer.get("id", ""), answer["name"])
        case {"inlineData": {"mimeType": kind, "data": data}}:
            return Attachment(kind, decoded(data))
    return As("gemini", part)


def _joined(turns: Any) -> list[tuple[str, list[Json]]]:
    flat = [(role, part) for role, parts in turns for part in parts]
    return [(role, [each[1] for each in group]) for role, group in groupby(flat, lambda x: x[0])]


def _blocks(content: Json) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _bare_block(block: Json) -> Json:
    bare = {name: value for name, value in block.items() if value is not None}
    bare.pop("cache_control", None)
    if not bare.get("is_error"):
        bare.pop("is_error", None)
    if bare["type"] == "tool_result":
        bare["content"] = _text_of_result(bare.get("content"))
    if bare.get("source", {}).get("type") == "base64":
        bare["source"] = {**bare["source"], "data": decoded(bare["source"]["data"])}
    return bare


def _text_of_result(content: Json) -> str:
    blocks = _blocks(content or "")
    return "\n".join(each["text"] if "text" in each else json.dumps(each) for each in blocks)


def _text_of_response(response: Json) -> str:
    match response:
        case {"output": str() as text} if len(response) == 1:
            return text
    return json.dumps(response, sort_keys=True)


def _bare_part(part: Json) -> Json:
    bare = {name: value for name, value in part.items() if value is not None}
    if not bare.get("thought"):
        bare.pop("thought", None)
    if "functionCall" in bare:
        bare["functionCall"] = {"args": {}, **bare["functionCall"]}
    if "functionResponse" in bare:
        answer = bare["functionResponse"]
        bare["functionResponse"] = {**answer, "response": _text_of_response(answer["response"])}
    if "inlineData" in bare:
        bare["inlineData"] = {
            "mimeType": bare["inlineData"]["mimeType"],
            "data": decoded(bare["inlineData"]["data"]),
        }
    return bare


def _role(content: Json) -> Any:
    return "assistant" if content.get("role") == "model" else "user"


def _declarations(body: Json) -> Iterator[Json]:
    tools = body.get("tools") or []
    for tool in tools if isinstance(tools, list) else [tools]:
        yield from tool.get("functionDeclarations") or ()


def _json_schema(declaration: Json) -> Mapping[str, Any]:
    return as_json_schema(
        declaration.get("parametersJsonSchema") or declaration.get("parameters") or {}
    )


def _bare_schema(schema: Json) -> Json:
    """Leave out of a schema what forbids nothing; one with references is tested elsewhere."""
    if not isinstance(schema, dict) or "$defs" in schema:
        return {}
    bare = {
        name: _bare_schema(value) if isinstance(value, dict) else value
        for name, value in schema.items()
        if value and name not in _UNTOLD
    }
    if "properties" in bare:
        bare["properties"] = {k: _bare_schema(v) for k, v in schema["properties"].items()}
    if "anyOf" in bare:
        bare["anyOf"] = [_bare_schema(each) for each in schema["anyOf"]]
    if isinstance(bare.get("type"), str):
        bare["type"] = bare["type"].upper()
    if "properties" in bare:
        bare.setdefault("type", "OBJECT")
    return {} if bare == {"type": "OBJECT"} else bare


def _camel(value: Json) -> Json:
    """Spell the names of fields in one way; what the caller or the model names stays."""
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub(r"_(\w)", lambda match: match[1].upper(), name): (
            each if name in ("args", "response", "properties") else _camel(each)
        )
        for name, each in value.items()
    }


def decoded(data: str) -> bytes:
    plain = re.sub(r"[^\w+/-]", "", data).translate(str.maketrans("-_", "+/"))
    return base64.b64decode(plain + "=" * (-len(plain) % 4))
