"""What a request asks: the same for two requests that mean the same, whatever their bytes.

Read from the body in the formats of Anthropic, Gemini and OpenAI-like services; of any other
request everything counts that is in its address and its body.
"""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher, unified_diff
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import field, fields, frozen

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
class Asked:
    """What is asked.

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

    def matches(self, recorded: "Asked") -> bool:
        """Tell whether the same is asked; what was recorded on this machine may be anywhere."""
        return self == recorded and (
            self.host == recorded.host or not (self.host and recorded.host)
        )

    @property
    def text(self) -> str:
        """Give all that was said, as one text."""
        return "\n".join([self.system, *(text for _, text in self.messages)])


def read(method: str, uri: str, body: object) -> Asked:
    """Read a request; `body` is its bytes or text, or the JSON value that they hold."""
    value = _parsed(body)
    address = urlsplit(uri)
    gemini = _GEMINI.search(address.path)
    if gemini and isinstance(value, dict):
        return _gemini(gemini, value)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        for ending, wire in (("/messages", "anthropic"), ("/chat/completions", "openai")):
            if address.path.endswith(ending):
                return _chat(wire, value)
    host = address.hostname or ""
    query = sorted(pair for pair in parse_qsl(address.query) if not _KEYS.search(pair[0]))
    said = value if isinstance(value, str) else _json(value)
    return Asked(
        f"{method} {address.path}",
        messages=(("body", said),),
        parameters=tuple(query),
        host="" if is_local(host) else host,
    )


def differences(asked: Asked, recorded: Asked) -> Iterator[str]:
    """Say in a few lines how a request differs from a recorded one; `-` is what was recorded."""
    for name in ("wire", "host", "model", "stream"):
        old, new = getattr(recorded, name), getattr(asked, name)
        if old != new:
            yield f"{name}: {old} -> {new}"
    parameters = dict(recorded.parameters), dict(asked.parameters)
    for name in sorted({*parameters[0], *parameters[1]}):
        old, new = (each.get(name, "not sent") for each in parameters)
        if old != new:
            yield f"{name}: {old} -> {new}"
    yield from _changed("system", recorded.system, asked.system)
    yield from _changed("messages", _turns(recorded), _turns(asked))
    yield from _changed("tools", recorded.tools, asked.tools)


def likeness(asked: Asked, recorded: Asked) -> float:
    """Measure how near two requests are: equal fields first, then how much of the text is."""
    equal: int = sum(
        bool(getattr(asked, each.name) == getattr(recorded, each.name)) for each in fields(Asked)
    )
    alike: float = SequenceMatcher(None, asked.text, recorded.text).quick_ratio()
    return equal + alike


def is_local(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _gemini(address: re.Match[str], body: Mapping[str, Any]) -> Asked:
    generation = _first(body, "generationConfig", "generation_config") or {}
    system = _first(body, "systemInstruction", "system_instruction") or {}
    return Asked(
        wire="gemini",
        model=address["model"],
        stream=address["verb"].startswith("stream"),
        system=_text(system.get("parts")),
        messages=tuple(
            (str(turn.get("role") or "user"), _text(turn.get("parts")))
            for turn in body.get("contents") or ()
        ),
        tools=_json(body.get("tools")),
        parameters=_parameters(generation),
    )


def _chat(wire: str, body: Mapping[str, Any]) -> Asked:
    turns = [(str(turn.get("role")), _text(turn.get("content"))) for turn in body["messages"]]
    return Asked(
        wire=wire,
        model=str(body.get("model") or ""),
        stream=bool(body.get("stream")),
        system="\n".join([_text(body.get("system"))] if body.get("system") else []),
        messages=tuple(turns),
        tools=_json(body.get("tools")),
        parameters=_parameters(body),
    )


def _parameters(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = {
        word: _json(_whole(body[name]))
        for name, word in PARAMETERS.items()
        if body.get(name) is not None
    }
    return tuple(sorted(found.items()))


def _whole(value: Any) -> Any:
    """Write 1.0 as 1, as another serialiser would."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(content: Any) -> str:
    """Give the text of a turn, which is a text or a list of parts; caching hints do not count."""
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


def _parsed(body: object) -> Any:
    if isinstance(body, bytes | bytearray):
        body = bytes(body).decode("utf-8", "replace")
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except ValueError:
        return body


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _first(body: Mapping[str, Any], *names: str) -> Any:
    return next((body[name] for name in names if name in body), None)


def _turns(asked: Asked) -> str:
    return "\n".join(f"[{role}]\n{text}" for role, text in asked.messages)


def _changed(name: str, old: str, new: str) -> Iterator[str]:
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
