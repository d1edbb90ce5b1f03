"""Agents, routes, and the graph of a team."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from building import agent
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Agent, Route, Team, TeamError

Graph = Mapping[str, set[str]]


@st.composite
def dags(draw: st.DrawFn) -> dict[str, set[str]]:
    """Draw needs without a circle, in an order that says nothing about them."""
    names = [f"a{number}" for number in range(draw(st.integers(1, 9)))]
    needs = {
        name: draw(st.sets(st.sampled_from(names[:place]))) if place else set()
        for place, name in enumerate(names)
    }
    return {name: needs[name] for name in draw(st.permutations(names))}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    """Draw any needs, with circles or without."""
    names = [f"a{number}" for number in range(draw(st.integers(1, 7)))]
    return {name: draw(st.sets(st.sampled_from(names), max_size=2)) for name in names}


def team(graph: Mapping[str, Iterable[str]]) -> Team:
    return Team(agent(name, *needs) for name, needs in graph.items())


def longest(graph: Graph, name: str) -> int:
    return 1 + max((longest(graph, other) for other in graph if name in graph[other]), default=0)


def who_wait_for(graph: Graph, name: str) -> set[str]:
    direct = {other for other in graph if name in graph[other]}
    return direct.union(*(who_wait_for(graph, other) for other in direct))


@given(dags())
def test_every_agent_comes_after_all_that_it_needs(graph: Graph) -> None:
    order = team(graph).order
    assert sorted(order) == sorted(graph)
    assert all(order.index(need) < order.index(name) for name in graph for need in graph[name])


def test_agents_that_are_free_to_start_keep_the_teams_order() -> None:
    assert team({"c": (), "a": (), "b": ()}).order == ("c", "a", "b")


@given(dags())
def test_the_longest_path_to_the_end_counts_the_agent_itself(graph: Graph) -> None:
    paths = team(graph).paths(dict.fromkeys(graph, 1.0))
    assert paths == {name: longest(graph, name) for name in graph}


@given(dags())
def test_downstream_is_everyone_who_waits_directly_or_through_others(graph: Graph) -> None:
    built = team(graph)
    assert {name: set(built.downstream(name)) for name in graph} == {
        name: who_wait_for(graph, name) for name in graph
    }


@given(graphs())
def test_a_circle_is_found_and_named_and_nothing_else_is(graph: Graph) -> None:
    try:
        order = team(graph).order
    except TeamError as error:
        circle = str(error).rpartition(": ")[2].split(" needs ")
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all(need in graph[name] for name, need in itertools.pairwise(circle))
    else:
        assert all(order.index(need) < order.index(name) for name in graph for need in graph[name])


def test_an_agent_that_needs_itself_is_a_circle() -> None:
    with pytest.raises(TeamError, match=r"in a circle: a needs a$"):
        team({"a": ("a",)})


@given(dags(), st.data())
def test_a_star_needs_everyone_who_does_not_need_it(graph: Graph, data: st.DataObject) -> None:
    star = data.draw(st.sampled_from(sorted(graph)))
    others = {name: needs for name, needs in graph.items() if name != star}
    built = team({**others, star: ("*",)})
    waiting = who_wait_for({**others, star: set()}, star)
    assert set(built.needs(star)) == set(others) - waiting


def test_a_star_may_have_needs_of_its_own_beside_everyone() -> None:
    built = team({"a": (), "b": ("a", "*"), "c": ()})
    assert built.needs("b") == ("a", "c")


def test_two_who_need_everyone_do_not_need_each_other() -> None:
    built = team({"a": (), "first": ("*",), "second": ("*",)})
    assert built.needs("first") == built.needs("second") == ("a",)


def test_a_star_alone_needs_nobody() -> None:
    assert team({"a": ("*",)}).needs("a") == ()


def test_needs_are_given_in_the_teams_order() -> None:
    assert team({"b": (), "a": (), "c": ("a", "b")}).needs("c") == ("b", "a")


def test_an_unknown_need_is_an_error_that_names_the_nearest_agent() -> None:
    with pytest.raises(TeamError, match=r"writer needs 'architekt'.*did you mean 'architect'"):
        team({"architect": (), "writer": ("architekt",)})


def test_two_agents_of_one_name_are_an_error() -> None:
    with pytest.raises(TeamError, match="two agents are called 'writer'"):
        Team([agent("writer"), agent("writer")])


def test_a_team_without_agents_is_an_error() -> None:
    with pytest.raises(TeamError, match="the team is empty"):
        Team([])


@given(dags(), st.data())
def test_a_part_of_a_team_keeps_the_needs_among_its_own(graph: Graph, data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from(sorted(graph)), min_size=1))
    part = team(graph).keep(kept)
    assert {each.name: set(part.needs(each.name)) for each in part} == {
        name: graph[name] & kept for name in kept
    }


def test_a_part_of_a_team_keeps_its_order() -> None:
    part = team({"c": (), "a": (), "b": ()}).keep(["b", "c"])
    assert [each.name for each in part] == ["c", "b"]


def test_a_part_with_an_unknown_agent_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(TeamError, match=r"'writter'.*did you mean 'writer'"):
        team({"writer": ()}).keep(["writter"])


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("claude", Route("claude")),
        ("gemini/gemini-3.8-flash", Route("gemini", "gemini-3.8-flash")),
        ("proxy/org/model:free", Route("proxy", "org/model:free")),
        (" claude ", Route("claude")),
    ],
)
def test_a_route_is_a_provider_and_perhaps_a_model(text: str, route: Route) -> None:
    assert Route.parse(text) == route


@pytest.mark.parametrize("text", ["", "/", "claude/", "/model", "Claude", "cl aude", "claude/a b"])
def test_what_is_no_route_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a route; write PROVIDER or PROVIDER/MODEL"):
        Route.parse(text)


@given(
    st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True),
    st.from_regex(r"([A-Za-z0-9_.:-][A-Za-z0-9_.:/-]*)?", fullmatch=True),
)
def test_a_route_reads_as_it_is_written(provider: str, model: str) -> None:
    assert Route.parse(str(Route(provider, model))) == Route(provider, model)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ("one", (Route("one"),)),
        (Route("one", "m"), (Route("one", "m"),)),
        (["one/m", Route("two")], (Route("one", "m"), Route("two"))),
        ([], ()),
    ],
)
def test_an_agents_routes_may_be_written_as_texts(routes: Any, expected: tuple[Route, ...]) -> None:
    assert agent(routes=routes).routes == expected


def test_a_single_need_may_be_written_as_a_text() -> None:
    made = Agent(name="a", title="A", goal="g", prompt="p", routes="one", needs="architect")
    assert made.needs == ("architect",)


@pytest.mark.parametrize(
    "name", ["", "Writer", "a writer", "-writer", "writer-", "../writer", "a/b"]
)
def test_an_agents_name_is_fit_for_a_file(name: str) -> None:
    with pytest.raises(ValueError, match="is not an agent's name"):
        agent(name)


def test_an_agents_prompt_is_not_shown_in_messages() -> None:
    assert "secret plan" not in repr(agent(prompt="secret plan"))


def test_one_agent_alone_writes_the_plan() -> None:
    with pytest.raises(TeamError, match="several agents write the plan: a, b; leave plan = true"):
        Team([agent("a", plan=True), agent("b", plan=True)])
