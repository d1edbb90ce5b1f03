"""The charts of a report, drawn as SVG by Vega-Lite."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

Story = Mapping[str, Any]
Spec = dict[str, Any]

# Source of the colours: Okabe and Ito, "Color Universal Design", 2008.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
FAILED = "#d3323a"
EM = 8  # pixels that a character may take in the reader's font, which is not the drawer's
WAITING = "#9a9a9a"
CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "#8888",
        "tickColor": "#8888",
        "gridColor": "#8883",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 320,
    },
    "legend": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "labelFontSize": 12,
        "orient": "top",
        "title": None,
    },
    "title": {"color": "currentColor", "anchor": "start", "fontSize": 13},
    "text": {"color": "currentColor", "fontSize": 12},
}


def draw(spec: Spec) -> str:
    """Draw a chart; its marks carry their descriptions for screen readers."""
    import vl_convert

    schema = "https://vega.github.io/schema/vega-lite/v5.json"
    return str(vl_convert.vegalite_to_svg({"$schema": schema, "config": CONFIG, **spec}))


def timeline(story: Story) -> Spec | None:
    """Show each agent's calls over time: waiting, until the first text, answering, failed."""
    rows = list(_spans(story["calls"]))
    if not rows:
        return None
    names = [agent["name"] for agent in story["agents"]]
    path = critical_path(story)
    y = {
        "field": "agent",
        "sort": names,
        "title": None,
        "scale": {"domain": names},
        "axis": {
            "labelFontWeight": {
                "condition": {"test": {"field": "value", "oneOf": path}, "value": "bold"},
                "value": "normal",
            },
            "ticks": False,
            "minExtent": EM * max(map(len, names)),
        },
    }
    stages = {"waiting": WAITING, **colors(story), "failed": FAILED}
    used = {row["stage"] for row in rows}
    shown = {name: color for name, color in stages.items() if name in used}
    layers: list[Spec] = [
        {
            "data": {"values": rows},
            "mark": {"type": "bar", "height": 13, "cornerRadius": 2},
            "encoding": {
                "y": y,
                "x": {
                    "field": "from",
                    "type": "quantitative",
                    "title": "seconds",
                    "axis": {"tickCount": 10},
                },
                "x2": {"field": "to"},
                "color": {
                    "field": "stage",
                    "scale": {"domain": list(shown), "range": list(shown.values())},
                },
                "opacity": {"field": "strength", "type": "quantitative", "scale": None},
                "description": {"field": "said"},
            },
        }
    ]
    if story["now"]:
        layers.append(
            {
                "data": {"values": [{"at": story["now"]}]},
                "mark": {"type": "rule", "strokeDash": [4, 3], "color": "currentColor"},
                "encoding": {"x": {"field": "at", "type": "quantitative"}},
            }
        )
    return {"width": 760, "height": {"step": 21}, "layer": layers}


def graph(story: Story) -> Spec:
    """Show who needs whom, from top to bottom, with the longest path thick."""
    places = _places(story["agents"])
    path = critical_path(story)
    steps = set(itertools.pairwise(path))
    shown = colors(story)
    nodes = [
        {
            "agent": agent["name"],
            "x": places[agent["name"]][0],
            "y": places[agent["name"]][1],
            "provider": (agent["route"] or agent["planned"]).partition("/")[0],
            "said": f"{agent['name']}, {agent['state']}",
        }
        for agent in story["agents"]
    ]
    edges = [
        {
            **dict(zip(("x", "y", "x2", "y2"), (*places[need], *places[name]), strict=True)),
            "weight": 3 if (need, name) in steps else 1,
            "said": f"{name} needs {need}",
        }
        for need, name in _reduced(story["agents"])
    ]
    most = max(x for x, _ in places.values())
    axes: Spec = {"axis": None, "type": "quantitative"}
    x = {"field": "x", **axes, "scale": {"domain": [-0.6, max(most, 1) + 0.6]}}
    y = {"field": "y", **axes, "scale": {"reverse": True, "padding": 20}}
    place = {"x": x, "y": y}
    return {
        "width": max(760, int(EM * max(map(len, places)) * (most + 1))),
        "height": 62 * (1 + max(level for _, level in places.values())),
        "layer": [
            {
                "data": {"values": edges},
                "mark": {"type": "rule", "color": "#8889"},
                "encoding": {
                    **place,
                    "x2": {"field": "x2"},
                    "y2": {"field": "y2"},
                    "strokeWidth": {"field": "weight", "type": "quantitative", "scale": None},
                    "description": {"field": "said"},
                },
            },
            {
                "data": {"values": nodes},
                "mark": {"type": "circle", "size": 170, "opacity": 1},
                "encoding": {
                    **place,
                    "color": {
                        "field": "provider",
                        "scale": {"domain": list(shown), "range": list(shown.values())},
                    },
                    "description": {"field": "said"},
                },
            },
            {
                "data": {"values": nodes},
                "mark": {"type": "text", "dy": 17, "aria": False},
                "encoding": {**place, "text": {"field": "agent"}},
            },
        ],
    }


def distribution(story: Story) -> Spec:
    """Show by provider: agents planned and answered, calls, tokens and cost."""
    measures = (
        ("agents, planned", "planned"),
        ("agents, answered", "answered"),
        ("calls", "calls"),
        ("tokens read", "input"),
        ("tokens written", "output"),
        ("US dollars", "cost"),
    )
    shown = colors(story)
    names = list(shown)
    charts = [
        {
            "title": title,
            "width": 200,
            "height": {"step": 24},
            "data": {
                "values": [
                    {
                        "provider": each["name"],
                        "value": each[field],
                        "said": f"{each['name']}: {each[field]:,.4g} {title}",
                    }
                    for each in story["providers"]
                ]
            },
            "encoding": {
                "y": {"field": "provider", "title": None, "sort": names},
                "x": {
                    "field": "value",
                    "type": "quantitative",
                    "title": None,
                    "axis": {"tickCount": 4},
                },
                "color": {
                    "field": "provider",
                    "legend": None,
                    "scale": {"domain": names, "range": list(shown.values())},
                },
                "description": {"field": "said"},
            },
            "mark": {"type": "bar", "cornerRadius": 2},
        }
        for title, field in measures
    ]
    return {"concat": charts, "columns": 3}


def colors(story: Story) -> dict[str, str]:
    """Give each provider a colour."""
    names = [each["name"] for each in story["providers"]]
    return {name: COLORS[number % len(COLORS)] for number, name in enumerate(names)}


def critical_path(story: Story) -> list[str]:
    """Name the agents that the run's end waited for, the first first."""
    ends: dict[str, float] = {}
    for call in story["calls"]:
        ends[call["agent"]] = max(call["ended"], ends.get(call["agent"], 0.0))
    needs = {agent["name"]: agent["needs"] for agent in story["agents"]}
    path: list[str] = []
    ahead: Iterable[str] = [name for name in needs if name in ends]
    while ahead := [name for name in ahead if name in ends]:
        path.insert(0, max(ahead, key=lambda name: ends[name]))
        ahead = needs[path[0]]
    return path


def _spans(calls: Iterable[Mapping[str, Any]]) -> Iterable[Spec]:
    for call in calls:
        agent, stage = call["agent"], "failed" if call["cause"] else call["provider"]
        what = f"{agent} on {call['provider']}/{call['model']}"
        end = f"failed: {call['cause']}" if call["cause"] else f"{call['output']:,} tokens"
        moments = (
            ("waiting", call["asked"], call["permitted"], 0.5, f"{agent} waits for a permit"),
            (stage, call["permitted"], call["first"], 0.45, f"{what}, until the first text"),
            (
                stage,
                call["permitted"] if call["first"] is None else call["first"],
                call["ended"],
                1.0,
                f"{what}, {end}",
            ),
        )
        for name, start, stop, strength, said in moments:
            if stop is not None and stop - start > 0.001:
                yield {
                    "agent": agent,
                    "stage": name,
                    "from": round(start, 3),
                    "to": round(stop, 3),
                    "strength": strength,
                    "said": f"{said}, {start:.1f} s to {stop:.1f} s",
                }


def _places(agents: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, int]]:
    """Place each agent beneath what it needs, those of one level side by side and centred."""
    levels: dict[int, list[str]] = {}
    for agent in agents:
        levels.setdefault(agent["level"], []).append(agent["name"])
    most = max(map(len, levels.values()))
    return {
        name: ((most - len(names)) / 2 + number, level)
        for level, names in levels.items()
        for number, name in enumerate(names)
    }


def _reduced(agents: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Give the needs that do not follow from others, as (need, agent)."""
    needs = {agent["name"]: set(agent["needs"]) for agent in agents}
    above: dict[str, set[str]] = {}
    for agent in sorted(agents, key=lambda each: each["level"]):
        name = agent["name"]
        above[name] = needs[name].union(*(above[need] for need in needs[name]))
    return [
        (need, name)
        for name in needs
        for need in needs[name]
        if not any(need in above[other] for other in needs[name])
    ]
