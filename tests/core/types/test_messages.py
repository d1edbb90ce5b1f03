"""What goes to a provider and what comes back."""

import asyncio
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from building import REQUEST, CappedProvider, KeyedProvider

from rolecall import (
    CallProgress,
    Closeable,
    HasCeiling,
    HasModel,
    NeedsSetup,
    PluginError,
    Preparable,
    Response,
    Route,
    Stop,
    Usage,
)
from rolecall.testing import FakeProvider
from rolecall.types.messages import ceiling, lacking, resolve


def test_the_usage_of_two_calls_adds_up_field_by_field() -> None:
    assert Usage(1, 2, 3, 4, 5) + Usage(10, 20, 30, 40, 50) == Usage(11, 22, 33, 44, 55)


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        REQUEST.system = "Something else."  # type: ignore[misc]


def test_requests_that_ask_the_same_are_equal_whoever_watches() -> None:
    assert evolve(REQUEST, progress=CallProgress()) == REQUEST
    assert evolve(REQUEST, model="another") != REQUEST


def test_responses_that_say_the_same_are_equal_whatever_their_headers() -> None:
    assert Response("yes", headers={"request-id": "1"}) == Response("yes")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", None),
        ("text", b"bytes"),
        ("usage", 3),
        ("usage", {"input": 1}),
        ("detail", None),
        ("request_id", 3),
        ("cost", "free"),
    ],
)
def test_a_response_of_the_wrong_type_is_the_fault_of_who_makes_it(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{field} of a Response cannot be "):
        Response(**{"text": "text", field: value})


def test_a_response_takes_the_word_for_why_it_stopped() -> None:
    assert Response("cut", stop="length").stop is Stop.LENGTH  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'tired' is not a valid Stop"):
        Response("cut", stop="tired")  # type: ignore[arg-type]


def test_what_a_provider_lacks_or_caps_is_none_where_it_does_not_say() -> None:
    assert (lacking(FakeProvider("one")), ceiling(FakeProvider("one"), "m")) == (None, None)


def test_what_a_provider_lacks_or_caps_is_asked_of_it() -> None:
    assert lacking(KeyedProvider("one", "ONE_API_KEY is not set")) == "ONE_API_KEY is not set"
    assert ceiling(CappedProvider("one", 5), "m") == 5


def test_a_provider_that_breaks_when_it_is_asked_is_named() -> None:
    class Broken(FakeProvider):
        def missing(self) -> str | None:
            raise KeyError("settings")

        def max_output_tokens(self, model: str) -> int | None:
            return [][0]

    with pytest.raises(PluginError, match=r"^the provider 'one' broke: KeyError: 'settings'$"):
        lacking(Broken("one"))
    with pytest.raises(PluginError, match=r"^the provider 'one' broke: IndexError: "):
        ceiling(Broken("one"), "m")


def test_watching_is_optional_for_a_provider() -> None:
    progress = CallProgress()
    progress.text("a piece")
    asyncio.run(progress.sending())


def test_a_response_ended_of_itself_unless_it_says_otherwise() -> None:
    assert Response("yes").stop is Stop.END


@pytest.mark.parametrize("protocol", [HasModel, HasCeiling, NeedsSetup, Preparable, Closeable])
def test_a_provider_needs_none_of_the_optional_parts(protocol: type) -> None:
    assert not isinstance(FakeProvider("one"), protocol)


def test_the_optional_parts_of_a_provider_are_recognised() -> None:
    assert isinstance(KeyedProvider("one", None), NeedsSetup)
    assert isinstance(CappedProvider("one", 1), HasCeiling)


def test_a_route_without_a_model_means_the_providers_own() -> None:
    class WithModel(FakeProvider):
        model = "the-default"

    provider = WithModel("one")
    assert resolve(Route("one"), provider) == Route("one", "the-default")
    assert resolve(Route("one", "another"), provider) == Route("one", "another")
    assert resolve(Route("one"), FakeProvider("one")) == Route("one")
