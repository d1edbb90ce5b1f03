"""What the command line shows, as tables and as JSON."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from building import TRUNCATED, KeyedProvider, Point, Ran, agent, failing, plugin, run
from rolecall import Host, Ledger, Response, Settings, Team, Usage
from rolecall.routing import assemble, assign
from rolecall.runs import State
from rolecall.summary import distribution, run_json, run_tables, waiting
from rolecall.tables import (
    agents_json,
    agents_table,
    plugins_json,
    plugins_table,
    providers_json,
    providers_table,
    runs_json,
    runs_table,
)
from rolecall.testing import FakeProvider

TEAM = [agent("a"), agent("b", "a", routes=["two", "one"]), agent("c", "b"), agent("d", "*")]


def text(*tables: Any, width: int = 200) -> str:
    console = Console(width=width, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(*tables, sep="\n")
    return captured.get()


def rows(shown: str) -> list[list[str]]:
    return [line.split() for line in shown.splitlines()]


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    """Run a team in which b falls back, c fails and d is blocked."""
    one = FakeProvider(
        "one",
        [
            Response("text", Usage(1000, 50), cost=0.25),
            Response("text", Usage(2000, 60)),
            *failing("refusal"),
        ],
    )
    two = FakeProvider("two", failing("auth"))
    return run(tmp_path, TEAM, one, two)


def test_the_json_of_a_run_says_all_that_came_of_it(ran: Ran) -> None:
    told = run_json("runs/one", Team(TEAM), ran.outcome, ran.ledger)
    assert json.loads(json.dumps(told)) == told
    assert (told["run"], told["exit_code"], told["distribution"]) == ("runs/one", 1, {"one": 2})
    states = {each["agent"]: each["state"] for each in told["agents"]}
    assert states == {"a": "done", "b": "done", "c": "failed", "d": "blocked"}
    by_name = {each["agent"]: each for each in told["agents"]}
    assert (by_name["b"]["planned"], by_name["b"]["route"]) == ("two", "one")
    assert (by_name["b"]["calls"], by_name["b"]["failed_calls"]) == (2, 1)
    assert "c: stopped: one: refusal" in by_name["c"]["error"]
    assert by_name["d"]["blocked_by"] == "c"
    assert (told["total"]["calls"], told["total"]["input_tokens"]) == (4, 3000)


def test_a_cost_that_is_not_known_is_not_said_to_be_nothing(ran: Ran) -> None:
    told = run_json("runs/one", Team(TEAM), ran.outcome, ran.ledger)
    by_name = {each["agent"]: each for each in told["agents"]}
    assert (by_name["a"]["cost_usd"], by_name["b"]["cost_usd"]) == (0.25, None)
    assert by_name["b"]["unpriced_calls"] == 1


def test_the_tables_of_a_run_have_a_row_for_every_agent_and_every_model(ran: Ran) -> None:
    shown = rows(text(*run_tables(Team(TEAM), ran.outcome, ran.ledger)))
    assert ["a", "one", "1", "1,000", "50", "0.2500", "0.0", "0.0"] in shown
    assert ["b", "one", "2", "2,000", "60", "unknown", "0.0", "0.0"] in shown
    assert ["c", "failed", "1", "0", "0", "0.0000", "0.0", "0.0"] in shown
    assert ["d", "blocked", "0", "0", "0", "0.0000", "0.0", "0.0"] in shown
    assert ["all", "2", "4", "2", "3,000", "110", "0.2500", "+", "unknown", "0.0", "0.0"] in shown


def test_the_tables_of_a_run_fit_into_80_columns(ran: Ran) -> None:
    shown = text(*run_tables(Team(TEAM), ran.outcome, ran.ledger), width=80)
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "…" not in shown


def test_the_distribution_says_how_it_was_meant_where_it_came_otherwise(ran: Ran) -> None:
    assert distribution(Team(TEAM), ran.ledger) == (
        "Distribution: 2 of 4 on one (planned: 3 of 4 on one, 1 of 4 on two)"
    )


def test_the_distribution_is_short_where_all_went_as_planned(tmp_path: Path) -> None:
    lone = [agent("a")]
    done = run(tmp_path, lone, FakeProvider("one"))
    assert distribution(Team(lone), done.ledger) == "Distribution: 1 of 1 on one"


def test_what_was_waited_for_is_told_the_longest_first() -> None:
    ledger = Ledger()
    ledger.total.held.update({"interval": 2.0, "429": 8.25, "requests per minute": 0.2})
    assert waiting(ledger) == "Waited for: 429 8.2 s, interval 2.0 s"
    assert waiting(Ledger()) == ""


def test_the_distribution_of_nothing_says_so(tmp_path: Path) -> None:
    lone = [agent("a")]
    failed = run(tmp_path, lone, FakeProvider("one", failing("refusal")))
    assert "no agent answered" in distribution(Team(lone), failed.ledger)


@pytest.mark.parametrize(
    ("change", "state"), [("nothing", "reused"), ("edit", "as it stands"), ("prompt", "done")]
)
def test_a_second_run_shows_what_it_did_not_ask(tmp_path: Path, change: str, state: str) -> None:
    run(tmp_path, [agent("a")], FakeProvider("one"))
    if change == "edit":
        (tmp_path / "deliverables" / "01-a.md").write_text("by hand\n", "utf-8")
    lone = [agent("a", prompt="You are better.")] if change == "prompt" else [agent("a")]
    second = run(tmp_path, lone, FakeProvider("one"))
    told = run_json(str(tmp_path), Team(lone), second.outcome, second.ledger)
    assert told["agents"][0]["state"] == state


def test_a_deliverable_that_stayed_cut_is_shown_as_such(tmp_path: Path) -> None:
    lone = [agent("a")]
    cut = run(tmp_path, lone, FakeProvider("one", [TRUNCATED] * 9))
    assert run_json("", Team(lone), cut.outcome, cut.ledger)["agents"][0]["state"] == "cut off"


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
    shown = rows(text(agents_table(told, 200)))
    assert ["b", "two", "→", "one", "a", "plugin", "team", "(default)"] in shown
    assert ["d", "one", "everyone", "plugin", "team", "(default)"] in shown


def test_what_agents_need_is_shown_only_where_there_is_room() -> None:
    assert "needs" not in text(agents_table(assigned(), 80), width=80)


def test_the_providers_are_shown_with_what_they_miss() -> None:
    found = {
        "one": (FakeProvider("one"), "first"),
        "two": (KeyedProvider("two", "TWO_API_KEY is not set"), "second"),
    }
    told = providers_json(found)
    assert [each["missing"] for each in told] == [None, "TWO_API_KEY is not set"]
    shown = text(providers_table(told, 200))
    assert ["one", "–", "first", "ready"] in rows(shown)
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
    shown = text(plugins_table(told, 200))
    assert "ImportError: no sdk" in shown
    assert ["good", "rolecall-good", "1.0", "agents", "loaded"] in rows(shown)


@pytest.mark.parametrize(
    ("seconds", "age"),
    [(5, "5 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (3 * 86400, "3 d")],
)
def test_runs_are_shown_with_their_age(seconds: float, age: str) -> None:
    state = State("done", agents=13, done=12, cost=0.5, updated=time.time() - seconds)
    told = runs_json([(Path("runs/one"), state)])
    assert told[0]["run"] == "one"
    assert ["one", "done", "12/13", "0.5000", *age.split()] in rows(text(runs_table(told, 200)))
