"""What past runs took, and what that tells of the next one."""

import json
from pathlib import Path

import pytest

from rolecall import CallEnded, Usage
from rolecall.storage.history import USUAL, AgentHistory, Past, average, expected
from rolecall.storage.run_index import RECENT, past_history


def ended(took: float, cost: float | None, output: int = 5) -> CallEnded:
    return CallEnded(
        at=1.0,
        call=1,
        agent="a",
        provider="one",
        model="m",
        step="s",
        waited=0.0,
        max_output_tokens=10,
        took=took,
        cause=None,
        detail="",
        text="",
        usage=Usage(input=10, output=output),
        cost=cost,
    )


def test_an_agents_calls_are_summed() -> None:
    figures = AgentHistory()
    figures.add(ended(2.0, 0.5))
    figures.add(ended(3.0, 0.25))
    assert figures == AgentHistory(5.0, 2, 20, 10, 0.75)


def test_an_unknown_price_makes_the_cost_unknown() -> None:
    figures = AgentHistory()
    figures.add(ended(2.0, None))
    figures.add(ended(3.0, 0.25))
    assert figures.cost is None


def test_a_call_that_wrote_nothing_needs_no_price() -> None:
    figures = AgentHistory()
    figures.add(ended(2.0, None, output=0))
    figures.add(ended(3.0, 0.25))
    assert figures.cost == 0.25


def test_runs_are_averaged_by_agent() -> None:
    runs = [
        {"a": AgentHistory(2.0, 1, 10, 4, 0.5)},
        {"a": AgentHistory(4.0, 3, 30, 8, None), "b": AgentHistory()},
    ]
    assert average(runs) == {"a": AgentHistory(3.0, 2, 20, 6, 0.5), "b": AgentHistory()}


def test_who_is_not_known_takes_the_mean_of_those_who_are() -> None:
    assert expected(["a", "b", "c"], {"a": 10.0, "b": 20.0}) == {"a": 10.0, "b": 20.0, "c": 15.0}
    assert expected(["a"], {}) == {"a": USUAL}


def save(runs: Path, name: str, flags: list[str], seconds: float, updated: float = 0.0) -> None:
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").touch()
    state = {
        "state": "done",
        "updated": updated,
        "flags": flags,
        "figures": {"a": {"seconds": seconds, "calls": 1}},
    }
    (folder / "state.json").write_text(json.dumps(state), "utf-8")


def test_runs_with_other_flags_or_without_any_tell_nothing(tmp_path: Path) -> None:
    save(tmp_path, "one", [], 2.0)
    save(tmp_path, "two", [], 4.0)
    save(tmp_path, "offline", ["--offline"], 0.1)
    (tmp_path / "latest").symlink_to("two")
    (tmp_path / "begun").mkdir()
    assert past_history(tmp_path, []).agents["a"].seconds == pytest.approx(3.0)
    assert past_history(tmp_path, ["--offline"]).agents["a"].seconds == pytest.approx(0.1)
    assert past_history(tmp_path / "nowhere", []) == Past({}, {})


@pytest.mark.parametrize(
    "state",
    [
        "",
        "{",
        "[]",
        '{"figures": []}',
        '{"figures": {"a": null}}',
        '{"figures": {"a": {"colour": 1}}}',
        '{"figures": {"a": {"seconds": null}}}',
        '{"figures": {"a": {"seconds": "long"}}}',
        '{"updated": "yesterday"}',
        '{"routes": []}',
        '{"routes": {"one": {"first": ["soon"]}}}',
        '{"routes": {"one": {"seconds": true}}}',
        "\udcff",
    ],
)
def test_a_run_whose_state_is_damaged_tells_nothing(tmp_path: Path, state: str) -> None:
    save(tmp_path, "whole", [], 2.0)
    save(tmp_path, "damaged", [], 100.0)
    (tmp_path / "damaged" / "state.json").write_bytes(state.encode(errors="surrogateescape"))
    assert past_history(tmp_path, []).agents["a"].seconds == 2.0


def test_only_the_latest_runs_tell_anything(tmp_path: Path) -> None:
    save(tmp_path, "old", [], 100.0, updated=1.0)
    for number in range(RECENT):
        save(tmp_path, f"new-{number}", [], 2.0, updated=2.0 + number)
    assert past_history(tmp_path, []).agents["a"].seconds == pytest.approx(2.0)


def test_many_runs_with_other_flags_hide_none_with_the_same(tmp_path: Path) -> None:
    save(tmp_path, "real", [], 2.0, updated=1.0)
    for number in range(RECENT):
        save(tmp_path, f"offline-{number}", ["--offline"], 0.1, updated=2.0 + number)
    assert past_history(tmp_path, []).agents["a"].seconds == pytest.approx(2.0)
