"""The JSON objects that the Gemini API's answers are made of."""

import json
from typing import Any

Body = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ": "), ensure_ascii=False).encode
_encode_plain = json.JSONEncoder(indent=2, ensure_ascii=False).encode


def plain(body: Body) -> bytes:
    """Write a body as the API's plain answers do, over many lines."""
    return _escaped(f"{_encode_plain(body)}\n")


def event(body: Body) -> bytes:
    """Write a body as an event: no name, CRLF, one line."""
    return _escaped(f"data: {_encode(body)}\r\n\r\n")


def candidate(*parts: Body, **rest: object) -> Body:
    """Build a candidate; without parts its content has only the role."""
    content = {"parts": list(parts), "role": "model"} if parts else {"role": "model"}
    return {"content": content, **rest, "index": 0}


def detail(kind: str, **fields: object) -> Body:
    """Build one of an error's details."""
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


def quota_details(metric: str, quota: str, limit: int, model: str, wait: float) -> list[Body]:
    """Build the details of an exceeded quota: which one, and how long to wait."""
    docs = "https://ai.google.dev/gemini-api/docs/rate-limits"
    violation = {
        "quotaMetric": metric,
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": str(limit),
    }
    return [
        detail("Help", links=[{"description": "Learn more about Gemini API quotas", "url": docs}]),
        detail("QuotaFailure", violations=[violation]),
        # Cut to whole seconds, as the real one is: who waits just so long is back too early.
        detail("RetryInfo", retryDelay=f"{int(wait)}s"),
    ]


def duration(seconds: float) -> str:
    """Write seconds as the API's messages do: "850ms", "47.94s", "14h7m22.8s"."""
    if seconds < 1:
        return f"{_decimal(seconds * 1000, 6)}ms"
    minutes, rest = divmod(round(seconds, 9), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{_decimal(rest, 9)}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _escaped(json_text: str) -> bytes:
    # The service escapes these two and no others; they can only stand inside strings.
    escaped = json_text.replace("<", "\\u003c").replace(">", "\\u003e")
    return escaped.encode("utf-8", "replace")


def _decimal(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0"
