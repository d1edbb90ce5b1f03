"""What Claude's prompt cache gives and takes, so that the price of marks can be measured."""

import json
from typing import Any

import pytest

from rolecall_plugins.simulator.exchange import CacheUse, Incoming
from rolecall_plugins.simulator.scenario import Scenario
from rolecall_plugins.simulator.service import Decision, Service

from .asking import CLAUDE, claude_body
from .recorded import exchanges, shape

LONG = "word " * 900  # 1125 tokens
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


class Claude:
    """A service whose clock stands still until it is set."""

    def __init__(self, latency: str = "0") -> None:
        self.now = 1_800_000_000.0
        scenario = Scenario.parse({"latency": latency})
        self._service = Service(scenario, lambda: self.now)

    def ask(self, **fields: Any) -> Decision:
        body = json.dumps({**claude_body(), **fields}).encode()
        incoming = Incoming(provider="claude", key="a key", body=body)
        return self._service.decide(incoming, self._service.arrive("claude"))

    def cache(self, **fields: Any) -> CacheUse:
        query = self.ask(**fields).query
        assert query is not None
        return query.cache


def text(words: str, mark: Any = None) -> dict[str, Any]:
    block = {"type": "text", "text": words}
    return block if mark is None else {**block, "cache_control": mark}


def turns(*contents: Any) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]


def test_a_marked_prompt_is_kept_for_five_minutes_from_its_last_use() -> None:
    claude = Claude()
    marked = [text(LONG, MARK)]
    assert claude.cache(system=marked) == CacheUse(written=1125)
    assert claude.cache(system=marked) == CacheUse(read=1125)
    claude.now += 299
    assert claude.cache(system=marked) == CacheUse(read=1125)
    claude.now += 300
    assert claude.cache(system=marked) == CacheUse(written=1125)


def test_one_marked_for_an_hour_is_kept_for_one() -> None:
    claude = Claude()
    marked = [text(LONG, HOUR)]
    assert claude.cache(system=marked) == CacheUse(written=1125, written_for_an_hour=1125)
    claude.now += 3599
    assert claude.cache(system=marked) == CacheUse(read=1125)


def test_without_a_mark_nothing_is_cached_and_nothing_is_read() -> None:
    claude = Claude()
    assert claude.cache(system=LONG) == CacheUse()
    claude.cache(system=[text(LONG, MARK)])
    assert claude.cache(system=LONG) == CacheUse()


def test_a_mark_is_no_part_of_the_prompt() -> None:
    claude = Claude()
    look = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
    seen: dict[str, Any] = {"type": "tool_result", "tool_use_id": "a", "content": LONG}
    begun = {"tools": [{"name": "look", "input_schema": {"type": "object"}}]}
    written = claude.cache(
        **begun, messages=turns("Look.", [look], [seen | {"cache_control": MARK}])
    )
    later = turns("Look.", [look], [seen, text("And?", MARK)])
    assert claude.cache(**begun, messages=later).read == written.written > 1000


def test_a_short_prompt_is_not_cached() -> None:
    assert Claude().cache(system=[text("word " * 800, MARK)]) == CacheUse()
    assert Claude().cache(model="claude-opus-5-5", system=[text(LONG, MARK)]) == CacheUse()


def test_each_model_has_a_cache_of_its_own() -> None:
    claude = Claude()
    claude.cache(system=[text(LONG, MARK)])
    assert claude.cache(model="claude-sonnet-4-6", system=[text(LONG, MARK)]).read == 0


def test_a_growing_conversation_reads_what_the_last_call_wrote() -> None:
    claude = Claude()
    first = turns([text(LONG, MARK)])
    more = turns([text(LONG)], "An answer", [text(LONG, MARK)])
    system = claude.cache(messages=first).written - 1125
    assert claude.cache(messages=more) == CacheUse(read=system + 1125, written=1125 + 3)


def test_a_prompt_that_differs_early_is_written_anew() -> None:
    claude = Claude()
    claude.cache(messages=turns([text(LONG, MARK)]))
    changed = claude.cache(system="Another one.", messages=turns([text(LONG, MARK)]))
    assert changed.read == 0
    assert changed.written > 1125


def test_a_prompt_is_looked_up_twenty_blocks_back_and_no_further() -> None:
    for blocks, is_found in ((20, True), (21, False)):
        claude = Claude()
        claude.cache(messages=turns([text(LONG, MARK)]))
        behind = [text("more") for _ in range(blocks - 1)]
        content = [text(LONG), *behind, text("last", MARK)]
        assert (claude.cache(messages=turns(content)).read > 0) == is_found


def test_tools_come_first_then_the_system_prompt_then_the_messages() -> None:
    claude = Claude()
    tool = {"name": "look", "input_schema": {"type": "object"}, "description": LONG}
    claude.cache(tools=[{**tool, "cache_control": MARK}])
    read = claude.cache(tools=[{**tool, "cache_control": MARK}], system="Another one.").read
    assert read > 1125


def test_tokens_for_an_hour_and_for_five_minutes_are_told_apart() -> None:
    use = Claude().cache(system=[text(LONG, HOUR)], messages=turns([text(LONG, MARK)]))
    assert use == CacheUse(written=2250, written_for_an_hour=1125)


def test_a_mark_for_the_whole_request_is_one_at_its_end() -> None:
    claude = Claude()
    whole = claude.cache(cache_control=MARK, messages=turns(LONG))
    assert whole.written > 1125
    assert claude.cache(cache_control=MARK, messages=turns(LONG)).read == whole.written


def test_a_prompt_can_be_read_only_once_its_first_reply_has_begun() -> None:
    claude = Claude(latency="2")
    marked = [text(LONG, MARK)]
    assert claude.cache(system=marked) == CacheUse(written=1125)
    claude.now += 1
    assert claude.cache(system=marked) == CacheUse(written=1125)
    claude.now += 2
    assert claude.cache(system=marked) == CacheUse(read=1125)


@pytest.mark.parametrize("stream", [False, True])
def test_the_usage_of_a_reply_splits_the_prompt(stream: bool) -> None:
    claude = Claude()
    fields = {"system": [text(LONG, MARK)], "messages": turns("x" * 40), "stream": stream}
    claude.ask(**fields)
    reply = claude.ask(**fields).answer.body.decode()
    lines = [json.loads(line[6:]) for line in reply.split("\n") if line.startswith("data: {")]
    usage = lines[0]["message"]["usage"] if stream else json.loads(reply)["usage"]
    assert usage["cache_read_input_tokens"] == 1125
    assert usage["input_tokens"] == 10
    assert usage["cache_creation_input_tokens"] == 0


def test_the_usage_has_the_form_of_a_recorded_one() -> None:
    recorded = [
        shape(each["response"]["body"]["usage"])
        for each in exchanges("anthropic", "cache_usage")
        if isinstance(each["response"]["body"], dict)
    ]
    reply = json.loads(Claude().ask(system=[text(LONG, MARK)]).answer.body)
    assert shape(reply["usage"]) in recorded


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"messages": turns([text("x", MARK) for _ in range(5)])},
            "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        ),
        (
            {"system": [text("x", MARK)], "messages": turns([text("x", HOUR)])},
            "a ttl='1h' cache_control block must not come after a ttl='5m'",
        ),
        (
            {"system": [text("x", {"type": "forever"})]},
            "system.0.cache_control.type: Input should be 'ephemeral'",
        ),
        (
            {"system": [text("x", {"type": "ephemeral", "ttl": "1d"})]},
            "system.0.cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
        ),
    ],
)
def test_wrong_marks_are_rejected(fields: dict[str, Any], said: str) -> None:
    decision = Claude().ask(**fields)
    assert decision.cause == "invalid_request"
    assert said in json.loads(decision.answer.body)["error"]["message"]
    assert decision.model in ("", CLAUDE)
