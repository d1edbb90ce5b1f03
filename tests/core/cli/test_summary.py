"""What a run came to, as lines and as JSON."""

import json
from pathlib import Path

import pytest
from building import TRUNCATED, Ran, agent, call_ended, failing, run

from rolecall import Check, CostsCompared, Ledger, Response, Team, Usage, WorkspaceVerified
from rolecall.cli.summary import comparison, distribution, run_json, verification, waiting
from rolecall.testing import FakeProvider

TEAM = [agent("a"), agent("b", "a", routes=["two", "one"]), agent("c", "b"), agent("d", "*")]


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


def test_the_distribution_says_how_it_was_planned_where_it_came_otherwise() -> None:
    planned = {"a": "one", "b": "two", "c": "one", "d": "one"}
    assert distribution(planned, {"one": 2}) == (
        "Distribution: 2 of 4 on one (planned: 3 of 4 on one, 1 of 4 on two)"
    )


def test_the_distribution_is_short_where_all_went_as_planned() -> None:
    assert distribution({"a": "one"}, {"one": 1}) == "Distribution: 1 of 1 on one"


def test_what_was_waited_for_is_told_the_longest_first() -> None:
    ledger = Ledger()
    ledger.total.held.update({"interval": 2.0, "429": 8.25, "requests per minute": 0.2})
    assert waiting(ledger) == "Waited for: 429 8.2 s, interval 2.0 s"
    assert waiting(Ledger()) == ""


def test_the_distribution_of_nothing_says_so() -> None:
    assert "no agent answered" in distribution({"a": "one"}, {})


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


@pytest.mark.parametrize("replayed", [False, True])
def test_what_was_verified_is_told_with_what_failed_of_it(replayed: bool) -> None:
    checks = (
        Check(command="true", code=0, output="", seconds=0.1),
        Check(command="pytest", code=1, output="", seconds=0.1),
    )
    verified = WorkspaceVerified(
        at=1.0, agent="a", tree="t", sandbox="box", when=0.0, checks=checks, replayed=replayed
    )
    first, second = verification([verified]).splitlines()
    assert first.startswith("Verified: 1 of 2 checks passed, on a fresh copy of the workspace, in ")
    assert first.endswith("Replayed, not run.") is replayed
    assert second == "  `pytest`: FAILED (exit status 1)"
    assert verification([]) == ""
