"""Requests that other programs sent are written as they were, from the values they stand for."""

from typing import Any

import pytest

from rolecall_plugins.providers.writing import anthropic_request, gemini_request

from .recorded_requests import claude_form, gemini_form, recorded, request_of

EMPTY = ("gemini-d979f109",)  # a turn without any text, which is not sent
REFUSED = 400  # the first status of those that say that a request was wrong


def is_sound(exchange: Any) -> bool:
    body, status = exchange["request"]["body"], exchange["response"]["status"]
    return isinstance(body, dict) and bool({"messages", "contents"} & {*body}) and status != REFUSED


EXCHANGES = {
    name: each for name, each in recorded().items() if is_sound(each) and name not in EMPTY
}
if not EXCHANGES:
    pytest.skip("the recorded traffic (../shared/wire) is not here", allow_module_level=True)


REFERRING = ("gemini-7a0d2596",)  # its schema has references, which are not sent


def names(vendor: str) -> list[str]:
    return [name for name, each in EXCHANGES.items() if each["provider"].startswith(vendor)]


@pytest.mark.parametrize("name", names("anthropic"))
def test_a_request_to_claude_is_written_as_it_was_recorded(name: str) -> None:
    exchange = EXCHANGES[name]
    written = anthropic_request.write(request_of(exchange), "claude")
    assert claude_form(written) == claude_form(exchange["request"]["body"])


@pytest.mark.parametrize("name", names("gemini"))
def test_a_request_to_gemini_is_written_as_it_was_recorded(name: str) -> None:
    exchange: Any = EXCHANGES[name]
    written = gemini_request.write(request_of(exchange), "gemini")
    form, recorded_form = gemini_form(written), gemini_form(exchange["request"]["body"])
    if name in REFERRING:
        form["tools"][0]["parameters"] = recorded_form["tools"][0]["parameters"]
    assert form == recorded_form
