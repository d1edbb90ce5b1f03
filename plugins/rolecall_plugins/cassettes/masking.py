"""What a cassette keeps of an exchange: what a client needs, decoded, and without secrets."""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import httpx
from vcr.request import Request

from .canonical_request import is_local
from .errors import CassetteError
from .files.bodies import NAMES, is_text, leaves, lines_of, parse_json, parse_line, write_json
from .files.safe_files import MAX_BYTES, megabytes
from .redaction import Redaction

# The rest tells who asked, or is another one each time.
KEPT_HEADERS = ("content-type", "location", "retry-after", "x-should-retry")
REQUEST_HEADERS = ("anthropic-beta", "anthropic-version", "content-type")
# Bytes that are decompressed at once, by the number of encodings on top of each other.
_SLICES = {1: 1024, 2: 32}
_ENCODING = "content-encoding"


def masked_request(request: Request, redaction: Redaction) -> dict[str, Any]:
    """Return what a cassette keeps of a request, as vcrpy writes it."""
    return {
        "method": request.method,
        "uri": redaction.address(_portless(request.uri)),
        "headers": _headers(request.headers, REQUEST_HEADERS, redaction.of_errors),
        "body": _masked(decoded(_whole(request.body), request.headers), redaction),
    }


def masked_reply(response: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    """Return what a cassette keeps of a reply; of an error, not even who asked."""
    body = (response.get("body") or {}).get("string") or b""
    masking = redaction if response["status"]["code"] < 400 else redaction.of_errors
    return {
        "status": _status(response["status"], redaction.of_errors),
        "headers": _headers(response["headers"], KEPT_HEADERS, redaction.of_errors),
        "body": {"string": _masked(decoded(body, response["headers"]), masking)},
    }


def decoded(body: Any, headers: Mapping[str, Any]) -> Any:
    """Decompress a body; some headers claim a compression that the body does not have.

    Raises CassetteError where it cannot be looked into, or unpacks to more than a cassette holds.
    """
    named = next((value for name, value in headers.items() if name.lower() == _ENCODING), "")
    values = named if isinstance(named, list | tuple) else [named]
    words = ", ".join(map(_header_text, values)).lower().split(",")
    layers = [layer for word in words if (layer := word.strip()) not in ("", "identity")]
    if not layers or not isinstance(body, bytes) or not body:
        return body
    if unknown := [layer for layer in layers if not _is_supported(layer)]:
        raise CassetteError(f"a body is compressed as {unknown[0][:40]!r}, which is not installed")
    if len(layers) not in _SLICES:
        raise CassetteError(f"a body is compressed {len(layers)} times")
    try:
        return _unpacked(body, ", ".join(layers), _SLICES[len(layers)])
    except httpx.DecodingError:
        if is_text(body) or (layers[-1] == "gzip" and not body.startswith(b"\x1f\x8b")):
            return body
        raise CassetteError("a body is damaged, so that it cannot be unpacked") from None


def _unpacked(body: bytes, encoding: str, size: int) -> bytes:
    """Decompress in slices: a megabyte may stand for a gigabyte, once more with each layer."""
    slices = (body[start : start + size] for start in range(0, len(body), size))
    response = httpx.Response(200, headers={_ENCODING: encoding}, content=slices)
    unpacked = bytearray()
    for chunk in response.iter_bytes():
        unpacked += chunk
        if len(unpacked) > MAX_BYTES:
            raise CassetteError(f"a body unpacks to more than {megabytes(MAX_BYTES)}")
    return bytes(unpacked)


def _is_supported(encoding: str) -> bool:
    """Check whether httpx unpacks an encoding; some need a package of their own."""
    packages = {"gzip": "zlib", "deflate": "zlib", "br": "brotli", "zstd": "zstandard"}
    alternatives = {"br": "brotlicffi"}
    names = [table[encoding] for table in (packages, alternatives) if encoding in table]
    return any(find_spec(name) is not None for name in names)


def _status(status: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    return {"code": status["code"], "message": redaction.text(status.get("message") or "")}


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
    if isinstance(body, bytes) and is_text(body):
        body = body.decode("utf-8")
    if not isinstance(body, str):
        return body
    value = parse_json(body)
    if value is None:
        return _masked_stream(body, redaction)
    masked = redaction.value(_whole_secrets([value], redaction)[0])
    return body if masked == value else write_json(masked)


def _masked_stream(body: str, redaction: Redaction) -> str:
    """Mask line by line."""
    lines = lines_of(body)
    values = _whole_secrets([parse_line(line) for line in lines], redaction)
    return "".join(
        redaction.text(line) if value is None else _line(line, redaction.value(value))
        for line, value in zip(lines, values, strict=True)
    )


def _whole_secrets(values: list[Any], redaction: Redaction) -> list[Any]:
    """Mask the secrets that come in pieces, spread over texts of one name that follow each other.

    What is masked takes the place of the first piece; the others lose what belongs to it.
    """
    for name in {name for value in values for name, _ in leaves(value)} - {NAMES}:
        pieces = [leaf for value in values for key, leaf in leaves(value) if key == name]
        whole = "".join(pieces)
        apart = "".join(redaction.text(piece) for piece in pieces)
        if len(pieces) > 1 and redaction.text(whole) != apart and redaction.finds(whole):
            texts = iter(_joined(pieces, redaction))
            values = [_replaced(value, name, texts) for value in values]
    return values


def _joined(pieces: Sequence[str], redaction: Redaction) -> list[str]:
    """Join the pieces over which a secret is spread, and leave the others as they are."""
    texts = list(pieces)

    def masked(first: int, last: int) -> str:
        return redaction.text("".join(texts[first : last + 1]))

    first, last = 0, 1
    while last < len(texts):
        # Only so far back as a secret can reach, in any encoding.
        while first < last - 1 and sum(map(len, texts[first:last])) > redaction.reach:
            first += 1
        whole = masked(first, last)
        apart = "".join(map(redaction.text, texts[first : last + 1]))
        if whole != apart and redaction.finds("".join(texts[first : last + 1])):
            while first < last - 1 and masked(first, first) + masked(first + 1, last) == whole:
                first += 1
                whole = masked(first, last)
            while last + 1 < len(texts) and masked(first, last + 1) != whole + masked(
                last + 1, last + 1
            ):
                last += 1
                whole = masked(first, last)
            texts[first : last + 1] = [whole, *[""] * (last - first)]
            first = last
        last += 1
    return texts


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
