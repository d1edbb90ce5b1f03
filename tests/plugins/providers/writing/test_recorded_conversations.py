"""What is read of a recorded reply goes back as the program that got it sent it back."""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from rolecall import Message, Request, Text
from rolecall_plugins.providers.anthropic_reply import ClaudeReply
from rolecall_plugins.providers.gemini_reply import GeminiReply
from rolecall_plugins.providers.reply_reader import Reading
from rolecall_plugins.providers.writing import anthropic_request, gemini_request

from .recorded_requests import claude_form, decoded, gemini_form, recorded

TAGS = ("case:04-tool-call", "case:04-tool-result")
OPTIONAL = ("thoughtSignature", "caller", "citations")


def pairs() -> Iterator[tuple[str, Any, Any]]:
    """Yield a reply with calls, and the request that goes on from it."""
    conversations = defaultdict(list)
    for name, exchange in recorded(*TAGS).items():
        source = exchange["source"]
        conversations[source["repo"], source["path"]].append((source["index"], name, exchange))
    for exchanges in conversations.values():
        for (_, name, first), (_, _, second) in pairwise(sorted(exchanges, key=lambda e: e[:2])):
            if first["response"]["status"] == 200 and _goes_on(first, second):
                yield name, first, second


def _goes_on(first: Any, second: Any) -> bool:
    before, after = (_turns(each) for each in (first, second))
    return len(after) >= len(before) + 2 and after[: len(before)] == before


def _turns(exchange: Any) -> Any:
    body = exchange["request"]["body"]
    if exchange["provider"] == "anthropic":
        return claude_form({**body, "tools": []})["messages"]
    return gemini_form({**body, "tools": []})["contents"]


PAIRS = {name: (first, second) for name, first, second in pairs()}
if not PAIRS:
    pytest.skip("the recorded traffic (../shared/wire) is not here", allow_module_level=True)


@pytest.mark.parametrize("name", PAIRS)
def test_a_turn_goes_back_as_it_was_sent_back(name: str) -> None:
    first, second = PAIRS[name]
    _, theirs = _turns(second)[len(_turns(first))]
    ours = [_bare(part) for part in written_back(first)]
    for part in map(_bare, theirs):
        assert part in [_like(each, part) for each in ours]
    calls = [part for part in ours if _is_call(part)]
    assert len(calls) == sum(map(_is_call, theirs))


def _bare(part: Any) -> Any:
    """Decode signatures: programs write them in either alphabet of base64."""
    if "thoughtSignature" in part:
        return {**part, "thoughtSignature": decoded(part["thoughtSignature"])}
    return part


def _like(ours: Any, theirs: Any) -> Any:
    """Leave out what this program did not send back, and take the ids that it made up itself."""
    like = {name: value for name, value in ours.items() if name in theirs}
    if "functionCall" in like and "functionCall" in theirs:
        call = {name: like["functionCall"][name] for name in ("name", "args")}
        own = theirs["functionCall"].get("id")
        like["functionCall"] = {**call, "id": own} if own else call
    return like


def _is_call(part: Any) -> bool:
    return "functionCall" in part or part.get("type") == "tool_use"


def written_back(exchange: Any) -> Any:
    response = exchange["response"]
    reply = ClaudeReply() if exchange["provider"] == "anthropic" else GeminiReply()
    headers = {"content-type": (response["headers"] or {}).get("content-type", "")}
    reading = Reading(reply, 200, headers)
    body = response["body"]
    reading.feed((body if isinstance(body, str) else json.dumps(body)).encode())
    reading.close()
    read = reading.finish()
    request = Request("", (Message("assistant", parts=read.parts or (Text(read.text),)),))
    if exchange["provider"] == "anthropic":
        return claude_form(anthropic_request.write(request, "claude"))["messages"][0][1]
    return gemini_form(gemini_request.write(request, "gemini"))["contents"][0][1]
