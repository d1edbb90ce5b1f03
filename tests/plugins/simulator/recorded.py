"""Traffic recorded from the real services, which is not part of this repository."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from places import WIRE

FOLDER = WIRE / "interactions"


def exchanges(provider: str, *tags: str) -> list[Any]:
    """Read a provider's exchanges that have all these tags; skips where there is no recording."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic (../shared/wire) is not on this machine")
    read = (json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json")))
    # Mocks of an SDK are not recordings: they have neither status nor headers.
    return [
        exchange
        for exchange in read
        if exchange["provider"] == provider
        and set(tags) <= set(exchange["tags"])
        and "official-sdk-mock" not in exchange["tags"]
    ]


def bodies(provider: str, *tags: str) -> list[Any]:
    """Read the JSON bodies of such exchanges."""
    found = [exchange["response"]["body"] for exchange in exchanges(provider, *tags)]
    return [body for body in found if isinstance(body, dict)]


def streams(provider: str, *, as_sent: bool = True) -> list[str]:
    """Read the event streams; as_sent leaves out those that a recorder wrote anew."""
    return [
        exchange["response"]["body"]
        for exchange in exchanges(provider, "sse")
        if not (as_sent and exchange["response"]["wire"].get("reserialised_by_recorder"))
    ]


def header_names(provider: str, *tags: str) -> set[str]:
    """Collect the names of all headers of such exchanges."""
    return {name for each in exchanges(provider, *tags) for name in each["response"]["headers"]}


def data_lines(stream: str) -> Iterator[str]:
    """Give what stands behind every `data: ` of a stream."""
    for line in stream.replace("\r\n", "\n").split("\n"):
        if line.startswith("data: "):
            yield line.removeprefix("data: ")


def shape(value: Any) -> Any:
    """Reduce a value to its names and types."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__
