"""The server over real connections; every test here opens a port on this machine's loopback."""

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from rolecall_plugins.simulator.faults import CAUSES, variants
from rolecall_plugins.simulator.scenario import Fault, Latency, Limits, Scenario, ScenarioError
from rolecall_plugins.simulator.server import Simulator, serve_in_thread

from .asking import Got, ask, claude_body, gemini_body, text_of

FORMS = {"claude": ("json", "sse"), "gemini": ("json", "sse", "array")}

# What each form of each cause is answered: status without and with a stream; None is no answer.
ANSWERED: dict[tuple[str, str, str], tuple[int | None, int | None]] = {
    **{
        (provider, cause, variant): (200, 200)
        for provider in ("claude", "gemini")
        for cause in (
            "empty",
            "thinking_only",
            "truncated",
            "safety",
            "refusal",
            "bad_tool_call",
            "bad_payload",
        )
        for variant in variants(provider, cause)
    },
    ("claude", "rate_limited", "retry_after"): (429, 429),
    ("claude", "rate_limited", "concurrency"): (429, 429),
    ("claude", "rate_limited", "no_retry"): (429, 429),
    ("claude", "rate_limited", "full_quota"): (429, 429),
    ("claude", "quota_exhausted", "credit"): (400, 400),
    ("claude", "overloaded", "status"): (529, 529),
    ("claude", "overloaded", "first_event"): (529, 200),
    ("claude", "overloaded", "midway"): (529, 200),
    ("claude", "server_error", "status"): (500, 500),
    ("claude", "server_error", "no_retry"): (500, 500),
    ("claude", "server_error", "proxy"): (503, 503),
    ("claude", "server_error", "midway"): (500, 200),
    ("claude", "timeout", "silent"): (None, None),
    ("claude", "timeout", "stall"): (None, None),
    ("claude", "timeout", "gateway"): (504, 504),
    ("claude", "connection", "reset"): (None, None),
    ("claude", "connection", "midway"): (None, None),
    ("claude", "auth", "key"): (401, 401),
    ("claude", "forbidden", "permission"): (403, 403),
    ("claude", "unknown_model", "not_found"): (404, 404),
    ("claude", "context_overflow", "prompt"): (400, 400),
    ("claude", "invalid_request", "field"): (400, 400),
    ("gemini", "rate_limited", "per_minute"): (429, 429),
    ("gemini", "rate_limited", "bare"): (429, 429),
    ("gemini", "quota_exhausted", "per_day"): (429, 429),
    ("gemini", "overloaded", "status"): (503, 503),
    ("gemini", "overloaded", "midway"): (503, 200),
    ("gemini", "server_error", "status"): (500, 500),
    ("gemini", "server_error", "proxy"): (502, 502),
    ("gemini", "server_error", "midway"): (500, 200),
    ("gemini", "timeout", "silent"): (None, None),
    ("gemini", "timeout", "stall"): (None, None),
    ("gemini", "timeout", "gateway"): (504, 504),
    ("gemini", "connection", "reset"): (None, None),
    ("gemini", "connection", "midway"): (None, None),
    ("gemini", "auth", "key"): (400, 400),
    ("gemini", "forbidden", "permission"): (403, 403),
    ("gemini", "unknown_model", "not_found"): (404, 404),
    ("gemini", "context_overflow", "prompt"): (400, 400),
    ("gemini", "invalid_request", "field"): (400, 400),
}


def serve(test: Callable[[Simulator], Awaitable[Any]], **told: Any) -> Any:
    """Run a test's coroutine beside a simulator."""

    async def run() -> Any:
        async with Simulator(Scenario(**told)) as simulator:
            return await test(simulator)

    return asyncio.run(run())


def test_the_table_above_has_every_form_of_every_fault() -> None:
    assert set(ANSWERED) == {
        (provider, cause, variant)
        for provider in ("claude", "gemini")
        for cause in CAUSES
        for variant in variants(provider, cause)
    }


@pytest.mark.parametrize(
    ("provider", "cause", "variant", "form"),
    [(*fault, form) for fault in ANSWERED for form in FORMS[fault[0]]],
)
def test_a_fault_is_answered_as_it_should_be(
    provider: str, cause: str, variant: str, form: Any
) -> None:
    expected = ANSWERED[provider, cause, variant][form != "json"]
    hangs = cause == "timeout"

    async def test(simulator: Simulator) -> list[Any]:
        if expected is None:
            with pytest.raises(TimeoutError if hangs else aiohttp.ClientError):
                await ask(simulator, provider, form, timeout=0.15 if hangs else 5.0)
        else:
            assert (await ask(simulator, provider, form)).status == expected
        # The fault was for one call: the next one goes well, on the same server.
        assert (await ask(simulator, provider, form)).status == 200
        return [arrival.cause for arrival in simulator.arrivals]

    fault = Fault.parse(f"{provider}:{cause}:1@variant={variant}")
    assert serve(test, faults=(fault,)) == [cause, None]


@pytest.mark.parametrize(
    ("provider", "form"), [(provider, form) for provider in FORMS for form in FORMS[provider]]
)
def test_a_reply_is_the_same_in_every_form(provider: str, form: Any) -> None:
    async def test(simulator: Simulator) -> tuple[Got, Got]:
        return await ask(simulator, provider, form), await ask(simulator, "claude")

    found, other = serve(test)
    assert found.status == 200
    assert text_of(found) == text_of(other)
    assert text_of(found).startswith("> **Simulated reply.**")


def test_an_answer_cut_by_max_tokens_is_continued_to_the_whole() -> None:
    async def test(simulator: Simulator) -> tuple[str, str]:
        whole = text_of(await ask(simulator))
        first = text_of(await ask(simulator, body=claude_body(max_tokens=60)))
        turns = [
            *claude_body()["messages"],
            {"role": "assistant", "content": first},
            {"role": "user", "content": "Go on."},
        ]
        return whole, first + text_of(await ask(simulator, body=claude_body(messages=turns)))

    whole, joined = serve(test)
    assert joined == whole


@pytest.mark.parametrize("address", ["/v1", "/v1beta", "/v1alpha", ""])
def test_gemini_is_served_at_every_version_and_without_one(address: str) -> None:
    async def test(simulator: Simulator) -> int:
        url = f"{simulator.url}{address}/models/gemini-3.8-flash:generateContent?key=a-key"
        async with aiohttp.ClientSession() as session, session.post(url, json=gemini_body()) as got:
            return got.status

    assert serve(test) == 200


def test_a_missing_key_is_told_in_the_vendors_way() -> None:
    async def test(simulator: Simulator) -> list[Got]:
        return [await ask(simulator, provider, key="") for provider in ("claude", "gemini")]

    claude, gemini = serve(test)
    assert (claude.status, claude.data["error"]["type"]) == (401, "authentication_error")
    assert (gemini.status, gemini.data["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_the_front_page_says_what_it_is_in_one_line() -> None:
    with serve_in_thread(Scenario()) as simulator:
        text = urllib.request.urlopen(simulator.url).read().decode()
    assert "simulator" in text
    assert text.count("\n") == 1


def test_arrivals_tell_of_every_call() -> None:
    async def test(simulator: Simulator) -> tuple[Any, list[Any]]:
        raw = json.dumps(claude_body(stream=True)).encode()
        await ask(simulator, "claude", body=raw)
        await ask(simulator, "gemini", key="")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{simulator.url}/arrivals") as response,
        ):
            listed = await response.json()
        assert [each["provider"] for each in listed] == ["claude", "gemini"]
        return hashlib.sha256(raw).hexdigest(), simulator.arrivals

    before = time.monotonic()
    digest, (claude, gemini) = serve(test)
    assert before <= claude.at <= gemini.at <= time.monotonic()
    assert (claude.model, claude.status, claude.stream) == ("claude-sonnet-5-5", 200, True)
    assert (claude.agent, claude.cause, claude.body_sha256) == ("solution-architect", None, digest)
    assert claude.input_tokens > 50
    assert claude.output_tokens > 100
    assert (gemini.status, gemini.cause, gemini.agent) == (403, "missing_key", None)


def test_limits_refuse_and_headers_say_so() -> None:
    async def test(simulator: Simulator) -> list[Got]:
        return [await ask(simulator) for _ in range(3)]

    found = serve(test, limits={"claude": Limits(requests_per_minute=2)})
    assert [each.status for each in found] == [200, 200, 429]
    assert found[1].headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert 1 <= int(found[2].headers["retry-after"]) <= 30


def test_limits_run_on_the_clock_they_are_given() -> None:
    now = [1_800_000_000.0]

    async def run() -> list[int]:
        scenario = Scenario(limits={"gemini": Limits(requests_per_minute=1)})
        async with Simulator(scenario, api_clock=lambda: now[0]) as simulator:
            first = [(await ask(simulator, "gemini")).status for _ in range(2)]
            now[0] += 60
            return [*first, (await ask(simulator, "gemini")).status]

    assert asyncio.run(run()) == [200, 429, 200]


def test_concurrency_is_limited_while_calls_are_running() -> None:
    async def test(simulator: Simulator) -> list[int]:
        found = await asyncio.gather(*(ask(simulator) for _ in range(3)))
        return [*sorted(each.status for each in found), (await ask(simulator)).status]

    told = {"limits": {"claude": Limits(concurrency=2)}, "latency": Latency.parse("0.1")}
    assert serve(test, **told) == [200, 200, 429, 200]


def test_whoever_hangs_up_frees_the_place() -> None:
    async def test(simulator: Simulator) -> int:
        with pytest.raises(TimeoutError):
            await ask(simulator, timeout=0.1)
        for _ in range(100):
            if (status := (await ask(simulator)).status) == 200:
                break
            await asyncio.sleep(0.02)
        return status

    told = {
        "limits": {"claude": Limits(concurrency=1)},
        "faults": (Fault.parse("claude:timeout:1"),),
    }
    assert serve(test, **told) == 200


def waits(form: Any, **told: Any) -> list[float]:
    """What the simulator sleeps for one call; nobody really sleeps."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def run() -> None:
        async with Simulator(Scenario(**told), sleep=sleep) as simulator:
            await ask(simulator, "claude", form)

    asyncio.run(run())
    return slept


def test_latency_is_waited_before_the_first_byte_and_is_the_seeds() -> None:
    told = {"latency": Latency.parse("lognormal:0.8,0.4"), "seed": 3}
    assert len(waits("json", **told)) == 1
    assert waits("json", **told) == waits("sse", **told)


def test_a_stream_comes_at_the_pace_of_its_tokens() -> None:
    plain, stream = (waits(form, tokens_per_second=50.0) for form in ("json", "sse"))
    assert len(plain) == 1
    assert len(stream) > 5
    assert sum(stream) == pytest.approx(plain[0], abs=0.02)


def test_text_sent_before_a_break_arrives() -> None:
    received: list[bytes] = []

    async def read(simulator: Simulator) -> None:
        url, sent = f"{simulator.anthropic_base}/v1/messages", claude_body(stream=True)
        async with (
            aiohttp.ClientSession(headers={"x-api-key": "a key"}) as session,
            session.post(url, json=sent) as response,
        ):
            async for data in response.content.iter_any():
                received.append(data)

    fault = Fault.parse("claude:connection@variant=midway,after=25")
    with pytest.raises(aiohttp.ClientError):
        serve(read, faults=(fault,))
    assert text_of(Got(200, {}, b"".join(received))) == "> **Simulated reply.** Wr"


def test_a_thread_serves_a_caller_without_a_loop() -> None:
    with serve_in_thread(Scenario()) as simulator:
        request = urllib.request.Request(
            f"{simulator.anthropic_base}/v1/messages",
            data=json.dumps(claude_body()).encode(),
            headers={"x-api-key": "a key"},
        )
        assert json.load(urllib.request.urlopen(request))["type"] == "message"
        assert [arrival.status for arrival in simulator.arrivals] == [200]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(simulator.url)


def test_closing_does_not_wait_for_a_hanging_answer() -> None:
    fault = Fault.parse("claude:timeout")
    with serve_in_thread(Scenario(faults=(fault,))) as simulator:
        host, port = simulator.url.removeprefix("http://").split(":")
        body = json.dumps(claude_body()).encode()
        head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nContent-Length: {len(body)}"
        )
        caller = socket.create_connection((host, int(port)))
        caller.sendall(head.encode() + b"\r\n\r\n" + body)
        while not (simulator.arrivals and simulator.arrivals[0].cause):
            time.sleep(0.005)
        began = time.monotonic()
    assert time.monotonic() - began < 1.0
    caller.close()


def test_a_taken_port_is_the_callers_error() -> None:
    with serve_in_thread(Scenario()) as simulator:
        port = int(simulator.url.rpartition(":")[2])
        with pytest.raises(OSError, match="attempting to bind"), serve_in_thread(Scenario(), port):
            pass


def test_only_this_machine_is_served_unless_told_otherwise() -> None:
    for host in ("0.0.0.0", "", "::", "example.org", "192.0.2.1"):
        with pytest.raises(ScenarioError, match="not a loopback address"):
            Simulator(Scenario(), host=host)
    for host in ("127.0.0.1", "::1", "localhost"):
        Simulator(Scenario(), host=host)
    Simulator(Scenario(), host="0.0.0.0", anywhere=True)


def test_a_large_prompt_is_taken() -> None:
    async def test(simulator: Simulator) -> Got:
        return await ask(simulator, body=claude_body("word " * 1_000_000))

    assert serve(test).data["usage"]["input_tokens"] > 1_000_000


def test_everything_but_the_server_does_without_aiohttp() -> None:
    code = (
        "import sys, rolecall_plugins.simulator.service\n"
        "sys.exit(' '.join({'aiohttp', 'asyncio', 'litellm'} & set(sys.modules)))"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert ran.stderr.strip() == ""
