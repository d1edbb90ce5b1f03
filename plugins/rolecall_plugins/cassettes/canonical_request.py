"""The canonical form of a request: equal for two requests that mean the same, whatever their bytes.

Parsed from the body in the formats of Anthropic, Gemini and OpenAI-like services; of any other
request everything counts that is in its address and its body.
"""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher, unified_diff
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import field, fields, frozen

from .files.bodies import parse_json

SHOWN_LINES = 14
SHOWN_WIDTH = 120
# By the name that a body gives it; what a client adds beyond these does not change the question.
PARAMETERS = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "maxOutputTokens": "max_output_tokens",
    "temperature": "temperature",
    "thinking": "thinking",
    "thinkingConfig": "thinking",
    "thinking_config": "thinking",
}
_GEMINI = re.compile(r"/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)")
_KEYS = re.compile(r"key|token|secret|signature", re.IGNORECASE)


@frozen
class CanonicalRequest:
    """What a request asks.

    wire: the format, or method and address where it is none we know.
    messages: role and text of each turn; what is no text is in it as JSON.
    host: of an unknown format, and not of this machine; formats have one meaning everywhere.
    """

    wire: str
    model: str = ""
    stream: bool = False
    system: str = ""
    messages: tuple[tuple[str, str], ...] = ()
    tools: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    host: str = field(default="", eq=False)

    def matches(self, recorded: "CanonicalRequest") -> bool:
        """Check whether the same is asked; what was recorded on this machine may be anywhere."""
        return self == recorded and (
            self.host == recorded.host or not (self.host and recorded.host)
        )

    @property
    def text(self) -> str:
        """Return the system prompt and all turns as one text."""
        return "\n".join([self.system, *(text for _, text in self.messages)])


def parse_request(method: str, uri: str, body: object) -> CanonicalRequest:
    """Parse a request; `body` is its bytes or text, or the JSON value that they hold."""
    value = _parsed(body)
    address = urlsplit(uri)
    if isinstance(value, dict):
        gemini = _GEMINI.search(address.path)
        if gemini and _are_turns(value.get("contents")):
            return _gemini(gemini, value)
        for ending, wire in (("/messages", "anthropic"), ("/chat/completions", "openai")):
            if address.path.endswith(ending) and _are_turns(value.get("messages")):
                return _chat(wire, value)
    host = address.hostname or ""
    query = sorted(pair for pair in parse_qsl(address.query) if not _KEYS.search(pair[0]))
    text = value if isinstance(value, str) else _json(value)
    return CanonicalRequest(
        f"{method} {address.path}",
        messages=(("body", text),),
        parameters=tuple(query),
        host="" if is_local(host) else host,
    )


def differences(request: CanonicalRequest, recorded: CanonicalRequest) -> Iterator[str]:
    """List in a few lines how a request differs from a recorded one; `-` is what was recorded."""
    for name in ("wire", "host", "model", "stream"):
        old, new = getattr(recorded, name), getattr(request, name)
        if old != new:
            yield f"{name}: {old} -> {new}"
    before, now = dict(recorded.parameters), dict(request.parameters)
    for name in sorted({*before, *now}):
        old, new = before.get(name, "not sent"), now.get(name, "not sent")
        if old != new:
            yield f"{name}: {old} -> {new}"
    yield from _text_difference("system", recorded.system, request.system)
    yield from _text_difference("messages", _turns(recorded), _turns(request))
    yield from _text_difference("tools", recorded.tools, request.tools)


def similarity(request: CanonicalRequest, recorded: CanonicalRequest) -> float:
    """Measure how near two requests are: by equal fields first, then by how alike the texts are."""
    equal_fields: int = sum(
        bool(getattr(request, attribute.name) == getattr(recorded, attribute.name))
        for attribute in fields(CanonicalRequest)
    )
    # quick_ratio is an upper bound, but prompts are long and ratio() is quadratic in their length.
    text_ratio: float = SequenceMatcher(None, request.text, recorded.text).quick_ratio()
    return equal_fields + text_ratio


def is_local(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _gemini(address: re.Match[str], body: Mapping[str, Any]) -> CanonicalRequest:
    generation = _first(body, "generationConfig", "generation_config")
    system = _first(body, "systemInstruction", "system_instruction")
    return CanonicalRequest(
        wire="gemini",
        model=address["model"],
        stream=address["verb"].startswith("stream"),
        system=_text(system.get("parts") if isinstance(system, dict) else system),
        messages=tuple(
            (str(turn.get("role") or "user"), _text(turn.get("parts"))) for turn in body["contents"]
        ),
        tools=_json(body.get("tools")),
        parameters=_parameters(generation if isinstance(generation, dict) else {}),
    )


def _chat(wire: str, body: Mapping[str, Any]) -> CanonicalRequest:
    turns = [(str(turn.get("role")), _text(turn.get("content"))) for turn in body["messages"]]
    return CanonicalRequest(
        wire=wire,
        model=str(body.get("model") or ""),
        stream=bool(body.get("stream")),
        system=_text(body.get("system")),
        messages=tuple(turns),
        tools=_json(body.get("tools")),
        parameters=_parameters(body),
    )


def _parameters(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    parameters = {
        word: _json(_whole(body[name]))
        for name, word in PARAMETERS.items()
        if body.get(name) is not None
    }
    return tuple(sorted(parameters.items()))


def _whole(value: Any) -> Any:
    """Write 1.0 as 1, as another serialiser would."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(content: Any) -> str:
    """Return the text of a turn, which is a text or a list of parts; caching hints do not count."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return _json(content)
    pieces = []
    for part in content:
        only_text = isinstance(part, dict) and isinstance(part.get("text"), str)
        if only_text and set(part) <= {"type", "text", "cache_control"}:
            pieces.append(part["text"])
        elif isinstance(part, dict):
            pieces.append(_json({k: v for k, v in part.items() if k != "cache_control"}))
        else:
            pieces.append(_json(part))
    return "\n".join(pieces)


def _are_turns(value: Any) -> bool:
    """Check whether these can be the turns of a conversation, as in a format we know."""
    return isinstance(value, list) and all(isinstance(turn, dict) for turn in value)


def _parsed(body: object) -> Any:
    if isinstance(body, bytes | bytearray):
        body = bytes(body).decode("utf-8", "replace")
    value = parse_json(body)
    return body if value is None else value


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _first(body: Mapping[str, Any], *names: str) -> Any:
    return next((body[name] for name in names if name in body), None)


def _turns(request: CanonicalRequest) -> str:
    return "\n".join(f"[{role}]\n{text}" for role, text in request.messages)


def _text_difference(name: str, old: str, new: str) -> Iterator[str]:
    if old == new:
        return
    yield f"{name}:"
    lines = list(unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[2:]
    if not lines:
        yield "  differs in its line ends"
    for line in lines[:SHOWN_LINES]:
        yield f"  {line if len(line) <= SHOWN_WIDTH else line[: SHOWN_WIDTH - 1] + '…'}"
    if len(lines) > SHOWN_LINES:
        yield f"  … {len(lines) - SHOWN_LINES} more lines"
