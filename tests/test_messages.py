"""What goes to a provider and what comes back."""

import asyncio

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from building import REQUEST, CappedProvider, KeyedProvider
from rolecall import (
    Closeable,
    HasCeiling,
    HasModel,
    NeedsSetup,
    Preparable,
    Response,
    Stop,
    Usage,
    Watch,
)
from rolecall.testing import FakeProvider


def test_the_usage_of_two_calls_adds_up_field_by_field() -> None:
    assert Usage(1, 2, 3, 4, 5) + Usage(10, 20, 30, 40, 50) == Usage(11, 22, 33, 44, 55)


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        REQUEST.system = "Something else."  # type: ignore[misc]


def test_requests_that_ask_the_same_are_equal_whoever_watches() -> None:
    assert evolve(REQUEST, watch=Watch()) == REQUEST
    assert evolve(REQUEST, model="another") != REQUEST


def test_responses_that_say_the_same_are_equal_whatever_their_headers() -> None:
    assert Response("yes", headers={"request-id": "1"}) == Response("yes")


def test_watching_is_optional_for_a_provider() -> None:
    watch = Watch()
    watch.text("a piece")
    asyncio.run(watch.sending())


def test_a_response_ended_of_itself_unless_it_says_otherwise() -> None:
    assert Response("yes").stop is Stop.END


@pytest.mark.parametrize("protocol", [HasModel, HasCeiling, NeedsSetup, Preparable, Closeable])
def test_a_provider_needs_none_of_the_optional_parts(protocol: type) -> None:
    assert not isinstance(FakeProvider("one"), protocol)


def test_the_optional_parts_of_a_provider_are_recognised() -> None:
    assert isinstance(KeyedProvider("one", None), NeedsSetup)
    assert isinstance(CappedProvider("one", 1), HasCeiling)
