"""Parse the blocks that messages are made of, or reject them as the Anthropic API does."""

import json
import re
from typing import Any

from attrs import frozen

from ..content.media import decoded, kind_of
from ..content.prompt_cache import HOUR
from ..exchange import FunctionCall, FunctionResult, PromptBlock, Rejected, SignedPart, count_tokens

IMAGE_TOKENS = 1600
_FIVE_MINUTES = 300.0
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
# What the vendor's own tools leave in a conversation; they are read and cost as their JSON does.
_SERVER_BLOCKS = re.compile(
    r"server_tool_use|mcp_tool_(use|result)|container_upload|\w+_tool_result"
)


@frozen
class Blocks:
    """What a list of blocks holds; `kinds` are their types in their order."""

    kinds: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    calls: tuple[FunctionCall, ...] = ()
    results: tuple[FunctionResult, ...] = ()
    media: int = 0
    prompt: tuple[PromptBlock, ...] = ()
    signed: tuple[SignedPart, ...] = ()

    def __add__(self, other: "Blocks") -> "Blocks":
        return Blocks(
            self.kinds + other.kinds,
            self.texts + other.texts,
            self.calls + other.calls,
            self.results + other.results,
            self.media + other.media,
            self.prompt + other.prompt,
            self.signed + other.signed,
        )


def read_content(content: Any, place: str) -> Blocks:
    """Parse a text or a list of blocks."""
    if isinstance(content, str):
        return Blocks(("text",), (content,), prompt=(PromptBlock(content, count_tokens(content)),))
    if not isinstance(content, list):
        raise invalid(f"{place}: Input should be a valid list")
    blocks = Blocks()
    for number, block in enumerate(content):
        blocks += _block(block, f"{place}.{number}")
    return blocks


def lifetime_of(control: Any, place: str) -> float | None:
    """Return for how many seconds a mark asks to cache; None where there is none."""
    if control is None:
        return None
    if not isinstance(control, dict) or control.get("type") != "ephemeral":
        raise invalid(f"{place}.cache_control.type: Input should be 'ephemeral'")
    match control.get("ttl", "5m"):
        case "5m":
            return _FIVE_MINUTES
        case "1h":
            return HOUR
    raise invalid(f"{place}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'")


def invalid(message: str) -> Rejected:
    return Rejected("invalid_request", 400, "invalid_request_error", message)


def required(table: dict[str, Any], name: str, kind: type, word: str, place: str) -> Any:
    """Return a field of a table; reject one that is missing or of another type."""
    where = f"{place}.{name}" if place else name
    if name not in table:
        raise invalid(f"{where}: Field required")
    value = table[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise invalid(f"{where}: Input should be a valid {word}")
    return value


def to_json(value: Any) -> str:
    """Write JSON that does not depend on the order of names."""
    return json.dumps(value, sort_keys=True)


def _block(block: Any, place: str) -> Blocks:
    if not isinstance(block, dict):
        raise invalid(f"{place}: Input should be a valid dictionary")
    kind = required(block, "type", str, "string", place)
    # A mark is no part of the prompt: the next request finds it without, its own stand further on.
    unmarked = to_json({name: value for name, value in block.items() if name != "cache_control"})
    match kind:
        case "text":
            text = required(block, "text", str, "string", place)
            if not text:
                raise invalid(f"{place}: text content blocks must be non-empty")
            read = Blocks(texts=(text,))
            shown, tokens = text, count_tokens(text)
        case "image" | "document":
            cost = _media(block, kind, place)
            read = Blocks(media=cost)
            shown, tokens = unmarked, cost
        case "tool_use":
            call = _call(block, place)
            read = Blocks(calls=(call,))
            shown, tokens = unmarked, count_tokens(call.name + to_json(call.arguments))
        case "tool_result":
            result, inner = _result(block, place)
            read = Blocks(results=(result,), media=inner.media)
            shown, tokens = unmarked, count_tokens(result.text) + inner.media
        case "thinking":
            thought = required(block, "thinking", str, "string", place)
            signature = required(block, "signature", str, "string", place)
            read = Blocks(signed=(SignedPart(place, thought, signature),))
            shown, tokens = unmarked, 0  # thoughts of earlier turns do not count as input
        case "redacted_thinking":
            required(block, "data", str, "string", place)
            read, shown, tokens = Blocks(), unmarked, 0
        case _ if kind == "search_result" or _SERVER_BLOCKS.fullmatch(kind):
            read, shown, tokens = Blocks(), unmarked, count_tokens(unmarked)
        case _:
            raise invalid(
                f"{place}: Input tag {kind!r} found using 'type' does not match any of the "
                "expected tags: 'document', 'image', 'redacted_thinking', 'search_result', "
                "'server_tool_use', 'text', 'thinking', 'tool_result', 'tool_use', "
                "'web_search_tool_result'"
            )
    marked = lifetime_of(block.get("cache_control"), place)
    if marked is not None and kind in ("thinking", "redacted_thinking"):
        raise invalid(f"{place}.{kind}.cache_control: Extra inputs are not permitted")
    return read + Blocks((kind,), prompt=(PromptBlock(shown, tokens, marked),))


def _call(block: dict[str, Any], place: str) -> FunctionCall:
    where = f"{place}.tool_use"
    call = required(block, "id", str, "string", where)
    if not _ID.fullmatch(call):
        raise invalid(f"{where}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    name = required(block, "name", str, "string", where)
    return FunctionCall(name, required(block, "input", dict, "dictionary", where), call)


def _result(block: dict[str, Any], place: str) -> tuple[FunctionResult, Blocks]:
    where = f"{place}.tool_result"
    call = required(block, "tool_use_id", str, "string", where)
    is_error = block.get("is_error") or False
    if not isinstance(is_error, bool):
        raise invalid(f"{where}.is_error: Input should be a valid boolean")
    content = block.get("content")
    inner = Blocks() if content is None else read_content(content, f"{where}.content")
    for number, kind in enumerate(inner.kinds):
        if kind not in ("text", "image", "document", "search_result"):
            raise invalid(
                f"{where}.content.{number}: Input tag {kind!r} found using 'type' does not match "
                "any of the expected tags: 'document', 'image', 'search_result', 'text'"
            )
    text = "\n\n".join(inner.texts)
    if is_error and not text:
        raise invalid(f"{where}: content cannot be empty if `is_error` is true")
    return FunctionResult("", text, call, is_error), inner


def _media(block: dict[str, Any], kind: str, place: str) -> int:
    """Check the source of an image or a document, and count what it costs."""
    source = required(block, "source", dict, "dictionary", f"{place}.{kind}")
    where = f"{place}.{kind}.source"
    match source.get("type"):
        case "base64":
            _check_file(source, kind, f"{where}.base64")
        case "url" | "file":
            name = "url" if source["type"] == "url" else "file_id"
            required(source, name, str, "string", f"{where}.{source['type']}")
        case "text" if kind == "document":
            return count_tokens(required(source, "data", str, "string", f"{where}.text"))
        case "content" if kind == "document":
            inner = read_content(source.get("content"), f"{where}.content")
            return inner.media + sum(map(count_tokens, inner.texts))
        case other:
            tags = "'base64', 'url'" if kind == "image" else "'base64', 'content', 'text', 'url'"
            raise invalid(
                f"{where}: Input tag {other!r} found using 'type' does not match any of the "
                f"expected tags: {tags}"
            )
    return IMAGE_TOKENS


def _check_file(source: dict[str, Any], kind: str, where: str) -> None:
    claimed = required(source, "media_type", str, "string", where)
    expected = _IMAGES if kind == "image" else ("application/pdf",)
    if claimed not in expected:
        words = ", ".join(f"'{kind}'" for kind in expected)
        raise invalid(f"{where}.media_type: Input should be {words}")
    data = decoded(required(source, "data", str, "string", where))
    if data is None:
        raise invalid(f"{where}.data: Invalid base64 data")
    actual = kind_of(data)
    if actual is None or (actual in _IMAGES) != (kind == "image"):
        raise invalid(f"{where}.data: The file format is invalid or unsupported")
    if actual != claimed:
        raise invalid(
            f"{where}: The image was specified using the {claimed} media type, but the image "
            f"appears to be a {actual} image"
        )
