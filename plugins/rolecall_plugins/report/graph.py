"""Places the graph of a team on a page: rows of boxes from top to bottom, and the links between.

The method is that of Sugiyama, Tagawa and Toda ("Methods for Visual Understanding of Hierarchical
System Structures", 1981): layers, an order within each that leaves few crossings, then positions.
Two things are our own. A layer that is too wide for a page takes several rows. And links that pass
rows on their way share a lane: that of the agent that most of them come from or lead to, so that
a lane never suggests a need that does not exist.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from attrs import frozen

PAGE = 880.0  # pixels that a row of boxes may take
CHARACTER = 7  # pixels that one may take in the reader's font, which is not known here
PADDING = 12
GAP = 18.0  # between boxes, and between boxes and lanes
LANE = 8.0
LINE = 16  # of text
BASE = 12  # of a line, below its top
BETWEEN = 38  # rows, for the links
ONE_LINE = 16  # characters of a name that is not broken
LONGEST = 24  # characters of a line, of which the rest is not shown
SWEEPS = 8
_PART = re.compile(r"[^-_.]*[-_.]?")

Node = tuple[str, int]  # an agent and a row: its box in its own row, its lane in any other


@frozen
class Box:
    """An agent's place, by its upper left corner, and the lines of its name, each with its y."""

    name: str
    x: int
    y: int
    lines: tuple[tuple[str, int], ...]


@frozen
class Link:
    """A line from row to row; `strong` where it is part of the path that is pointed out."""

    path: str
    strong: bool


@frozen
class Drawing:
    """All that is drawn; sizes are pixels, `box` is the width and the height of every box."""

    width: int
    height: int
    box: tuple[int, int]
    boxes: tuple[Box, ...]
    links: tuple[Link, ...]


def draw_graph(
    needs: Mapping[str, Sequence[str]], levels: Mapping[str, int], path: Sequence[str] = ()
) -> Drawing:
    """Place a team's agents.

    levels: the length of the longest chain of needs before each. path: agents to point out, each
    of which needs the one before it.
    """
    names = {name: break_name(name) for name in needs}
    width = CHARACTER * max(len(line) for lines in names.values() for line in lines) + 2 * PADDING
    height = LINE * max(map(len, names.values())) + PADDING
    row_of = _rows(levels, max(1, int(PAGE // (width + GAP))))
    edges = reduce_needs(needs, levels)
    steps = list(pairwise(path))
    links = _links(dict.fromkeys([*edges, *steps]), row_of)
    rows = _order(row_of, list(links))
    widths = {node: width if row_of[node[0]] == node[1] else LANE for row in rows for node in row}
    x = _positions(rows, list(links), widths)
    pitch = height + BETWEEN
    return Drawing(
        width=round(max(x[node] + widths[node] / 2 for node in x)) + 2,
        height=pitch * len(rows) - BETWEEN + 2,
        box=(width, height),
        boxes=tuple(
            Box(
                name,
                round(x[name, row] - width / 2) + 1,
                pitch * row + 1,
                tuple(
                    (line, pitch * row + (height - LINE * len(lines)) // 2 + LINE * number + BASE)
                    for number, line in enumerate(lines)
                ),
            )
            for name, row in row_of.items()
            for lines in (names[name],)
        ),
        links=tuple(
            Link(
                _curve(
                    (x[above] + 1, pitch * above[1] + height + 1),
                    (x[below] + 1, pitch * below[1] + 1),
                    height if row_of[below[0]] != below[1] else 0,
                ),
                strong=not pairs.isdisjoint(steps),
            )
            for (above, below), pairs in links.items()
        ),
    )


def reduce_needs(
    needs: Mapping[str, Sequence[str]], levels: Mapping[str, int]
) -> list[tuple[str, str]]:
    """List the needs that do not follow from others, as (need, agent)."""
    above: dict[str, set[str]] = {}
    for name in sorted(needs, key=levels.__getitem__):
        above[name] = set(needs[name]).union(*(above[need] for need in needs[name]))
    return [
        (need, name)
        for name in needs
        for need in needs[name]
        if not any(need in above[other] for other in needs[name])
    ]


def break_name(name: str) -> tuple[str, ...]:
    """Break a name into two lines of about one length, behind a `-`, `_` or `.`."""
    if len(name) <= ONE_LINE:
        return (name,)
    parts = [part for part in _PART.findall(name) if part]
    halves = [("".join(parts[:number]), "".join(parts[number:])) for number in range(len(parts))]
    best = min(halves, key=lambda half: max(map(len, half)))
    return tuple(
        line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in best if line
    )


def _rows(levels: Mapping[str, int], most: int) -> dict[str, int]:
    """Map each agent to its row; a level of more than `most` agents takes several."""
    by_level: dict[int, list[str]] = {}
    for name, level in levels.items():
        by_level.setdefault(level, []).append(name)
    rows: dict[str, int] = {}
    first = 0
    for level in sorted(by_level):
        names = by_level[level]
        height = -(-len(names) // most)  # rounded up
        width = -(-len(names) // height)
        rows |= {name: first + place // width for place, name in enumerate(names)}
        first += height
    return rows


def _links(
    edges: Iterable[tuple[str, str]], row_of: Mapping[str, int]
) -> dict[tuple[Node, Node], set[tuple[str, str]]]:
    """Map each link between neighbouring rows to the needs that it stands for."""
    edges = list(edges)
    far = [edge for edge in edges if row_of[edge[1]] - row_of[edge[0]] > 1]
    leaving = Counter(need for need, _ in far)
    arriving = Counter(name for _, name in far)
    links: dict[tuple[Node, Node], set[tuple[str, str]]] = {}
    for need, name in edges:
        owner = need if leaving[need] >= arriving[name] else name
        between = [(owner, row) for row in range(row_of[need] + 1, row_of[name])]
        nodes = [(need, row_of[need]), *between, (name, row_of[name])]
        for link in pairwise(nodes):
            links.setdefault(link, set()).add((need, name))
    return links


def _order(row_of: Mapping[str, int], links: Sequence[tuple[Node, Node]]) -> list[list[Node]]:
    """Order the nodes of each row by where their neighbours stand; keep what crosses least."""
    rows: list[list[Node]] = [[] for _ in range(1 + max(row_of.values()))]
    nodes = dict.fromkeys([*row_of.items(), *(node for link in links for node in link)])
    for node in nodes:
        rows[node[1]].append(node)
    neighbours = _neighbours(links)
    best, fewest = rows, _crossings(rows, links)
    for sweep in range(SWEEPS):
        rows = [list(row) for row in rows]
        if sweep % 2 == 0:
            for number in range(1, len(rows)):
                rows[number] = _by_neighbours(rows[number], rows[number - 1], neighbours)
        else:
            for number in reversed(range(len(rows) - 1)):
                rows[number] = _by_neighbours(rows[number], rows[number + 1], neighbours)
        crossings = _crossings(rows, links)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _by_neighbours(
    row: Sequence[Node], beside: Sequence[Node], neighbours: Mapping[Node, Sequence[Node]]
) -> list[Node]:
    """Order a row by where the neighbours of its nodes stand, on average, in the row beside it."""
    place = {node: index / len(beside) for index, node in enumerate(beside)}
    own = {node: index / len(row) for index, node in enumerate(row)}

    def key(node: Node) -> float:
        return _mean([place[at] for at in neighbours.get(node, ()) if at in place] or [own[node]])

    return sorted(row, key=key)


def _crossings(rows: Sequence[Sequence[Node]], links: Sequence[tuple[Node, Node]]) -> int:
    place = {node: index for row in rows for index, node in enumerate(row)}
    by_row: dict[int, list[tuple[int, int]]] = {}
    for above, below in links:
        by_row.setdefault(above[1], []).append((place[above], place[below]))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for pairs in by_row.values()
        for number, one in enumerate(pairs)
        for other in pairs[:number]
    )


def _positions(
    rows: Sequence[Sequence[Node]], links: Sequence[tuple[Node, Node]], widths: Mapping[Node, float]
) -> dict[Node, float]:
    """Place each node as near as its row leaves room to the middle of its neighbours.

    No row reaches beyond the one that is widest when its nodes stand close together.
    """
    neighbours = _neighbours(links)
    widest = max(sum(widths[node] + GAP for node in row) - GAP for row in rows)
    x = dict.fromkeys(widths, widest / 2)
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean([x[other] for other in neighbours.get(node, [node])]) for node in row]
            x |= _spread(row, wanted, widths, widest)
    return x


def _spread(
    row: Sequence[Node], wanted: Sequence[float], widths: Mapping[Node, float], room: float
) -> dict[Node, float]:
    """Place nodes side by side between 0 and `room`, as near as they can be to where they belong.

    Isotonic regression gives the least squares of the distances: nodes that would overlap form a
    block, which stands where its nodes belong on average.
    """
    offsets = [0.0]  # where each would be, if the first were at 0 and all stood close together
    for before, node in pairwise(row):
        offsets.append(offsets[-1] + (widths[before] + widths[node]) / 2 + GAP)
    blocks: list[tuple[float, int]] = []  # where each begins, and the number of its nodes
    for at, offset in zip(wanted, offsets, strict=True):
        start, size = at - offset, 1
        while blocks and blocks[-1][0] >= start:
            before_start, before_size = blocks.pop()
            total = before_size + size
            start, size = (before_start * before_size + start * size) / total, total
        blocks.append((start, size))
    least, most = widths[row[0]] / 2, room - widths[row[-1]] / 2 - offsets[-1]
    starts = [min(max(start, least), most) for start, size in blocks for _ in range(size)]
    return {node: start + offset for node, start, offset in zip(row, starts, offsets, strict=True)}


def _neighbours(links: Iterable[tuple[Node, Node]]) -> dict[Node, list[Node]]:
    neighbours: dict[Node, list[Node]] = {}
    for above, below in links:
        neighbours.setdefault(above, []).append(below)
        neighbours.setdefault(below, []).append(above)
    return neighbours


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _curve(start: tuple[float, float], end: tuple[float, float], on: int) -> str:
    """Draw a link from the bottom of a row to the top of the next, and `on` down through it.

    It turns in the gap between the rows alone, so that it crosses no box.
    """
    (x, y), (to, below) = start, end
    middle = (y + below) / 2
    through = f"V{below + on:.0f}" if on else ""
    return (
        f"M{x:.0f} {y:.0f}C{x:.0f} {middle:.0f} {to:.0f} {middle:.0f} {to:.0f} {below:.0f}{through}"
    )
