"""What a cassette keeps of an exchange: what a client needs, decoded, and without secrets."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any
from urllib.parse import urlsplit

import httpx
from vcr.request import Request

from .canonical_request import is_local
from .errors import CassetteError
from .files.bodies import leaves, parse_json, parse_line, write_json
from .files.safe_files import MAX_BYTES, megabytes
from .redaction import Redaction

# The rest tells who asked, or is another one each time.
KEPT_HEADERS = ("content-type", "location", "retry-after", "x-should-retry")
REQUEST_HEADERS = ("anthropic-beta", "anthropic-version", "content-type")
# Bytes that are decompressed at once, by the number of encodings on top of each other.
_SLICES = {1: 1024, 2: 32}


def masked_request(request: Request, redaction: Redaction) -> dict[str, Any]:
    """Return what a cassette keeps of a request, as vcrpy writes it."""
    return {
        "method": request.method,
        "uri": redaction.address(_portless(request.uri)),
        "headers": _headers(request.headers, REQUEST_HEADERS, redaction.of_errors),
        "body": _masked(_whole(request.body), redaction),
    }


def masked_reply(response: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    """Return what a cassette keeps of a reply; of an error, not even who asked."""
    body = (response.get("body") or {}).get("string") or b""
    masking = redaction if response["status"]["code"] < 400 else redaction.of_errors
    return {
        "status": dict(response["status"]),
        "headers": _headers(response["headers"], KEPT_HEADERS, redaction.of_errors),
        "body": {"string": _masked(decoded(body, response["headers"]), masking)},
    }


def decoded(body: Any, headers: Mapping[str, Any]) -> Any:
    """Decompress a body; some headers claim a compression that the body does not have.

    Raises CassetteError where it unpacks to more than a cassette may hold.
    """
    encoding = next((v for n, v in headers.items() if n.lower() == "content-encoding"), "")
    encoding = ", ".join(encoding) if isinstance(encoding, list) else encoding
    if not encoding or not isinstance(body, bytes):
        return body
    # In slices: a megabyte of gzip may stand for a gigabyte, and each layer multiplies again.
    size = _SLICES.get(encoding.count(",") + 1)
    if size is None:
        raise CassetteError(f"a body is compressed too many times: {encoding[:80]}")
    slices = (body[start : start + size] for start in range(0, len(body), size))
    response = httpx.Response(200, headers={"content-encoding": encoding}, content=slices)
    unpacked = bytearray()
    try:
        for chunk in response.iter_bytes():
            unpacked += chunk
            if len(unpacked) > MAX_BYTES:
                raise CassetteError(f"a body unpacks to more than {megabytes(MAX_BYTES)}")
    except httpx.DecodingError:
        return body
    return bytes(unpacked)


def _headers(
    headers: Mapping[str, Any], kept: Sequence[str], redaction: Redaction
) -> dict[str, list[str]]:
    kept_headers: dict[str, list[str]] = {}
    for name, values in headers.items():
        if name.lower() in kept:
            all_values = values if isinstance(values, list | tuple) else [values]
            kept_headers[name.lower()] = [
                redaction.text(_header_text(value)) for value in all_values
            ]
    return kept_headers


def _header_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _whole(body: Any) -> bytes | str | None:
    """Return a body in one piece; some clients hand vcrpy the JSON value, a form or pieces."""
    if body is None or isinstance(body, bytes | str):
        return body
    if isinstance(body, dict | list):
        return json.dumps(body, default=str)
    return b"".join(piece.encode() if isinstance(piece, str) else bytes(piece) for piece in body)


def _portless(uri: str) -> str:
    """Remove a port of this machine, which is another one each time."""
    address = urlsplit(uri)
    if not is_local(address.hostname or ""):
        return uri
    return address._replace(netloc="localhost").geturl()


def _masked(body: Any, redaction: Redaction) -> Any:
    """Mask in a body: in the texts of JSON and of streamed JSON, else in the text as it is."""
    if isinstance(body, bytes):
        try:
            body = body.decode("utf-8")
        except UnicodeDecodeError:
            return body
    if not isinstance(body, str):
        return body
    value = parse_json(body)
    if value is None:
        return _masked_stream(body, redaction)
    masked = redaction.value(value)
    return body if masked == value else write_json(masked)


def _masked_stream(body: str, redaction: Redaction) -> str:
    """Mask line by line; a secret that came in pieces is masked whole, in place of the first."""
    lines = body.splitlines(keepends=True)
    values = [parse_line(line) for line in lines]
    for name in {name for value in values for name, _ in leaves(value)}:
        pieces = [leaf for value in values for key, leaf in leaves(value) if key == name]
        masked = redaction.text("".join(pieces))
        apart = "".join(redaction.text(piece) for piece in pieces)
        if masked != apart and redaction.finds("".join(pieces)):
            replacements = chain([masked], repeat(""))
            values = [_replaced(value, name, replacements) for value in values]
    return "".join(
        redaction.text(line) if value is None else _line(line, redaction.value(value))
        for line, value in zip(lines, values, strict=True)
    )


def _replaced(value: Any, name: str, texts: Iterator[str], key: str = "") -> Any:
    """Replace the texts that stand under a name, in order."""
    if isinstance(value, str):
        return next(texts) if key == name else value
    if isinstance(value, dict):
        return {
            inner_key: _replaced(inner, name, texts, inner_key)
            for inner_key, inner in value.items()
        }
    if isinstance(value, list):
        return [_replaced(inner, name, texts, key) for inner in value]
    return value


def _line(line: str, value: Any) -> str:
    if value == parse_line(line):
        return line
    end = line[len(line.rstrip("\r\n")) :]
    begin = "data: " if line.startswith("data:") else ""
    return f"{begin}{write_json(value)}{end}"
