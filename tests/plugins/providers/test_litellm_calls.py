"""litellm makes the call where the program has set what only its own call honours."""

import asyncio
import json
from typing import Any

import pytest
from attrs import evolve
from raw_server import answering, whole
from vendors import PLUGINS, REQUEST, provider

from rolecall import Attachment, CallProgress, Cause, Message, ProviderError, Response, Stop
from rolecall_plugins.providers.litellm_doors import LISTENERS
from rolecall_plugins.providers.litellm_import import import_litellm
from rolecall_plugins.simulator.scenario import Fault, Scenario
from rolecall_plugins.simulator.server import Simulator, serve_in_thread

BOTH = pytest.mark.parametrize("name", PLUGINS)
STREAMED_OR_NOT = pytest.mark.parametrize("stream", [True, False])


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return litellm as a program has it that has set nothing yet."""
    imported = import_litellm()
    for name in LISTENERS:
        monkeypatch.setattr(imported, name, [])
    return imported


@pytest.fixture
def heard(litellm: Any) -> list[str]:
    """Listen to litellm; return the models that it says were called."""
    from litellm.integrations.custom_logger import CustomLogger

    models: list[str] = []

    class Listener(CustomLogger):
        async def async_log_success_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
            models.append(kwargs["model"])

    litellm.callbacks.append(Listener())
    return models


def at(served: Simulator, name: str) -> Any:
    bases = {"ANTHROPIC_API_BASE": served.anthropic_base, "GEMINI_API_BASE": served.gemini_base}
    return provider(name, **bases)


async def complete(made: Any, **asked: Any) -> Response:
    try:
        response: Response = await made.complete(evolve(REQUEST, model=made.model, **asked))
        return response
    finally:
        await made.aclose()


@BOTH
@STREAMED_OR_NOT
def test_an_answer_is_the_same_whoever_makes_the_call(
    name: str, stream: bool, litellm: Any
) -> None:
    pieces: list[str] = []

    class Progress(CallProgress):
        def text(self, delta: str) -> None:
            pieces.append(delta)

    with serve_in_thread(Scenario()) as served:
        ours = asyncio.run(complete(at(served, name), stream=stream))
        litellm.success_callback.append(lambda *_, **__: None)
        asked = {"stream": stream, "progress": Progress()}
        theirs = asyncio.run(complete(at(served, name), **asked))
    assert ours == evolve(theirs, request_id=ours.request_id)
    assert "".join(pieces) == (theirs.text if stream else "")


@BOTH
def test_whoever_listens_hears_of_each_call(name: str, heard: list[str]) -> None:
    async def ask(made: Any) -> None:
        await complete(made, stream=False)
        async with asyncio.timeout(5):
            while not heard:  # it is told in the background
                await asyncio.sleep(0.01)

    with serve_in_thread(Scenario()) as served:
        made = at(served, name)
        asyncio.run(ask(made))
    assert made.model in heard[0]


@BOTH
@STREAMED_OR_NOT
@pytest.mark.parametrize("fault", ["overloaded", "rate_limited", "auth", "connection", "truncated"])
def test_a_failure_has_the_same_cause_whoever_makes_the_call(
    name: str, stream: bool, fault: str, litellm: Any
) -> None:
    def outcome(served: Simulator) -> str:
        try:
            return asyncio.run(complete(at(served, name), stream=stream)).stop
        except ProviderError as error:
            return f"{error.cause}: {error}"

    fault_each = Fault.parse(f"{name}:{fault}")
    with serve_in_thread(Scenario(faults=(fault_each,))) as served:
        ours = outcome(served)
        litellm.failure_callback.append(lambda *_, **__: None)
        theirs = outcome(served)
        assert len(served.arrivals) == 2
    assert ours.partition("127.0.0.1")[0] == theirs.partition("127.0.0.1")[0]


@BOTH
@STREAMED_OR_NOT
def test_a_rule_of_the_program_rejects_an_answer_and_keeps_what_it_cost(
    name: str, stream: bool, litellm: Any
) -> None:
    litellm.post_call_rules.append(lambda text: {"decision": False, "message": "it is too rude"})
    with serve_in_thread(Scenario()) as served:
        response = asyncio.run(complete(at(served, name), stream=stream))
    assert response.stop is Stop.SAFETY
    assert "it is too rude" in response.detail
    assert response.cost


@BOTH
def test_a_rule_of_the_program_that_agrees_changes_nothing(name: str, litellm: Any) -> None:
    litellm.post_call_rules.append(lambda text: True)
    with serve_in_thread(Scenario()) as served:
        assert asyncio.run(complete(at(served, name))).stop is Stop.END


@BOTH
def test_a_rule_before_the_call_keeps_it_from_being_sent(name: str, litellm: Any) -> None:
    litellm.pre_call_rules.append(lambda text: False)
    with serve_in_thread(Scenario()) as served:
        with pytest.raises(ProviderError, match="litellm refused to send the request") as caught:
            asyncio.run(complete(at(served, name)))
        assert not served.arrivals
    assert caught.value.cause == Cause.INVALID_REQUEST


@BOTH
@STREAMED_OR_NOT
@pytest.mark.parametrize("is_heard", [False, True])
def test_each_call_is_made_although_the_program_has_a_cache(
    name: str, stream: bool, is_heard: bool, litellm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm, "cache", litellm.Cache(type="local"))
    if is_heard:
        litellm.success_callback.append(lambda *_, **__: None)
    with serve_in_thread(Scenario()) as served:
        answers = [asyncio.run(complete(at(served, name), stream=stream)) for _ in range(2)]
        assert len(served.arrivals) == 2
    assert answers[0].text == answers[1].text


@BOTH
def test_an_attachment_that_cannot_be_sent_is_named_whoever_makes_the_call(
    name: str, litellm: Any
) -> None:
    litellm.success_callback.append(lambda *_, **__: None)
    archive = Message("user", "Unpack it.", (Attachment("application/zip", b"PK", "a.zip"),))
    with serve_in_thread(Scenario()) as served:
        with pytest.raises(ProviderError, match=r"a\.zip of type application/zip"):
            asyncio.run(complete(at(served, name), messages=(archive,)))
        assert not served.arrivals


class _Token:
    """What signs calls to a gateway."""

    def get_auth_headers(self) -> dict[str, str]:
        return {"x-team": "one"}


ANSWER = {
    "type": "message",
    "content": [{"type": "text", "text": "Said"}],
    "stop_reason": "end_turn",
}


@pytest.mark.parametrize(
    ("name", "value", "changed"),
    [
        ("api_base", "", "POST /v1/messages"),
        ("model_alias_map", {"claude-sonnet-5-5": "claude-haiku-4-5"}, "claude-haiku-4-5"),
        ("proxy_auth", _Token(), "x-team: one"),
    ],
)
def test_what_the_program_changes_of_all_calls_is_changed_of_ours(
    name: str, value: Any, changed: str, litellm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(ANSWER).encode()
    with answering(whole(body, "200 OK", "content-type: application/json")) as server:
        monkeypatch.setattr(litellm, name, value or server.url)
        bases = {"ANTHROPIC_API_BASE": server.url} if value else {}
        assert asyncio.run(complete(provider("claude", **bases), stream=False)).text == "Said"
    (head, sent), *others = server.requests
    assert not others
    assert changed in head.lower().replace("post ", "POST ") + sent.decode()


def test_a_call_that_would_pass_litellms_budget_is_not_sent(
    litellm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm, "max_budget", 0.5)
    monkeypatch.setattr(litellm, "_current_cost", 1.0)
    with serve_in_thread(Scenario()) as served:
        with pytest.raises(ProviderError, match="Budget has been exceeded"):
            asyncio.run(complete(at(served, "claude")))
        assert not served.arrivals


@BOTH
@STREAMED_OR_NOT
def test_who_does_without_aiohttp_calls_through_httpx(
    name: str, stream: bool, monkeypatch: pytest.MonkeyPatch, litellm: Any
) -> None:
    monkeypatch.setattr("aiohttp.ClientSession.__init__", _must_not_be_used)
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", "True")
    with serve_in_thread(Scenario()) as served:
        bases = {"ANTHROPIC_API_BASE": served.anthropic_base, "GEMINI_API_BASE": served.gemini_base}
        made = provider(name, DISABLE_AIOHTTP_TRANSPORT="True", **bases)
        assert "Simulated reply" in asyncio.run(complete(made, stream=stream)).text
        litellm.success_callback.append(lambda *_, **__: None)
        assert "Simulated reply" in asyncio.run(complete(made, stream=stream)).text


def _must_not_be_used(*_: Any, **__: Any) -> None:
    raise AssertionError("aiohttp was used")


def test_a_call_is_made_the_plain_way_where_requests_cannot_be_built(
    litellm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_in_thread(Scenario()) as served:
        made = at(served, "claude")
        with monkeypatch.context() as patch:
            patch.setattr(litellm, "AnthropicConfig", None)
            made.prepare()
        assert "Simulated reply" in asyncio.run(complete(made)).text


def test_a_call_is_made_the_plain_way_where_a_door_closes_later(
    litellm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import litellm.llms.vertex_ai.gemini.transformation as transformation

    with serve_in_thread(Scenario()) as served:
        made = at(served, "gemini")
        made.prepare()
        original = transformation.transform_request_body

        def once(**parts: Any) -> Any:
            monkeypatch.setattr(transformation, "transform_request_body", original)
            raise TypeError("another parameter is wanted")

        monkeypatch.setattr(transformation, "transform_request_body", once)
        assert "Simulated reply" in asyncio.run(complete(made)).text


def test_calls_are_made_where_litellm_does_not_say_whom_to_trust(
    litellm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_in_thread(Scenario()) as served:
        made = at(served, "claude")
        with monkeypatch.context() as patch:
            patch.delattr("litellm.llms.custom_httpx.http_handler.get_ssl_configuration")
            made.prepare()
        assert "Simulated reply" in asyncio.run(complete(made)).text
