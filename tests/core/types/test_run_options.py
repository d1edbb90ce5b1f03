"""What was chosen for one run."""

from rolecall.types.run_options import RunOptions


def test_new_options_take_the_place_of_those_the_run_had() -> None:
    had = RunOptions({"a": ["one"], "b": ["one"]}, ["a", "b"], [])
    moved, fewer = RunOptions({"b": ["two"]}), RunOptions(only=["c"], skip=["d"])
    assert had.changed(moved) == RunOptions({"a": ["one"], "b": ["two"]}, ["a", "b"], [])
    assert had.changed(fewer) == RunOptions({"a": ["one"], "b": ["one"]}, ["c"], ["d"])
