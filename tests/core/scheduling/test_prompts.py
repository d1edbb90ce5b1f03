"""How a step is asked, and how a cut answer is completed."""

from collections.abc import Sequence

import pytest
from attrs import evolve
from building import REQUEST, TRUNCATED, agent

from rolecall import Message, Request, Response
from rolecall.scheduling.prompts import CONTINUE, Continuation, compose


def asked(request: Request) -> str:
    (message,) = request.messages
    assert message.role == "user"
    return message.text


def pieced(script: Sequence[Response], most: int) -> tuple[str, list[Request | None]]:
    """Put a text together from pieces; also return what was asked for after each of them."""
    continuation = Continuation(REQUEST, most)
    asked: list[Request | None] = []
    for piece in script:
        asked.append(continuation.add(piece))
        assert continuation.pieces == len(asked)
    return continuation.text, asked


def test_a_system_prompt_that_roles_share_is_said_to_be_shared() -> None:
    assert compose(agent("a", shared="Together."), "Build it", {}).shares_system
    assert not compose(agent("a"), "Build it", {}).shares_system


def test_an_agent_is_asked_by_its_prompt_and_the_request() -> None:
    request = compose(agent("writer", prompt="You write."), "Build it.\n", {})
    assert request.system == "You write."
    assert asked(request) == (
        "<request>\nBuild it.\n</request>\n\nWrite the deliverable of Writer now."
    )


def test_what_agents_share_comes_first_and_their_roles_last() -> None:
    one = agent("writer", prompt="You write.\n", shared="Conventions.")
    other = agent("critic", prompt="You judge.", shared="Conventions.")
    needs = {"a": ("Ay", "text of a")}
    written, judged = (compose(each, "Build it.", needs) for each in (one, other))
    assert written.system == judged.system == "Conventions."
    material = '<request>\nBuild it.\n</request>\n\n<deliverable agent="a" title="Ay">\ntext of a\n'
    role = "</deliverable>\n\nYou write.\n\nWrite the deliverable of Writer now."
    assert asked(written) == material + role
    assert asked(judged).startswith(material)


def test_an_agent_gets_the_deliverables_it_needs_in_order() -> None:
    needs = {"b": ("Bee", "text of b\n"), "a": ("Ay", "text of a")}
    text = asked(compose(agent(), "Build it.", needs))
    first = '<deliverable agent="b" title="Bee">\ntext of b\n</deliverable>'
    second = '<deliverable agent="a" title="Ay">\ntext of a\n</deliverable>'
    assert f"{first}\n\n{second}" in text


def test_an_agent_is_told_whose_deliverable_is_left_out() -> None:
    assert '<left-out agent="b"/>' in asked(compose(agent(), "Build it.", {}, ["b"]))


def test_an_agents_own_limits_win_over_the_settings() -> None:
    template = evolve(REQUEST, max_output_tokens=10, temperature=0.1, timeout=5.0)
    request = compose(agent(max_output_tokens=20, temperature=0.0), "Build it.", {}, (), template)
    assert (request.max_output_tokens, request.temperature, request.timeout) == (20, 0.0, 5.0)


def test_an_agent_without_limits_has_those_of_the_settings() -> None:
    template = evolve(REQUEST, max_output_tokens=10, temperature=0.1)
    request = compose(agent(), "Build it.", {}, (), template)
    assert (request.max_output_tokens, request.temperature) == (10, 0.1)


def test_a_whole_answer_is_not_asked_to_go_on() -> None:
    assert pieced([Response("whole")], 4) == ("whole", [None])


def test_a_cut_answer_is_asked_to_go_on_after_all_that_was_said() -> None:
    pieces = [evolve(TRUNCATED, text="one "), evolve(TRUNCATED, text="two "), Response("three")]
    text, asked = pieced(pieces, 4)
    assert text == "one two three"
    for said, request in zip(("one ", "one two "), asked, strict=False):
        turns = (Message("assistant", said), Message("user", CONTINUE))
        assert request == evolve(REQUEST, messages=(*REQUEST.messages, *turns))
    assert asked[-1] is None


@pytest.mark.parametrize("most", [0, 2])
def test_an_answer_that_stays_cut_is_left_so_after_the_last_continuation(most: int) -> None:
    text, asked = pieced([TRUNCATED] * (most + 1), most)
    assert text == (most + 1) * TRUNCATED.text
    assert [request is None for request in asked] == [False] * most + [True]
