"""The graph of a team, placed on a page."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rolecall_plugins.report.graph import PAGE, Drawing, break_name, draw_graph, reduce_needs

Needs = Mapping[str, Sequence[str]]
Point = tuple[int, int]


def levels(needs: Needs) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in needs:  # each stands after all that it needs
        found[name] = 1 + max((found[need] for need in needs[name]), default=-1)
    return found


def drawn(needs: Needs, path: Sequence[str] = ()) -> Drawing:
    return draw_graph(needs, levels(needs), path)


@st.composite
def teams(draw: st.DrawFn) -> Needs:
    number = draw(st.integers(1, 25))
    names = [draw(st.sampled_from(["a", "writer", "security-specialist"])) for _ in range(number)]
    names = [f"{name}-{place}" for place, name in enumerate(names)]
    return {
        name: draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=4))
        if place
        else []
        for place, name in enumerate(names)
    }


def everyone_above(needs: Needs) -> dict[str, set[str]]:
    above: dict[str, set[str]] = {}
    for name, own in needs.items():
        above[name] = set(own).union(*(above[need] for need in own))
    return above


@given(teams())
def test_boxes_lie_side_by_side_within_the_drawing(needs: Needs) -> None:
    drawing = drawn(needs)
    width, height = drawing.box
    assert {box.name for box in drawing.boxes} == set(needs)
    for box in drawing.boxes:
        assert 0 <= box.x <= drawing.width - width
        assert 0 <= box.y <= drawing.height - height
    for row in {box.y for box in drawing.boxes}:
        lefts = sorted(box.x for box in drawing.boxes if box.y == row)
        assert all(b - a > width for a, b in pairwise(lefts))


@given(teams())
def test_an_agent_stands_below_all_that_it_needs(needs: Needs) -> None:
    y = {box.name: box.y for box in drawn(needs).boxes}
    assert all(y[need] < y[name] for name in needs for need in needs[name])


@given(teams())
def test_no_line_crosses_a_box(needs: Needs) -> None:
    drawing = drawn(needs)
    width, height = drawing.box
    for link in drawing.links:
        numbers = list(map(int, re.findall(r"-?\d+", link.path)))
        y, to, below = numbers[1], *numbers[6:8]
        assert below > y  # the curve has the gap between two rows for itself
        assert not any(y < box.y + height and below > box.y for box in drawing.boxes)
        if len(numbers) > 8:
            passed = [box for box in drawing.boxes if below <= box.y < numbers[8]]
            assert not any(box.x <= to <= box.x + width for box in passed)


@given(teams())
def test_lines_lead_to_exactly_those_who_need_what_they_start_from(needs: Needs) -> None:
    drawing = drawn(needs)
    width, height = drawing.box
    ends: dict[Point, list[Point]] = {}
    for link in drawing.links:
        x, y, *_, to, below, on = [*map(int, re.findall(r"-?\d+", link.path)), 0][:9]
        ends.setdefault((x, y), []).append((to, on or below))

    def box_at(point: Point, edge: int) -> str | None:
        for box in drawing.boxes:
            if abs(box.x + width / 2 - point[0]) <= 1 and box.y + edge == point[1]:
                return box.name
        return None

    found: dict[str, set[str]] = {name: set() for name in needs}
    for start in ends:
        need = box_at(start, height)
        ahead = list(ends[start]) if need else []
        for point in ahead:  # grows while it is read
            name = box_at(point, 0)
            if name is None:
                ahead += ends[point]
            else:
                found[name].add(need or "")
    expected: dict[str, set[str]] = {name: set() for name in needs}
    for need, name in reduce_needs(needs, levels(needs)):
        expected[name].add(need)
    assert found == expected


@given(teams())
def test_what_is_left_out_follows_from_what_is_drawn(needs: Needs) -> None:
    edges = reduce_needs(needs, levels(needs))
    kept: dict[str, list[str]] = {name: [] for name in needs}
    for need, name in edges:
        kept[name].append(need)
    assert everyone_above(kept) == everyone_above(needs)
    for need, name in edges:
        fewer = {**kept, name: [each for each in kept[name] if each != need]}
        assert everyone_above(fewer) != everyone_above(needs)


def test_a_path_is_pointed_out_also_along_needs_that_follow_from_others() -> None:
    needs = {"a": [], "b": ["a"], "c": ["a", "b"]}
    assert sum(link.strong for link in drawn(needs).links) == 0
    assert sum(link.strong for link in drawn(needs, ["a", "b"]).links) == 1
    assert sum(link.strong for link in drawn(needs, ["a", "c"]).links) == 2


def test_a_level_that_is_wider_than_a_page_takes_several_rows() -> None:
    needs: dict[str, list[str]] = {"lead": [], **{f"worker-{n}": ["lead"] for n in range(38)}}
    needs["editor"] = [name for name in needs if name != "lead"]
    drawing = drawn(needs)
    assert drawing.width <= PAGE * 1.1
    assert len({box.y for box in drawing.boxes}) == 7


def test_a_long_name_is_broken_at_a_hyphen_near_its_middle() -> None:
    assert break_name("writer") == ("writer",)
    assert break_name("security-architecture-specialist") == (
        "security-architecture-",
        "specialist",
    )
    assert break_name("a" * 30) == (f"{'a' * 23}…",)
