"""Ask a simulator as a plain HTTP client would, and take its answers apart."""

import io
import json
from typing import Any

import aiohttp
from attrs import frozen

from rolecall_plugins.simulator.exchange import Form, Query, Turn
from rolecall_plugins.simulator.server import Simulator

CLAUDE = "claude-sonnet-5-5"
GEMINI = "gemini-3.8-flash"
SYSTEM = """You are the Solution Architect of a team of specialists.

Write these sections:

- `## Overview`: what the system is, in one paragraph
- `## Components`: each part, and what it is for
"""
ASKED = """<request>
Build a to-do list that synchronises.
</request>

<deliverable agent="research-analyst" title="Research">
Others exist.
</deliverable>

Write the deliverable of Solution Architect now."""


@frozen
class Got:
    """What came back: status, headers with lower-case names, and the bytes."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The data of a stream's events, or the items of a JSON array."""
        if self.body.startswith(b"["):
            return list(self.data)
        lines = self.body.replace(b"\r\n", b"\n").split(b"\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]


def query(provider: str = "claude", form: Form = "json", **rest: Any) -> Query:
    """Build what a vendor's request asks."""
    model = CLAUDE if provider == "claude" else GEMINI
    turns = (Turn("user", ASKED),)
    return Query(model=model, system=SYSTEM, turns=turns, form=form, **rest)


def claude_body(text: Any = ASKED, **fields: Any) -> dict[str, Any]:
    """Build a request to the Anthropic API."""
    messages = [{"role": "user", "content": text}]
    body = {"model": CLAUDE, "max_tokens": 4096, "system": SYSTEM, "messages": messages}
    return body | fields


def gemini_body(text: Any = ASKED, **fields: Any) -> dict[str, Any]:
    """Build a request to the Gemini API."""
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return {"contents": contents, "systemInstruction": {"parts": [{"text": SYSTEM}]}} | fields


async def ask(
    simulator: Simulator,
    provider: str = "claude",
    form: Form = "json",
    *,
    body: Any = None,
    key: str = "a key",
    model: str = GEMINI,
    timeout: float = 5.0,
) -> Got:
    """Send one request over a connection of its own."""
    limit = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(timeout=limit) as session:
        if provider == "claude":
            sent = claude_body(stream=form == "sse") if body is None else body
            url, headers = f"{simulator.anthropic_base}/v1/messages", {"x-api-key": key}
        else:
            sent = gemini_body() if body is None else body
            method = {
                "json": "generateContent",
                "sse": "streamGenerateContent?alt=sse",
                "array": "streamGenerateContent",
            }[form]
            url = f"{simulator.gemini_base}/models/{model}:{method}"
            headers = {"x-goog-api-key": key}
        raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        async with session.post(url, data=io.BytesIO(raw), headers=headers) as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            return Got(response.status, names, await response.read())


def text_of(got: Got) -> str:
    """Put a good answer's text together, whatever its vendor and form."""
    stream = got.body.startswith((b"event:", b"data:", b"["))
    return "".join(_text(part) for part in (got.events if stream else [got.data]))


def _text(part: Any) -> str:
    if "candidates" in part:
        parts = part["candidates"][0]["content"].get("parts", [])
        return "".join(each.get("text", "") for each in parts if not each.get("thought"))
    if isinstance(part.get("content"), list):
        return "".join(block.get("text", "") for block in part["content"])
    return str(part.get("delta", {}).get("text", ""))
