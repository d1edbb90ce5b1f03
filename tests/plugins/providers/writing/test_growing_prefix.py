"""Each round of a conversation reads from the cache of Claude all that the one before sent."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall import Message, Part, Request, Text, ToolCall, ToolResult, ToolSpec, Verbatim
from rolecall_plugins.providers.writing import anthropic_request
from rolecall_plugins.simulator.exchange import CacheUse, Incoming
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.service import Service

LONG = "word " * 900
TOOL = ToolSpec("look", "Look.", {"type": "object", "properties": {}})
# How many calls each round has; the vendor looks no more than 20 blocks back from a mark.
rounds = st.lists(st.integers(1, 30), min_size=2, max_size=6)


def conversation(counts: list[int]) -> list[Message]:
    """Return the turns up to the results of each round's calls, and a last one's text."""
    turns = [Message("user", LONG)]
    for number, count in enumerate(counts):
        ids = [f"call-{number}-{place}" for place in range(count)]
        calls: list[Part] = [ToolCall(id, "look") for id in ids]
        foreign = Verbatim("gemini", {"thought": True})
        turns.append(Message("assistant", parts=(foreign, Text("I look."), *calls)))
        results = tuple(ToolResult(f"result of {id}", call=id, name="look") for id in ids)
        turns.append(Message("user", parts=results))
    return turns


@settings(max_examples=20)
@given(rounds)
def test_a_growing_conversation_is_never_paid_for_in_full_again(counts: list[int]) -> None:
    service = Service(Scenario(), lambda: 1_800_000_000.0)
    turns = conversation(counts)
    sent = 0
    for length in range(1, len(turns) + 1, 2):
        request = Request("", tuple(turns[:length]), tools=(TOOL,))
        body: Any = anthropic_request.write(request, "claude")
        body |= {"model": "claude-sonnet-5-5", "max_tokens": 100}
        incoming = Incoming(provider="claude", key="a key", body=json.dumps(body).encode())
        query = service.decide(incoming, service.arrive("claude")).query
        assert query is not None
        whole = sum(block.tokens for block in query.blocks)
        assert query.cache == CacheUse(read=sent, written=whole - sent)
        sent = whole
