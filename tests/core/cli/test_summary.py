"""What a run came to, as tables and as JSON."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from building import TRUNCATED, Ran, agent, call_ended, failing, run
from rich.console import Console

from rolecall import CostsCompared, Ledger, Response, Team, Usage
from rolecall.cli.render import Grid, drawn, plain
from rolecall.cli.summary import comparison, distribution, run_json, run_tables, waiting
from rolecall.testing import FakeProvider

TEAM = [agent("a"), agent("b", "a", routes=["two", "one"]), agent("c", "b"), agent("d", "*")]


def rows(tables: Iterable[Grid]) -> list[list[str]]:
    return [line.split() for table in tables for line in plain(table).splitlines()]


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
    shown = rows(run_tables(Team(TEAM), ran.outcome, ran.ledger))
    assert ["a", "one", "1", "1,000", "50", "0.2500", "0.0", "0.0"] in shown
    assert ["b", "one", "2", "2,000", "60", "unknown", "0.0", "0.0"] in shown
    assert ["c", "failed", "1", "0", "0", "0.0000", "0.0", "0.0"] in shown
    assert ["d", "blocked", "0", "0", "0", "0.0000", "0.0", "0.0"] in shown
    assert ["all", "2", "4", "2", "3,000", "110", "0.2500", "+", "unknown", "0.0", "0.0"] in shown


def test_the_tables_of_a_run_fit_into_80_columns(ran: Ran) -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(*map(drawn, run_tables(Team(TEAM), ran.outcome, ran.ledger)))
    shown = captured.get()
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


def test_what_the_calls_compare_to_is_said_of_all_that_the_run_made() -> None:
    ledger = Ledger()
    ledger.notify(call_ended())
    ledger.notify(CostsCompared(at=1.0, elsewhere=(("two/n", 0.5),), cached=-0.25, calls=1))
    said = "$0.5000 all on two/n, $0.2500 more with prompt caches"
    assert comparison(ledger) == f"The same calls: {said}"
    ledger.notify(CostsCompared(at=1.0, elsewhere=(("two/n", 0.5),), cached=0.25, calls=22))
    said = "$0.5000 all on two/n, $0.2500 saved by prompt caches"
    assert comparison(ledger) == f"All 22 calls of the run: {said}"
