"""What a run was started with, as its run.toml says."""

from pathlib import Path

import pytest

from rolecall import RunError
from rolecall.storage.run_toml import RunToml
from rolecall.types.run_options import RunOptions


def read(folder: Path, text: str) -> RunToml:
    (folder / "run.toml").write_text(text, "utf-8")
    return RunToml.read(folder)


def test_what_was_chosen_is_read(tmp_path: Path) -> None:
    text = """
flags = ["--offline"]
only = ["a", "b"]
budget = 2
[assign]
"a*" = ["one/m", "two"]
[routes]
a = ["one/m"]
[settings]
interval = 0.5
"""
    assert read(tmp_path, text) == RunToml(
        flags=("--offline",),
        options=RunOptions({"a*": ["one/m", "two"]}, only=["a", "b"]),
        budget=2,
        routes={"a": ("one/m",)},
    )


def test_what_was_left_out_was_not_chosen(tmp_path: Path) -> None:
    assert read(tmp_path, "") == RunToml()


@pytest.mark.parametrize("content", ["flags = [", "flags = 1\nflags = 2", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.toml").write_text(content, "utf-8")
    with pytest.raises(RunError, match=r"run\.toml: (cannot be read|is not there)"):
        RunToml.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("flags = 3", "flags: must be a list, not 3"),
        ("only = [1]", "only: must be a text, not 1"),
        ("assign = 3", "assign: must be a table, not 3"),
        ("assign.a = 3", "assign: must be a list, not 3"),
        ("budget = 'much'", "budget: must be a number, not 'much'"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(RunError, match=rf"run\.toml: {why}$"):
        read(tmp_path, text)
