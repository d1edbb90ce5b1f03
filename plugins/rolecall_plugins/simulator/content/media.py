"""Images and documents in a prompt: whether they are what they claim to be."""

import binascii
from base64 import b64decode
from typing import Any

# How files of a kind begin.
_BEGINNINGS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
    "application/pdf": b"%PDF-",
}


def decoded(data: Any) -> bytes | None:
    """Decode base64, also in the alphabet for URLs; None where it is none."""
    if not isinstance(data, str):
        return None
    try:
        return b64decode(data.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None


def kind_of(data: bytes) -> str | None:
    """Return the media type that a file's beginning tells, or None."""
    return next((kind for kind, start in _BEGINNINGS.items() if data.startswith(start)), None)


def is_pdf_with_pages(data: bytes) -> bool:
    return b"/Page" in data or b"/ObjStm" in data
