"""What a request is answered: the order of door, limits, faults and reply, and the seed."""

import json
from typing import Any

import pytest

from rolecall_plugins.simulator.exchange import Incoming
from rolecall_plugins.simulator.scenario import Fault, Latency, Limits, Scenario
from rolecall_plugins.simulator.service import Decision, Service

from .asking import claude_body, gemini_body


def service(**told: Any) -> Service:
    return Service(Scenario(**told), lambda: 1_800_000_000.0)


def call(service: Service, provider: str = "claude", key: str = "a key", **fields: Any) -> Decision:
    body = claude_body(**fields) if provider == "claude" else gemini_body(**fields)
    raw, model = json.dumps(body).encode(), "" if provider == "claude" else "gemini-3.8-flash"
    incoming = Incoming(provider=provider, key=key, model=model, version="v1beta", body=raw)
    return service.decide(incoming, service.arrive(provider))


def test_the_same_scenario_gives_the_same_bytes_and_delays() -> None:
    def run(seed: int) -> list[tuple[bytes, float]]:
        one = service(seed=seed, latency=Latency.parse("lognormal:0.8,0.4"))
        outcomes = [call(one, provider) for provider in ("claude", "gemini") for _ in range(3)]
        return [(decision.answer.body, decision.delay) for decision in outcomes]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert len({delay for _, delay in run(1)}) == 6


def test_an_agent_whose_reply_is_given_answers_with_it() -> None:
    one = service(replies={"solution-architect": "# The design"})
    asked = "You are the Solution Architect of a team."
    assert b"# The design" in call(one, system=asked).answer.body
    assert b"Simulated reply" in call(one, system="You are the Writer of a team.").answer.body


def test_the_other_providers_calls_do_not_change_a_delay() -> None:
    alone, beside = (service(latency=Latency.parse("0.1-0.5")) for _ in range(2))
    call(beside, "claude")
    assert call(alone, "gemini").delay == call(beside, "gemini").delay


def test_the_door_comes_before_limits_and_faults() -> None:
    told = service(
        limits={"claude": Limits(requests_per_minute=1)}, faults=(Fault.parse("claude:empty:1"),)
    )
    assert call(told, key="").cause == "missing_key"
    assert call(told, model="gpt-5").cause == "unknown_model"
    assert call(told).cause == "empty"
    assert call(told).cause == "rate_limited"


def test_a_call_refused_by_a_limit_uses_up_no_fault() -> None:
    told = service(
        limits={"claude": Limits(concurrency=1)}, faults=(Fault.parse("claude:empty:2"),)
    )
    first = call(told)
    assert (first.cause, call(told).cause) == ("empty", "rate_limited")
    told.finish("claude", first)
    assert call(told).cause == "empty"


def test_what_is_refused_at_the_door_is_refused_at_once() -> None:
    slow = service(latency=Latency.parse("5"), limits={"claude": Limits(requests_per_minute=1)})
    assert call(slow).delay == 5.0
    assert (call(slow).delay, call(slow, key="").delay) == (0.0, 0.0)


def test_a_daily_limit_is_an_exhausted_quota() -> None:
    told = service(limits={"gemini": Limits(requests_per_day=1)})
    assert call(told, "gemini").cause is None
    spent = call(told, "gemini")
    assert (spent.cause, spent.answer.status) == ("quota_exhausted", 429)
    assert b"PerDay" in spent.answer.body
    assert b"Please retry in 16h" in spent.answer.body


def test_headers_count_down_what_is_left() -> None:
    told = service(limits={"claude": Limits(requests_per_minute=50, tokens_per_minute=1000)})
    decision = call(told)
    assert decision.query is not None
    headers = dict(decision.answer.headers)
    assert headers["anthropic-ratelimit-requests-remaining"] == "49"
    left = 1000 - decision.query.input_tokens
    assert headers["anthropic-ratelimit-tokens-remaining"] == str(left)
    told.finish("claude", decision)
    left -= decision.answer.output_tokens + decision.query.input_tokens
    assert dict(call(told).answer.headers)["anthropic-ratelimit-tokens-remaining"] == str(left)


@pytest.mark.parametrize("provider", ["claude", "gemini"])
def test_a_fault_for_one_agent_spares_the_others(provider: str) -> None:
    told = service(faults=(Fault.parse("*:empty@agent=solution-architect"),))
    assert call(told, provider).cause == "empty"
    other: dict[str, Any] = {"system": "You are the Technical Writer of a team."}
    if provider == "gemini":
        other = {"systemInstruction": {"parts": [{"text": other["system"]}]}}
    spared = call(told, provider, **other)
    assert (spared.cause, spared.agent) == (None, "technical-writer")
