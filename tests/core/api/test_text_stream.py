"""An answer piece by piece, while the calls for it are made."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from building import TRUNCATED, failing, plugin
from hypothesis import given
from hypothesis import strategies as st

from rolecall import (
    LLM,
    AllRoutesFailed,
    CallFailed,
    Cause,
    Host,
    ProviderError,
    Request,
    Response,
    Restart,
    Settings,
    Stop,
)
from rolecall.testing import FakeProvider

Piece = str | Restart
Attempt = tuple[Sequence[str], Response | ProviderError]


class Streaming:
    """Streams the pieces of each attempt in turn, and then answers or fails."""

    def __init__(self, name: str, *attempts: Attempt) -> None:
        self.name = name
        self.model = ""
        self._attempts = list(attempts)

    async def complete(self, request: Request) -> Response:
        pieces, ending = self._attempts.pop(0)
        for piece in pieces:
            await asyncio.sleep(0)
            request.progress.text(piece)
        if isinstance(ending, ProviderError):
            raise ending
        return ending


def llm(*providers: Any, **settings: Any) -> LLM:
    host = Host([])
    host.register("all", plugin(providers=lambda: list(providers)))
    names = [provider.name for provider in providers]
    return LLM(*names, host=host, settings=Settings(interval=0.0, **settings))


def streamed(model: LLM) -> list[Piece]:
    async def collect() -> list[Piece]:
        return [piece async for piece in model.stream("?")]

    return asyncio.run(collect())


def broken(cause: str = "forbidden") -> ProviderError:
    return ProviderError(cause, "broken")


def test_the_pieces_are_those_of_the_answer() -> None:
    assert streamed(llm(Streaming("one", (["4", "2"], Response("42"))))) == ["4", "2"]


def test_an_answer_that_does_not_stream_comes_whole() -> None:
    assert streamed(llm(Streaming("one", ([], Response("42"))))) == ["42"]


def test_a_fallback_in_mid_stream_restarts_the_text() -> None:
    first, second = (
        Streaming("one", (["hal"], broken())),
        Streaming("two", (["42"], Response("42"))),
    )
    assert streamed(llm(first, second)) == ["hal", Restart(Cause.FORBIDDEN), "42"]


def test_a_failure_before_any_text_restarts_nothing() -> None:
    first, second = Streaming("one", ([], broken())), Streaming("two", (["42"], Response("42")))
    assert streamed(llm(first, second)) == ["42"]


def test_an_answer_that_is_judged_unfit_is_void() -> None:
    blocked = Response("bad", stop=Stop.SAFETY)
    first, second = Streaming("one", (["bad"], blocked)), Streaming("two", (["42"], Response("42")))
    assert streamed(llm(first, second)) == ["bad", Restart(Cause.SAFETY), "42"]


def test_a_cut_answer_goes_on_without_a_restart() -> None:
    cut = Response("cut ", stop=Stop.LENGTH)
    model = llm(Streaming("one", (["cut "], cut), (["here"], Response("here"))))
    assert streamed(model) == ["cut ", "here"]


def test_what_was_good_comes_again_after_a_restart() -> None:
    cut = Response("cut ", stop=Stop.LENGTH)
    first = Streaming("one", (["cut ", ""], cut), (["her"], broken()))
    second = Streaming("two", (["here"], Response("here")))
    assert streamed(llm(first, second)) == ["cut ", "her", Restart(Cause.FORBIDDEN), "cut ", "here"]


def test_an_answer_that_differs_from_its_pieces_replaces_them() -> None:
    assert streamed(llm(Streaming("one", (["41"], Response("42"))))) == ["41", Restart(), "42"]


def test_without_any_route_left_the_pieces_end_in_the_error() -> None:
    model = llm(Streaming("one", (["hal"], broken())))
    seen: list[Piece] = []

    async def collect() -> None:
        async for piece in model.stream("?"):
            seen.append(piece)

    with pytest.raises(AllRoutesFailed, match="one: forbidden"):
        asyncio.run(collect())
    assert seen == ["hal"]


def test_an_answer_that_stays_cut_is_an_error() -> None:
    model = llm(FakeProvider("one", [TRUNCATED] * 9), continuations=1)
    with pytest.raises(CallFailed, match="truncated"):
        streamed(model)


def test_who_leaves_the_stream_ends_its_call() -> None:
    provider = FakeProvider("one", [*failing("auth"), "unheard"])

    class Hanging(Streaming):
        cancelled = False

        async def complete(self, request: Request) -> Response:
            request.progress.text("4")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
            raise AssertionError

    hanging = Hanging("two")
    model = llm(provider, hanging)

    async def leave() -> None:
        async with aclosing(model.stream("?")) as pieces:
            assert await anext(pieces) == "4"
        assert hanging.cancelled

    asyncio.run(leave())


def test_streams_at_once_are_kept_apart() -> None:
    class Echo(Streaming):
        async def complete(self, request: Request) -> Response:
            text = request.messages[0].text * 3
            for letter in text:
                await asyncio.sleep(0)
                request.progress.text(letter)
            return Response(text)

    model = llm(Echo("one"))

    async def one(prompt: str) -> list[Piece]:
        return [piece async for piece in model.stream(prompt)]

    async def all_at_once() -> list[list[Piece]]:
        return await asyncio.gather(*map(one, "abc"))

    assert asyncio.run(all_at_once()) == [["a"] * 3, ["b"] * 3, ["c"] * 3]


PIECES = st.lists(st.text("ab", max_size=2), max_size=3)
ENDINGS = st.sampled_from(["whole", "other", "cut", "broken", "blocked"])


@given(st.lists(st.tuples(PIECES, ENDINGS), max_size=4))
def test_what_follows_the_last_restart_is_what_a_call_returns(
    script: list[tuple[list[str], str]],
) -> None:
    def attempt(pieces: list[str], ending: str) -> Attempt:
        text = "x" + "".join(pieces)
        endings: dict[str, Response | ProviderError] = {
            "whole": Response(text),
            "other": Response("other"),
            "cut": Response(text, stop=Stop.LENGTH),
            "blocked": Response(text, stop=Stop.SAFETY),
            "broken": broken(),
        }
        return ["x", *pieces], endings[ending]

    def model() -> LLM:
        attempts = [attempt(*each) for each in script] + [(["end"], Response("end"))]
        # One attempt for each route, so that whatever fails falls back; a cut one goes on.
        return llm(*[Shared(f"p{number}", attempts) for number in range(len(attempts))])

    pieces = streamed(model())
    starts = [place for place, piece in enumerate(pieces) if isinstance(piece, Restart)]
    rest = pieces[starts[-1] + 1 if starts else 0 :]
    assert "".join(map(str, rest)) == asyncio.run(model().acall("?"))


class Shared(Streaming):
    """Takes its attempts from a list that it shares with other providers."""

    def __init__(self, name: str, attempts: list[Attempt]) -> None:
        super().__init__(name)
        self._attempts = attempts
