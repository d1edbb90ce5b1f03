"""Who runs again although nothing has changed, and what that cost before."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from building import agent, call_ended

from rolecall import Team, UsageError
from rolecall.scheduling.rerun import Rerun
from rolecall.storage.journal import Journal
from rolecall.storage.step_store import StepStore

CHAIN = [agent("a"), agent("b", "a"), agent("c", "b")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StepStore]:
    """Remember that a cost 1 dollar, b 0.25 and then 0.5, and c nothing that is known."""
    with Journal(tmp_path / "journal.jsonl") as journal:
        store = StepStore(journal)
        for number, (name, cost) in enumerate([("a", 1.0), ("b", 0.25), ("b", 0.5), ("c", None)]):
            store.notify(call_ended(number, agent=name, cost=cost))
        yield store


def test_a_rerun_takes_an_agent_and_all_who_need_it(store: StepStore) -> None:
    again = Rerun.plan(Team(CHAIN), store, ["b"], [])
    assert (again.agents, again.frozen) == (("b", "c"), ())
    assert again.words == "to run again, for about $0.5000 and 1 of unknown cost: b, c"


def test_a_rerun_of_some_alone_leaves_the_others_as_they_are(store: StepStore) -> None:
    again = Rerun.plan(Team(CHAIN), store, [], ["b"])
    assert (again.agents, again.frozen) == (("b",), ("a", "c"))


@pytest.mark.parametrize(("start", "only"), [(["riter"], []), ([], ["riter"])])
def test_a_rerun_of_an_unknown_agent_names_the_nearest(
    store: StepStore, start: list[str], only: list[str]
) -> None:
    with pytest.raises(UsageError, match=r"no agent is called 'riter'; did you mean 'writer'"):
        Rerun.plan(Team([agent("writer")]), store, start, only)


def test_whoever_changed_files_of_those_that_run_again_runs_again_with_all_who_need_it(
    store: StepStore,
) -> None:
    team = Team([*CHAIN, agent("d"), agent("e", "d")])

    def builders_on(agents: Collection[str]) -> set[str]:
        return {"d", "gone"} if "b" in agents else set()

    again = Rerun.plan(team, store, ["b"], [], builders_on=builders_on)
    assert again.agents == ("b", "c", "d", "e")
    assert Rerun.plan(team, store, ["c"], [], builders_on=builders_on).agents == ("c",)
    assert Rerun.plan(team, store, [], ["b", "d"], builders_on=builders_on).agents == ("b", "d")
    with pytest.raises(UsageError, match="files of b were changed later by d; run them again as"):
        Rerun.plan(team, store, [], ["b"], builders_on=builders_on)
