"""How a cassette is written: vcrpy's format in YAML that a person can read, and a diff can show.

This module is a serializer for vcrpy: `vcr.register_serializer("rolecall", serializer)`. Requests'
JSON bodies are YAML, so that prompts are blocks of text; replies are texts, as vcrpy keeps them,
with JSON indented and a stream's line ends made alike. vcrpy's own serializer reads it too; only
a request's body is then a mapping and no text.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from .files.bodies import is_unicode, parse_json, write_json
from .files.yaml_loader import load_yaml

ORDER = (
    *("agent", "route", "seconds", "request", "response"),
    *("method", "uri", "headers", "status", "code", "message", "body", "string"),
    *("model", "stream", "system", "system_instruction", "systemInstruction"),
    *("messages", "contents", "tools"),
)
_WIDTH = 10_000  # flow text is not folded: a fold is a diff that means nothing
# What a block can hold: no carriage return, no control character, no other line separator.
_FIT = re.compile(
    "[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*"
)


def serialize(cassette: Mapping[str, Any]) -> str:
    """Write a cassette; what its metadata says of its source comes first, for who opens it."""
    source = (cassette.get("metadata") or {}).get("source", "HTTP traffic")
    laid_out = {
        **cassette,
        "interactions": [_ordered(_laid_out(inner)) for inner in cassette["interactions"]],
    }
    text = yaml.dump(laid_out, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDTH)
    return f"# Recorded from {' '.join(source.split())}.\n{text}"


def deserialize(text: str) -> dict[str, Any]:
    """Read a cassette; request bodies become JSON again, as vcrpy keeps them."""
    cassette: dict[str, Any] = load_yaml(text)
    for interaction in cassette["interactions"]:
        body = interaction["request"].get("body")
        if isinstance(body, dict | list):
            interaction["request"]["body"] = json.dumps(body, ensure_ascii=False)
    return cassette


def _laid_out(interaction: Mapping[str, Any]) -> dict[str, Any]:
    request, response = interaction["request"], interaction["response"]
    body = dict(response.get("body") or {})
    if "string" in body:
        body["string"] = _reply(body["string"], response.get("headers") or {})
    value = parse_json(request.get("body"))
    # A block of YAML cannot hold half a surrogate pair; the JSON text has it as an escape.
    is_writable = value is not None and is_unicode(json.dumps(value, ensure_ascii=False))
    return {
        **interaction,
        "request": {**request, "body": value if is_writable else _unicode(request.get("body"))},
        "response": {**response, "body": body},
    }


def _reply(string: str | bytes, headers: Mapping[str, Any]) -> str | bytes:
    text: str | bytes = _unicode(string)
    if isinstance(text, bytes):
        return text
    value = parse_json(text)
    if value is not None:
        return write_json(value, indent=1) + "\n"
    kinds = [str(kind) for name, kind in headers.items() if name.lower() == "content-type"]
    is_stream = any("text/event-stream" in kind for kind in kinds)
    return text.replace("\r\n", "\n") if is_stream else text


def _unicode(body: Any) -> Any:
    if not isinstance(body, bytes):
        return body
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body


def _ordered(value: Any) -> Any:
    """Sort the names of a mapping into an order that does not depend on the client."""
    if isinstance(value, list):
        return [_ordered(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    places = {name: place for place, name in enumerate(ORDER)}
    names = sorted(value, key=lambda name: (places.get(name, len(places)), str(name)))
    return {name: _ordered(value[name]) for name in names}


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes every text of several lines as a block, tabs and trailing blanks included."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def analyze_scalar(self, scalar: str) -> Any:
        analysis = super().analyze_scalar(scalar)
        if analysis.multiline and _FIT.fullmatch(scalar):
            analysis.allow_block = True
        return analysis


def _text(dumper: Any, text: str) -> Any:
    if not is_unicode(text):
        # No YAML reader takes half a surrogate pair, not even escaped.
        text = text.encode("utf-8", "backslashreplace").decode()
    fit = _FIT.fullmatch(text)
    style = "|" if fit and "\n" in text else None if fit else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
