"""Cassettes: record calls of a provider from the simulator, and replay them without a network.

`python tests/replaying.py` records them all anew.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vcr
import yaml

from rolecall import Message, Provider, ProviderError, Request, Response, Settings
from rolecall_plugins import claude, gemini
from rolecall_plugins.simulator.scenario import Fault, Scenario

FOLDER = Path(__file__).parent.parent / "cassettes" / "test_replay"
HEADER = (
    "# Recorded from rolecall's simulator, not from a vendor. Replayed by tests/test_replay.py.\n"
)
PLUGINS = {"claude": claude, "gemini": gemini}
HOSTS = {
    "claude": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
}
# name: provider, streamed, fault
CASES = {
    f"{provider}-{'stream' if streamed else 'plain'}{f'-{fault}' if fault else ''}": (
        provider,
        streamed,
        fault,
    )
    for provider in PLUGINS
    for streamed in (True, False)
    for fault in ("", "empty", "thinking_only", "truncated", "rate_limited", "overloaded", "auth")
    if (provider, fault) != ("claude", "thinking_only")
}
REQUEST = Request(
    system="You are a tester.\n\n- `## Findings`: what was found",
    messages=(Message("user", "<request>\nSay something — in UTF-8: ✓\n</request>"),),
    max_output_tokens=512,
)


def provider(name: str, **environment: str) -> Provider:
    keys = {"ANTHROPIC_API_KEY": "replayed", "GEMINI_API_KEY": "replayed", **environment}
    (made,) = PLUGINS[name].rolecall_providers(Settings(environment=keys))
    return made


async def outcome(made: Provider, request: Request) -> Response | ProviderError:
    try:
        return await made.complete(request)
    except ProviderError as error:
        return error
    finally:
        await made.aclose()  # type: ignore[attr-defined]


@contextmanager
def cassette(name: str, mode: str = "none", simulated: str = "") -> Iterator[Any]:
    """Replay a cassette; every recorded call must be played, and no other may be made."""
    vendor = CASES[name][0]

    def as_vendor(request: Any) -> Any:
        if simulated:
            path = request.uri.removeprefix(simulated)
            request.uri = HOSTS[vendor] + path.replace("/v1beta/", "/v1alpha/", 1)
        return request

    recorder = vcr.VCR(
        cassette_library_dir=str(FOLDER),
        record_mode=mode,
        match_on=("method", "scheme", "host", "path", "query", "asked"),
        filter_headers=["x-api-key", "x-goog-api-key", "authorization", "user-agent", "host"],
        before_record_request=as_vendor,
    )
    recorder.register_matcher("asked", lambda left, right: _asked(left) == _asked(right))
    with recorder.use_cassette(f"{name}.yaml") as tape:
        yield tape


def _asked(request: Any) -> Any:
    body = json.loads(request.body)
    return {key: body.get(key) for key in ("model", "system", "messages", "contents", "stream")}


def record(name: str) -> None:
    from rolecall_plugins.simulator.server import serve_in_thread

    vendor, streamed, fault = CASES[name]
    faults = (Fault.parse(f"{vendor}:{fault}"),) if fault else ()
    path = FOLDER / f"{name}.yaml"
    path.unlink(missing_ok=True)
    with (
        serve_in_thread(Scenario(faults=faults)) as served,
        cassette(name, "all", served.url),
    ):
        made = provider(
            vendor,
            ANTHROPIC_API_BASE=served.anthropic_base,
            GEMINI_API_BASE=served.gemini_base,
        )
        asyncio.run(outcome(made, _request(made, streamed)))
    tape = yaml.safe_load(path.read_text("utf-8"))
    text = yaml.safe_dump(tape, allow_unicode=True, sort_keys=True)
    path.write_text(HEADER + text, "utf-8")


def _request(made: Provider, streamed: bool) -> Request:
    from attrs import evolve

    return evolve(REQUEST, model=made.model, stream=streamed)  # type: ignore[attr-defined]


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        record(case)
        print(case)
