"""What the command line lists, as tables and as JSON."""

import time
from pathlib import Path
from typing import Any

import pytest
from building import KeyedProvider, Point, agent, plugin

from rolecall import Host, Settings
from rolecall.cli.commands.agents import agents_json, agents_table
from rolecall.cli.commands.plugins import plugins_json, plugins_table
from rolecall.cli.commands.providers import providers_json, providers_table
from rolecall.cli.commands.runs import runs_json, runs_table
from rolecall.cli.render import Grid, plain
from rolecall.plugin.assignment import assemble, assign
from rolecall.storage.origin import NOBODY
from rolecall.storage.run_index import RunState
from rolecall.testing import FakeProvider

TEAM = [agent("a"), agent("b", "a", routes=["two", "one"]), agent("c", "b"), agent("d", "*")]


def rows(table: Grid) -> list[list[str]]:
    return [line.split() for line in plain(table).splitlines()]


def assigned() -> list[dict[str, Any]]:
    host = Host([])
    host.register("team", plugin(agents=TEAM))
    decided = assign(host, Settings(), ["one", "two"])
    return agents_json(decided, assemble(each.agent for each in decided.values())[0])


def test_the_agents_are_shown_with_where_they_run_and_who_decided_it() -> None:
    told = assigned()
    assert told[1] == {
        "agent": "b",
        "title": "B",
        "goal": "test",
        "routes": ["two", "one"],
        "needs": ["a"],
        "plugin": "team",
        "decided_by": "plugin team (default)",
        "off": False,
    }
    shown = rows(agents_table(told, 200))
    assert ["b", "two", "→", "one", "plugin", "team", "(default)", "a"] in shown
    assert ["d", "one", "plugin", "team", "(default)", "everyone"] in shown


def test_what_agents_need_is_shown_only_where_there_is_room() -> None:
    assert "needs" not in plain(agents_table(assigned(), 80))


def test_the_providers_are_shown_with_what_they_miss() -> None:
    found = {
        "one": (FakeProvider("one"), "first"),
        "two": (KeyedProvider("two", "TWO_API_KEY is not set"), "second"),
    }
    told = providers_json(found)
    assert [each["missing"] for each in told] == [None, "TWO_API_KEY is not set"]
    shown = plain(providers_table(told, 200))
    assert ["one", "–", "first", "ready"] in rows(providers_table(told, 200))
    assert "TWO_API_KEY is not set" in shown


def test_the_plugins_are_shown_with_those_that_do_not_work() -> None:
    points = [
        Point("bad", ImportError("no sdk")),
        Point("blocked", plugin()),
        Point("good", plugin(agents=[]), "rolecall-good"),
    ]
    told = plugins_json(Host(points, ["blocked"]).plugins)
    assert {each["plugin"]: each["state"] for each in told} == {
        "bad": "failed",
        "blocked": "blocked",
        "good": "loaded",
    }
    shown = plain(plugins_table(told, 200))
    assert "ImportError: no sdk" in shown
    assert ["good", "rolecall-good", "1.0", "agents", "loaded"] in rows(plugins_table(told, 200))


@pytest.mark.parametrize(
    ("seconds", "age"),
    [(-60, "0 s"), (5, "5 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (3 * 86400, "3 d")],
)
def test_runs_are_shown_with_their_age(seconds: float, age: str) -> None:
    state = RunState("done", agents=13, done=12, cost=0.5, updated=time.time() - seconds)
    told = runs_json([(Path("runs/one"), state)], NOBODY)
    assert told[0]["run"] == "one"
    assert ["one", "done", "12/13", "0.5000", *age.split()] in rows(runs_table(told, 200))
